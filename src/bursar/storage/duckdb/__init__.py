"""The embedded usage store: one DuckDB file of raw rows and rollups, all derived from the journal.

`schema.py` has the tables, `connection.py` opens the file, `apply.py` turns journal records into
rows, `questions.py` answers queries. Nothing but the applier writes here.
"""
