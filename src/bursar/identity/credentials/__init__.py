"""Credentials for providers: secrets that tenants entrust to Bursar, sealed before they are kept.

`envelope.py` seals, `master_keys.py` has the keys, `vault.py` does what callers ask for.
"""
