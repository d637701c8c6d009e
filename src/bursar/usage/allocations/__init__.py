"""Owners and cost centres of projects, users and API keys, each from a day on; what nobody claims is shown.

`allocation.py` has what is recorded, `claims.py` who bears an event by it, `store.py` where it is kept,
`api.py` the endpoints. The question by these dimensions is the one of `usage/query.py`.
"""
