"""Every engine and all SQL: the journal, the key index, DuckDB, and the relational state store.

Only `app` imports this package. Each engine implements a protocol that a feature declares.
"""
