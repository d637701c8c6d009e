"""The state store: tenants, projects, keys and price snapshots in SQLite or PostgreSQL.

One body of SQLAlchemy Core serves both engines. `engine.py` opens one, `migrate.py` brings its tables
up to `tables/`, `transactions.py` is how everything else here reads and writes.
"""
