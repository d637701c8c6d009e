"""The recipe of docs/explanation/security.md: a ledger in a folder that the kernel encrypts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.encrypted_volume import encrypted_volume
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.encrypted_volume import EncryptedVolume

WORDS = "words-of-an-event-that-only-its-owner-may-read"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[EncryptedVolume]:
    try:
        made = encrypted_volume(tmp_path)
        volume = made.__enter__()
    except OSError as error:
        pytest.skip(f"no encrypted volume: {error}")
    yield volume
    made.__exit__(None, None, None)


def events_in(data: Path) -> int:
    with running_server(data) as server:
        recount = server.platform.stores.recount(lambda _step, _records: None)
    assert recount.is_clean
    return recount.events


# Beside other tests in one process something of the folder stays open, and the volume can't be shut.
@pytest.mark.slow
def test_a_ledger_on_an_encrypted_folder_leaves_no_word_on_the_disk_and_shuts_with_its_key(
    volume: EncryptedVolume,
) -> None:
    data = volume.folder / "ledger"
    (volume.place / "beside").write_text(f"{WORDS}, in clear")
    with running_server(data) as server:
        body = {"model": "gpt-4o-mini", "input_tokens": 1, "metadata": {"note": WORDS + "!"}}
        server.client.post("/api/v1/events?wait=applied", json=body).raise_for_status()
    journal = b"".join(path.read_bytes() for path in (data / "journal").iterdir())
    assert f"{WORDS}!".encode() in journal
    os.sync()
    raw = volume.image.read_bytes()
    assert f"{WORDS}, in clear".encode() in raw
    assert f"{WORDS}!".encode() not in raw
    volume.lock(volume.unlock())
    names = {path.name for path in volume.folder.iterdir()}
    assert len(names) == 1
    assert "ledger" not in names
    with pytest.raises(OSError, match="Required key not available"):
        (volume.folder / "ledger").mkdir()
    volume.unlock()
    assert events_in(data) == 1
