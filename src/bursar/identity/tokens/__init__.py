"""Tracking tokens: names by which an event says which app or place it came from.

They are no credentials: whoever sends usage needs a key all the same.
"""
