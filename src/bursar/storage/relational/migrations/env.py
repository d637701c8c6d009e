"""Alembic's entry: runs the steps on the connection that `migrate.py` hands over, in its transaction.

To write the next step, add a file to `versions/` whose `down_revision` is the present head; the test
of the migrations prints what still differs from `tables/`. A step is never changed once released.
"""

from __future__ import annotations

from alembic import context

from bursar.storage.relational.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes a table by making a new one.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
