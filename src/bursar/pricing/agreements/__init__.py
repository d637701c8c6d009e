"""What a tenant agreed on or chose about prices: overrides, aliases, trusted costs, a reporting currency.

The values that rating uses are in `pricing/terms.py`; here is how they are said, checked, kept and served.
"""
