"""Everything that servers of this process log meanwhile, and whose each line is by what it says itself.

When a line comes tells nothing: a request's own is written after its answer, so that it may still come while
somebody else asks. But each line says whose it is, by the request that it was written for or by the tenant
that it names, and may hold nothing of another.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from tests.support.worlds import MADE_UP, MARK

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from tests.support.worlds import Tenant, Worlds

    Line = Mapping[str, Any]

SAYING_WHOSE = ("request_id", "tenant_id", "tenant", "owner")
"""Fields that say for whose request a line was written, or about whom it is."""
OF_TESTS = ("httpx", "httpcore", "hypothesis")
"""Loggers of the tests' own, which name whatever they ask for."""


@contextmanager
def lines_told(worlds: Worlds) -> Generator[Sequence[Line]]:
    """The lines of all levels that are logged meanwhile; at the end none may tell of another tenant."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    told = _Foreign()
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(told)
    root.setLevel(logging.DEBUG)
    try:
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            yield lines
    finally:
        root.removeHandler(told)
        root.setLevel(level)
    for line in [*lines, *told.lines]:
        refuse_others_words(worlds, line)


def refuse_others_words(worlds: Worlds, line: Line) -> None:
    """Fail where a line holds a mark that isn't of the one whose it says it is, or an id of the other's."""
    text = repr(line)
    said = [str(line[name]) for name in SAYING_WHOSE if line.get(name)]
    whose = set(MARK.findall(" ".join(said).encode()))
    assert len(whose) <= 1, text
    assert set(MARK.findall(text.encode())) <= whose, text
    for tenant in worlds.tenants.values():
        if whose == {tenant.mark.encode()}:
            told = {found[0] for found in MADE_UP.finditer(text)}
            assert not told & _ids_of_other(worlds, tenant), text


def _ids_of_other(worlds: Worlds, tenant: Tenant) -> set[str]:
    """Ids that were told to the other one, and that this one never said."""
    theirs = {
        one
        for side in worlds.other(tenant.name).sides
        for several in side.made_up.values()
        for one in several
    }
    said = "".join(side.said for side in tenant.sides)
    return {one for one in theirs if one not in said}


class _Foreign(logging.Handler):
    """Keeps what libraries log by Python's own means: such a line says of nobody whose it is."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless it is a test's."""
        if not record.name.startswith(OF_TESTS):
            self.lines.append({"event": record.getMessage(), "logger": record.name})
