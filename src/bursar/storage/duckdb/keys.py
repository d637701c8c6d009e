"""The key of every event in the store, in sorted batches: what a key index is rebuilt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bursar.storage.duckdb.connection import fetch_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bursar.storage.duckdb.connection import Database

BATCH_ROWS = 500_000
"""Keys per batch: some 20 MB of arrays."""

_DIGEST = "md5_number(tenant_id || chr(0) || event_id)"
KEY_COLUMNS = (
    f"CAST({_DIGEST} & 18446744073709551615::UHUGEINT AS UBIGINT) AS upper,"
    f" CAST({_DIGEST} >> 64 AS UBIGINT) AS lower, seq, fingerprint"
)
"""SQL of an event's key (see `usage/applying.py`), its position and fingerprint. The digest that
stands there twice is computed once; `md5_number_upper` and `_lower` took five times as long."""
_VERSIONS = f"SELECT {KEY_COLUMNS}, coalesce(revised_seq, 0) AS version FROM"
_ALL_KEYS = (
    "SELECT upper, lower, seq, arg_min(fingerprint, version) AS fingerprint,"
    " row_number() OVER (ORDER BY upper, lower, seq) AS place"
    f" FROM ({_VERSIONS} usage_events UNION ALL {_VERSIONS} usage_history"
    " UNION ALL SELECT upper, lower, seq, fingerprint, 0 FROM removed WHERE is_tombstone)"
    " GROUP BY upper, lower, seq"
)
"""`place` stands for the row's id, which within the transaction that makes a table isn't its place."""


def read_keys(database: Database) -> Iterator[tuple[NDArray[np.void], NDArray[Any], NDArray[Any]]]:
    """Keys, seqs and fingerprints of all events ever counted, sorted by key.

    Ended versions count too: a voided event's id stays used. So do tombstones until the record comes
    that removes them. A corrected event is in both tables
    with one seq; the history's first version has the fingerprint that the client sent first.
    """
    database.execute(f"CREATE OR REPLACE TEMP TABLE all_keys AS {_ALL_KEYS}")
    total = int(database.execute("SELECT count(*) FROM all_keys").fetchall()[0][0])
    page = "SELECT * FROM all_keys WHERE place > ? AND place <= ? ORDER BY place"
    for start in range(0, total, BATCH_ROWS):
        rows = fetch_columns(database, page, [start, start + BATCH_ROWS])
        yield keys_of(rows), as_unsigned(rows["seq"]), as_unsigned(rows["fingerprint"])
    database.execute("DROP TABLE all_keys")


def keys_of(rows: dict[str, Any]) -> NDArray[np.void]:
    """The keys of fetched `KEY_COLUMNS`, as the key index takes them."""
    halves = np.empty(len(rows["upper"]), dtype=[("upper", ">u8"), ("lower", ">u8")])
    halves["upper"], halves["lower"] = rows["upper"], rows["lower"]
    return halves


def as_unsigned(column: Any) -> NDArray[np.uint64]:  # noqa: ANN401 - numpy's own array or masked array
    """A fetched UBIGINT column as plain unsigned integers."""
    return np.asarray(column, dtype=np.uint64)


def sorted_by_key(rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Fetched rows in the order of their keys, equal keys by seq."""
    order = np.argsort(rows["upper"])
    upper = rows["upper"][order]
    if (upper[1:] == upper[:-1]).any():
        order = np.lexsort((rows["seq"], rows["lower"], rows["upper"]))
    return {name: column[order] for name, column in rows.items()}
