"""What a server process needs before it opens anything: imported and read here, once, to be forked from.

Only `child.py` has use for this module. Nothing in it may open a store or start a thread, for neither
survives a fork.
"""

from __future__ import annotations

from bursar.app.http import make_bare_api
from bursar.app.server import run_server
from bursar.cli import serve
from bursar.pricing.keeping.installed import read_installed
from tests.support.remembered_routes import remember_routes

__all__ = ["run_server", "serve"]

remember_routes()
read_installed()
make_bare_api().openapi()
