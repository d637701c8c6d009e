"""The audit log: who did what that matters, from where, and what it changed; kept so that changes show.

An act is announced before it is carried out and concluded after it (`deed.py`); entries are chained by
their hashes, one chain per tenant and one of the platform (`entry.py`, `verify.py`). Which endpoints are
acts, and how they get here, is in `app/audited.py`; the tables are behind `store.py`.
"""
