"""The installed genai-prices package as a source; asking for its version doesn't import it.

Importing it takes half a second, so a start does that only when its version isn't the one that the
book has already.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.pricing.documents import content_hash
from bursar.pricing.keeping.source import GENAI, PriceSource

if TYPE_CHECKING:
    from bursar.pricing.entries import PriceData


def installed_version() -> str:
    """The version of the installed package."""
    return version(GENAI)


def is_older_package(one: str, recorded: str) -> bool:
    """Whether a version is that of a package with older data than is recorded: of a later package, or a file.

    A file's version begins with that of the package which read it, and is taken to be newer than that.
    """
    return "+" not in one and one != recorded and not is_newer(one, recorded)


def is_newer(one: str, other: str) -> bool:
    """Whether a version is later than another, number by number."""
    return _numbers(one) > _numbers(other)


@cache
def read_installed() -> PriceSource:
    """Everything that the installed package says; read once in the life of a process."""
    from bursar.pricing.genai_source import read_data  # noqa: PLC0415 - imports the package

    return source_of(read_data(), installed_version(), content_hash(_data_file().read_bytes()))


def source_of(data: PriceData, data_version: str, digest: str) -> PriceSource:
    """Data of genai-prices as a source."""
    return PriceSource(
        name=GENAI,
        version=data_version,
        content_hash=digest,
        providers=tuple(seller.entry for seller in data.providers.values()),
        entries=tuple(entry for seller in data.providers.values() for entry in seller.models.models),
        rows={place: tuple(rows) for place, rows in data.rows.items()},
    )


def _data_file() -> Path:
    spec = find_spec("genai_prices")
    assert spec is not None  # noqa: S101 - it is a dependency
    assert spec.origin is not None  # noqa: S101 - it is no namespace package
    return Path(spec.origin).parent / "data.py"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
