"""How fast, and beside what? `tinyunet bench` measures whole networks, single operations, rungs, and memory.

What makes the numbers comparable, in the order of the code:

- A *side* is a function that does the work once and returns what it computed. Sides have the same inputs and weights.
- Validate first: the results of every side must agree with the NumPy reference, or it is not timed
  (`timing.validate`).
- Then time in turns: in every round each side runs once, and the next round starts with another side, so that a
  machine whose speed drifts is unfair to all alike (`timing.time_in_turn`). Quote ratios; a single time says little
  on a shared machine.
- PyTorch gets the same number of threads, in the same process, and both of its memory layouts (`pytorch`).
- Rates are held against what this machine was measured to do at best, not against a data sheet (`machine`).

bench.json holds "mode", "machine" (`machine.describe`), "rounds", with `--ops` also "peaks" (`machine.Peaks`), and
"rows", which `measure` of the mode's module describes: `networks`, `operations`, `ladder` or `memory`.

Nothing in the library imports this package. PyTorch is optional, and compared with only where it is installed.
"""
