"""Registered services over HTTP; what they are is in `billing/registered.py`."""
