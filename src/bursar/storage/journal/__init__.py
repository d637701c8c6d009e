"""The journal: the durable, append-only log of accepted records, and the source of all usage data.

`frame.py` is the format, `segments.py` the files, `recover.py` what happens at start, `writer.py`
the group commit, `reader.py` how the applier and `verify` read it back. The journal knows nothing
of what its records mean.
"""
