"""Bursar: a self-hosted ledger for AI usage and spend.

The package is laid out by feature, in the order of the story: who asks (`identity`), what a unit
costs (`pricing`), what happened (`usage`). Every engine lives in `storage`, the wiring in `app`,
the commands in `cli`. Start reading at `app/build.py`.
"""

from __future__ import annotations

__version__ = "0.1.0"
