"""A Parquet file in the making leaves nothing behind, wherever the disk is full."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bursar.storage.duckdb.connection import DuckDBLimits
from bursar.storage.duckdb.parquet_file import ParquetFile
from bursar.usage.exports.columns import EVENT_EXPORT
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from pathlib import Path


def add_noise(made: ParquetFile) -> None:
    for _ in range(100):
        made.add(os.urandom(2**11).hex().encode())


def test_texts_that_find_no_room_are_gone_once_they_are_discarded(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2**20) as disk:
        folder = disk.path / "exports"
        folder.mkdir()
        made = ParquetFile(folder / "usage.parquet", EVENT_EXPORT, DuckDBLimits())
        disk.leave_only(2**16)
        with pytest.raises(OSError, match="No space left"):
            add_noise(made)
        made.discard()
        assert list(folder.iterdir()) == []
