"""Fixtures that every test may ask for; each is defined in `support/`, beside what it builds."""

from __future__ import annotations

import os
import sys

pytest_plugins = ["tests.support.relational"]

# Tests start hundreds of processes. Where bytecode isn't kept, as in many containers, each of them compiles
# all sources anew, which takes twice as long as everything else that it does at its start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
