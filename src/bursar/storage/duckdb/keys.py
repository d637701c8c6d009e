"""The key of every event in the store, in sorted batches: what a key index is rebuilt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from numpy.typing import NDArray

BATCH_ROWS = 500_000
"""Keys per batch: about 50 MB of Python objects."""

KEY_COLUMNS = (
    "md5_number_upper(tenant_id || chr(0) || event_id) AS upper,"
    " md5_number_lower(tenant_id || chr(0) || event_id) AS lower, seq, fingerprint"
)
"""SQL of an event's key (see `usage/applying.py`), its position and fingerprint."""


def read_keys(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[list[bytes], NDArray[Any], NDArray[Any]]]:
    """Keys, seqs and fingerprints of all events ever counted, sorted by key.

    Ended versions count too: a voided event's id stays used. A corrected event is in both tables
    with one seq; the history's first version has the fingerprint that the client sent first.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE all_keys AS SELECT upper, lower, seq, arg_min(fingerprint, version) AS"
        f" fingerprint FROM (SELECT {KEY_COLUMNS}, coalesce(revised_seq, 0) AS version FROM usage_events UNION ALL"
        f" SELECT {KEY_COLUMNS}, coalesce(revised_seq, 0) AS version FROM usage_history)"
        " GROUP BY upper, lower, seq ORDER BY upper, lower, seq"
    )
    total = int(connection.execute("SELECT count(*) FROM all_keys").fetchall()[0][0])
    for start in range(0, total, BATCH_ROWS):
        rows: dict[str, Any] = connection.execute(
            "SELECT * FROM all_keys WHERE rowid >= ? AND rowid < ? ORDER BY rowid", [start, start + BATCH_ROWS]
        ).fetchnumpy()
        yield key_bytes(rows), as_unsigned(rows["seq"]), as_unsigned(rows["fingerprint"])
    connection.execute("DROP TABLE all_keys")


def key_bytes(rows: dict[str, Any]) -> list[bytes]:
    """The 16-byte keys of fetched `KEY_COLUMNS`."""
    halves = np.empty(len(rows["upper"]), dtype=[("upper", ">u8"), ("lower", ">u8")])
    halves["upper"], halves["lower"] = rows["upper"], rows["lower"]
    raw = halves.tobytes()
    return [raw[i : i + 16] for i in range(0, len(raw), 16)]


def as_unsigned(column: Any) -> NDArray[np.uint64]:  # noqa: ANN401 - numpy's own array or masked array
    """A fetched UBIGINT column as plain unsigned integers."""
    return np.asarray(column, dtype=np.uint64)
