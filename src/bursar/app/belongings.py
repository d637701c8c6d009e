"""What the journal has of a tenant, or of one project of it: a deletion counts it, and so does its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.usage.changes import PROJECT_EXPIRE, PROJECT_RESET
from bursar.usage.own_project import keeps_sums_of, project_mark, project_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bursar.usage.whose import Whose


KEPT = "kept_sums"
"""In place of an expiry's own kind, where it holds sums of the project that is looked for."""


class JournalHead(msgspec.Struct):
    """What every record says of itself; a line that can't be read says nothing."""

    seq: int = 0
    kind: str = ""
    tenant_id: str = ""
    project_id: str | None = None
    """Of a reset or an expiry of a project."""
    run_id: str | None = None


_decode = msgspec.json.Decoder(JournalHead).decode


def read_head(line: bytes) -> JournalHead:
    """What a journal line says of itself."""
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return JournalHead()


def records_of(lines: Iterable[bytes], whose: Whose) -> Iterator[JournalHead]:
    """The records that are of a tenant, or of a project: its events, sums of them, and what removed them."""
    tenant = b'"tenant_id":' + msgspec.json.encode(whose.tenant_id)
    project = None if whose.project_id is None else project_mark(whose.project_id)
    for line in lines:
        if tenant not in line or (project is not None and project not in line):
            continue
        head = read_head(line)
        if head.tenant_id != whose.tenant_id:
            continue
        if whose.project_id is None:
            yield head
        elif keeps_sums_of(line, whose.project_id):
            # Whatever else of the record may stay, these must go.
            yield msgspec.structs.replace(head, kind=KEPT)
        elif _is_of_project(head, line, whose.project_id):
            yield head


def _is_of_project(head: JournalHead, line: bytes, project_id: str) -> bool:
    if head.kind in {PROJECT_RESET, PROJECT_EXPIRE}:
        return head.project_id == project_id
    return project_of(line) == project_id
