"""`python -m bursar`: the same as the `bursar` command, for places where scripts aren't on the path."""

from __future__ import annotations

from bursar.cli.main import app

app(prog_name="bursar")
