"""Billing rules over HTTP; what they are is in `pricing/rules/`, what keeps them in `billing/registry.py`."""
