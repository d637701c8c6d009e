"""Writes the pages that follow from the code: settings, commands, events, errors, metrics, OpenAPI.

`make docs` runs this. `tests/house/test_docs.py` compares every page with its file, so that a page can't
say anything that the code doesn't. What a page says belongs to the code it is about; here is only how
settings and commands are laid out, and where each page lies.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.app import openapi, problems
from bursar.app.metrics import Metrics
from bursar.cli import reference
from bursar.settings import Settings, form_of, meaning_of, names_of
from scripts import access_page, usage_pages

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]

_SETTINGS_HEAD = """\
# Settings

Read once at start: from the command line, else the environment, else `.env` in the working directory,
else the default. A wrong value or an unknown `BURSAR_` variable stops the start with the whole list of
what is wrong. An empty value counts as not given. `bursar doctor` shows what is in force.
This page is written by `make docs` from `src/bursar/settings/`; a test fails when it is stale.

| Variable | Default | Allowed | Meaning |
|---|---|---|---|
"""
_SETTINGS_TAIL = """
Of two names for one setting the first beats the other. Names without `BURSAR_` are those that other
tools use. Sizes are powers of 1024 with `KiB`, `MiB`, `GiB`, of 1000 with `kB`, `MB`, `GB`.
"""
_ENV_HEAD = """\
# Settings of Bursar with their defaults. Copy to `.env` and uncomment what you change.
# Written by `make docs` from src/bursar/settings/.
"""


def settings_page() -> str:
    """The reference of all settings, in Markdown."""
    defaults = Settings().shown()
    rows = [
        f"| {' or '.join(f'`{name}`' for name in names_of(field))} | {_code(defaults[field])} "
        f"| {form_of(field)} | {meaning_of(field)} |"
        for field in Settings.model_fields
    ]
    return _SETTINGS_HEAD + "\n".join(rows) + "\n" + _SETTINGS_TAIL


def env_example() -> str:
    """A `.env` with every setting commented out at its default."""
    defaults = Settings().shown()
    blocks = [
        f"\n{_comment(meaning_of(field))}\n{_comment(f'Allowed: {form_of(field)}.')}\n"
        f"#{names_of(field)[0]}={defaults[field]}\n"
        for field in Settings.model_fields
    ]
    return _ENV_HEAD + "".join(blocks)


def commands_page() -> str:
    """The reference of the command line, with every option, example and exit code."""
    return reference.markdown()


def errors_page() -> str:
    """The reference of all problem kinds."""
    return problems.reference()


def metrics_page() -> str:
    """The reference of all Prometheus series."""
    return Metrics().reference()


def event_page() -> str:
    """The reference of an event's fields."""
    return usage_pages.event_page()


def query_page() -> str:
    """The reference of what can be asked."""
    return usage_pages.query_page()


def openapi_file() -> str:
    """The API's OpenAPI document, in a form that shows changes line by line."""
    return json.dumps(openapi.document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/reference/settings.md": settings_page,
    "docs/reference/commands.md": commands_page,
    "docs/reference/events.md": event_page,
    "docs/reference/query.md": query_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/permissions.md": access_page.permissions_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/openapi.json": openapi_file,
}


def write_pages() -> None:
    """Write every page that differs from its file, and name it."""
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"written: {name}")


def _comment(text: str) -> str:
    return textwrap.fill(text, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _code(text: str) -> str:
    return f"`{text}`" if text else "-"


if __name__ == "__main__":
    write_pages()
