"""`python -m tinyunet.bench` is `tinyunet bench`."""

import sys

from ..cli import main

sys.exit(main(["bench", *sys.argv[1:]]))
