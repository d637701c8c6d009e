"""Each provider's own usage object, turned into disjoint units.

One file per family; `normalise.py` chooses by shape and provider, `streams.py` folds a streamed
answer into the one that would have come unstreamed. Providers disagree on whether cached, reasoning
and thinking tokens are inside their totals; that knowledge lives here only.

To add a family: write `<family>.py` with one pure function from the raw usage object to
`ProviderUsage`, reading numbers through `counts.py` so that every reason is collected; add its line
to `FAMILIES` in `normalise.py` (and, if its streams differ, one to `FOLDS` in `streams.py`); add its
recorded answers to the table in `tests/conformance/`, with units worked out by hand.
"""
