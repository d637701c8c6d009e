"""How many examples a property tries: some in `make test`, four times as many in `make fuzz`, which CI runs.

`make test-slow` tries many times as many. A property asks here for its usual number, unless the one of the
profile in `conftest.py` is right for it; so one variable is enough to try more of each.
"""

from __future__ import annotations

import os

ROUNDS = "BURSAR_ROUNDS"
"""The variable that says how many times the usual examples are tried."""
TIMES = int(os.environ.get(ROUNDS, "1"))


def rounds(usually: int, in_every_run: int | None = None) -> int:
    """Examples to try, given how many are tried in a usual run.

    `in_every_run` is for properties whose single examples take seconds: so many of them are tried in `make
    test`, and `usually` is what longer runs multiply.
    """
    return in_every_run if in_every_run and TIMES == 1 else usually * TIMES
