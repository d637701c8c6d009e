"""Requests to addresses that users give: web hooks, identity providers, price lists behind a URL.

Whoever can make a server ask a URL can make it ask what only the server reaches: cloud metadata, a database's
admin page, itself. So every such request goes through `Outgoing` (`asking.py`), or through its transport
(`transport.py`) where a library brings a client of its own. `reach.py` decides which addresses are public.
Addresses from the operator's settings (a database, a collector of spans) need none of this; an identity
provider's own server is such a one, what it refers to is not (`Outgoing(own=…)`).
"""

from __future__ import annotations

from bursar.outgoing.asking import Answer, Bounds, Outgoing
from bursar.outgoing.reach import Reach
from bursar.outgoing.transport import GuardedTransport

__all__ = ["Answer", "Bounds", "GuardedTransport", "Outgoing", "Reach"]
