"""Quotas: how many events a tenant, or a project of it, may record in a month, and what they may cost.

`quota.py` says what a quota is, `room.py` is the arithmetic of what is left of it, `gate.py` asks it for
every event at the door, `closer_look.py` again where it is close, `register.py` knows which there are, and
`api.py` shows and sets them.
"""
