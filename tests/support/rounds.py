"""How many examples the costly properties try: few in `make test`, ten times as many in `make test-slow`.

Only for properties that take tens of seconds, because each example fills stores of its own; those of
`tests/fuzz` count their own examples (`odd_events.py`).
"""

from __future__ import annotations

import os

ROUNDS = "BURSAR_ROUNDS"
"""The variable that says how many times the usual examples are tried."""


def rounds(usually: int) -> int:
    """Examples to try, given how many are tried in a usual run."""
    return usually * int(os.environ.get(ROUNDS, "1"))
