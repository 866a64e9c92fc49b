"""What a run or an evaluation leaves for people to read; nothing that computes needs this package.

- `evaluation`: all that an evaluation leaves, for the commands.
- `page`, `card`: report.html, self-contained, from `html` (text and tables), `chart` (curves), `pictures` (overlays).
- `uses`: how often a test set was looked at.
"""

from .card import command_of
from .evaluation import facts_of_run, write_evaluation
from .page import write_report

__all__ = ["command_of", "facts_of_run", "write_evaluation", "write_report"]
