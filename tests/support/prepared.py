"""Data folders whose state store is there already: tables made, price book filled, nobody in it.

A first start takes half a second for that, and the tests make some hundreds. The product's own code does
it once in each process of the tests; what it made is copied. Tests of first starts don't ask for it.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bursar import clock
from bursar.pricing.keeping.keeper import PriceKeeper
from bursar.storage.folder import DataFolder, claim_folder
from bursar.storage.relational.engine import make_engine
from bursar.storage.relational.migrate import upgrade
from bursar.storage.relational.price_book import RelationalPriceBook


def prepare_folder(path: Path) -> None:
    """Give a folder that is missing or empty what a first start makes before it opens the journal."""
    if path.exists() and any(path.iterdir()):
        return
    made = _made_once()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copy(made.state, path)
    shutil.copy(made.format_file, path)


@cache
def _made_once() -> DataFolder:
    """As a start leaves it that was cut short there; see `_wire` in `app/build.py`."""
    place = tempfile.mkdtemp(prefix="bursar-prepared-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = DataFolder(Path(place) / "data")
    lock = claim_folder(folder)
    engine = make_engine(f"sqlite:///{folder.state}")
    try:
        upgrade(engine)
        PriceKeeper(RelationalPriceBook(engine), clock.now).open_book()
    finally:
        engine.dispose()
        lock.release()
    return folder
