"""Billing rules: what a call of any service costs, by a formula that its tenant chose.

Pure values. `charge.py` lists the kinds of charge, one small module each; `rule.py` finds the rule that
counts for a call; `card.py` is what a rated event keeps of it.
"""
