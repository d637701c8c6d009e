"""Seats: subscriptions paid by the month, spread over the days that they are for.

`plan.py` is the value and its arithmetic, `recording.py` makes a usage event of each day, `api.py` is
how people enter them. The events come in by the one door and are in every total like others.
"""
