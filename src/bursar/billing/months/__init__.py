"""Monthly billing summaries: what a month of a tenant cost, when it closes, and what changes afterwards.

`month.py` is the calendar, `bill.py` the sums, `closing.py` what is kept of a closed month,
`summary.py` puts an answer together, `estimate.py` says how an open month may end.
"""
