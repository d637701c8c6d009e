"""How often somebody may ask: token buckets per key, tenant and address, apart for ingest and reads.

`bucket.py` is the arithmetic, `policy.py` says which buckets there are and what a request is told of them,
`local.py` keeps them in this process. `storage/redis` keeps them for several servers together, and
`app/rate_limits.py` decides which of the two counts.
"""
