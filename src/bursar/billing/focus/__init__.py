"""Usage as FOCUS 1.2 rows (FinOps Open Cost and Usage Specification), one per unit class.

`charges.py` splits sums of events into what each unit class cost, `rows.py` says that in the columns of
`columns.py`, `pieces.py` reads a whole export piece by piece. Rows sum up to the events' cost exactly.
"""
