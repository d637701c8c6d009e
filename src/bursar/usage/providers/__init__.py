"""Each provider's own usage object, turned into disjoint units.

One file per provider makes a `Provider` (`provider.py`), one line in `registry.py` makes it known.
`normalise.py` chooses by shape and name, `streams.py` folds a streamed answer into the one that would
have come unstreamed. Providers disagree on whether cached, reasoning and thinking tokens are inside
their totals; that knowledge lives here only. How to add one: docs/how-to/add-a-provider.md.
"""
