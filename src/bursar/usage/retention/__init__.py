"""How long a tenant's usage is kept: its choice, the horizon that follows, the expiry that enforces it.

`policy.py` has the values and rules, `horizons.py` what the doors ask for every body, `expiry.py` the
job that removes what is older, `api.py` how a tenant chooses.
"""
