"""`python -m tinyunet` is the `tinyunet` command."""

import sys

from .cli import main

sys.exit(main())
