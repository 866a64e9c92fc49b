"""The dataset doctor behind `tinyunet check`: what is wrong with a folder of images and masks, and what mends it.

>>> from tinyunet.checkup import examine
>>> for finding in examine("scans").findings:
...     print(finding.severity, finding.what, finding.remedy)

- `survey`: reads every file once and keeps a few numbers of each case.
- `names`: what pairs, and which names break on other systems.
- `images`, `masks`, `copies`, `fitness`: the checks; each takes those numbers and returns findings.
- `sheet`: the contact sheet, worst first.
"""

from .examination import Examination, examine
from .finding import Finding

__all__ = ["Examination", "Finding", "examine"]
