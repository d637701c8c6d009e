"""The `bursar` command: parse, call, print. No decisions live here.

Start at `main.py`, which lists the commands; each is a module of its own. A command reaches the ledger
through `connection.py`, shows what it found through `printing.py`, and fails through `failures.py`.
Nothing heavy is imported before a command runs, so that `bursar --help` answers at once.
"""

from __future__ import annotations
