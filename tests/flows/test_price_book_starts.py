"""What a start makes of the price book: filled, brought up to date, left alone, killed half-way.

The recorded version is set back or ahead in the store, where an older or newer package would have left it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import update as sql_update

from bursar.pricing.keeping.installed import installed_version
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.tables.prices import PRICE_UPDATES
from bursar.storage.relational.transactions import writing
from tests.support.aim import Aim, take_aim
from tests.support.patience import wait_until
from tests.support.released import RELEASED_FOLDERS, ReleasedFolder
from tests.support.sampled import kills
from tests.support.server import server_process
from tests.support.serving import running_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import ServerProcess

UPDATES = "/api/v1/prices/updates"
STORE = "bursar.storage.relational.price_book"
KILLS = (
    Aim("the update's head is written", f"{STORE}:_add_rows", "before"),
    Aim("rows and ends are written", f"{STORE}:_add_entries", "before"),
    Aim("all is written, nothing committed", f"{STORE}:_add_entries", "after"),
)
COMMITTED = Aim("it is kept, nobody was told", f"{STORE}:RelationalPriceBook.append", "after")


def pretend_version(folder: Path, version: str) -> None:
    """Let the book say that another package filled it."""
    engine = make_engine(f"sqlite:///{folder / 'state.db'}")
    with writing(engine) as connection:
        connection.execute(sql_update(PRICE_UPDATES).values(version=version))
    engine.dispose()


def updates_of(folder: Path) -> list[dict[str, Any]]:
    with running_server(folder, from_nothing=True) as server:
        found: list[dict[str, Any]] = server.client.get(UPDATES).raise_for_status().json()["items"]
    return found


def test_a_newer_package_updates_the_book_at_the_next_start_and_leaves_the_past(tmp_path: Path) -> None:
    assert len(updates_of(tmp_path)) == 1
    pretend_version(tmp_path, "0.0.9")
    latest, _ = updates_of(tmp_path)
    assert (latest["made_by"], latest["version"]) == ("bursar", installed_version())
    assert "newer than 0.0.9" in latest["note"]
    assert latest["counts"]["rows_added"] == latest["counts"]["rows_ended"] == 0
    assert len(updates_of(tmp_path)) == 2, "one start was enough"


def test_an_older_package_leaves_the_book_alone(tmp_path: Path) -> None:
    updates_of(tmp_path)
    pretend_version(tmp_path, "99.0")
    assert [one["version"] for one in updates_of(tmp_path)] == ["99.0"]


@pytest.mark.parametrize("folder", RELEASED_FOLDERS, ids=str)
def test_a_released_folder_gets_a_book_at_its_first_start(folder: ReleasedFolder, tmp_path: Path) -> None:
    (first,) = updates_of(folder.unpack(tmp_path / "data"))
    assert first["counts"]["new"] > 5_000


def test_a_start_on_an_up_to_date_book_imports_no_package_of_prices(tmp_path: Path) -> None:
    updates_of(tmp_path)
    program = (
        "import sys; from bursar.app.build import build_platform; from bursar.settings import load_settings;"
        f" platform = build_platform(load_settings({{}}, data_dir={str(tmp_path)!r}));"
        " key = ('openai', 'gpt-4o', None, False, None, None);"
        " assert platform.books.book.tariff(key).quotes(); platform.close();"
        " print('genai_prices' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith("False")


def price_file() -> bytes:
    model = {"id": "newco-1", "match": {"equals": "newco-1"}, "prices": {"input_mtok": 3}}
    return json.dumps([{"id": "newco", "name": "Newco", "api_pattern": "x", "models": [model]}]).encode()


def send_file(server: ServerProcess) -> None:
    """Ask for an update that the server doesn't live to answer."""
    with server.client() as client, pytest.raises(httpx.TransportError):
        client.post(UPDATES, content=price_file(), params={"source": "genai-prices"})


def found_in(server: ServerProcess) -> tuple[int, bool]:
    """How many updates there are, and whether the file's model is known."""
    with server.client() as client:
        updates = client.get(UPDATES).raise_for_status().json()["items"]
        known = client.get("/api/v1/prices/newco/newco-1").is_success
    return len(updates), known


@pytest.mark.parametrize(
    "aim",
    kills({aim.name: aim for aim in (*KILLS, COMMITTED)}, always=[COMMITTED.name]),
)
def test_an_update_that_is_killed_is_kept_whole_or_not_at_all(tmp_path: Path, aim: Aim) -> None:
    with server_process(tmp_path / "data") as server:
        server.start()
        server.stop()
        server.start(partial(take_aim, aim, 1))
        send_file(server)
        wait_until(lambda: server.was_killed, aim.name)
        server.kill()
        server.start()
        assert found_in(server) == ((2, True) if aim is COMMITTED else (1, False))
        with server.client() as client:
            client.post(UPDATES, content=price_file(), params={"source": "genai-prices"}).raise_for_status()
        assert found_in(server) == (2, True)
        server.stop()


def test_a_first_start_that_is_killed_while_it_fills_the_book_is_done_over(tmp_path: Path) -> None:
    with server_process(tmp_path / "data", from_nothing=True) as server:
        server.spawn(partial(take_aim, KILLS[1], 1))
        wait_until(lambda: server.was_killed, KILLS[1].name)
        server.kill()
        server.start()
        assert found_in(server) == (1, False)
        server.stop()
