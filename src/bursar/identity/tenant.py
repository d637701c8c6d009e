"""Tenants and their projects: values and the rules for their ids, names and time zones.

A tenant is an organisation and the boundary that no data crosses; a project is one of the things
it spends on. Both are plain values: `store.py` keeps them, `api.py` shows them.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, assert_never

from bursar.errors import Invalid, NotFound, Reason

if TYPE_CHECKING:
    from datetime import datetime

DEFAULT_TENANT_ID = "default"
"""The tenant that a first start makes, and the one that keys from settings belong to."""
DEFAULT_ZONE = "UTC"

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"
"""Ids that people choose: safe in a path, a header, a file name and a log line."""
WHOSE_PATTERN = f"{ID_PATTERN[:-1]}(/{ID_PATTERN[1:-1]})?$"
"""A tenant, or a project of one: `acme`, `acme/support`."""
NAME_PATTERN = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
"""Names are one line of text, not only spaces; PostgreSQL keeps no NUL, and a log line no line break."""
NAME_LIMIT = 200

_ID = re.compile(ID_PATTERN)
_NAME = re.compile(NAME_PATTERN)


class TenantState(StrEnum):
    """Whether a tenant takes part; its data stays in either state."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Its usage is refused; its keys may still read what was recorded."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation: whatever belongs to one tenant is invisible to every other."""

    id: str
    name: str
    zone: str
    """IANA name of the time zone in which its days and months are reported."""
    created_at: datetime
    state: TenantState = TenantState.ACTIVE


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What to change of a tenant; None leaves a field as it is."""

    name: str | None = None
    zone: str | None = None
    state: TenantState | None = None


@dataclass(frozen=True, slots=True)
class RemovedTenant:
    """What went with a tenant."""

    keys: int
    projects: int


@dataclass(frozen=True, slots=True)
class RemovedProject:
    """What went with a project."""

    keys: int
    roles: int
    """Bindings of people's roles in it."""
    seat_plans: int
    price_terms: int
    allocations: int
    """Of the project, and of its keys."""
    quotas: int


class ProjectState(StrEnum):
    """Whether usage of a project is taken; what was recorded stays in either state."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """New events that name it are refused."""


@dataclass(frozen=True, slots=True)
class Project:
    """Something a tenant spends on; its id is unique within the tenant."""

    id: str
    tenant_id: str
    name: str
    created_at: datetime
    state: ProjectState = ProjectState.ACTIVE


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What to change of a project; None leaves a field as it is."""

    name: str | None = None
    state: ProjectState | None = None


def no_project(project_id: str) -> NotFound:
    """The refusal of a project id that the tenant doesn't have, or the caller may not see."""
    return NotFound(f"There is no project '{project_id}'.")


@cache
def known_zones() -> frozenset[str]:
    """Every IANA time zone name that this machine (or the `tzdata` package) knows."""
    # `localtime` is whatever this machine was set to and `Factory` is a placeholder: neither names a place.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def is_name(text: str) -> bool:
    """Whether the text is fit as a name: one line, not empty, not too long."""
    return len(text) <= NAME_LIMIT and _NAME.fullmatch(text) is not None


def refuse_unfit(thing: Tenant | Project | TenantChange | ProjectChange) -> None:
    """Refuse an id, a name or a time zone that can't be kept.

    Raises:
        Invalid: with every reason.
    """
    match thing:
        case Tenant():
            reasons = _about_id(thing.id) + _about_name(thing.name) + _about_zone(thing.zone)
        case Project():
            reasons = _about_id(thing.id) + _about_name(thing.name)
        case TenantChange():
            about_name = () if thing.name is None else _about_name(thing.name)
            reasons = about_name + (() if thing.zone is None else _about_zone(thing.zone))
        case ProjectChange():
            reasons = () if thing.name is None else _about_name(thing.name)
        case _:
            assert_never(thing)
    if reasons:
        raise Invalid(reasons=reasons)


def _about_id(text: str) -> tuple[Reason, ...]:
    if _ID.fullmatch(text):
        return ()
    message = "must begin with a letter or digit and have at most 128 letters, digits or ._:@-"
    return (Reason("id", "invalid_id", message),)


def _about_name(text: str) -> tuple[Reason, ...]:
    if is_name(text):
        return ()
    return (Reason("name", "invalid_name", f"must be one line of 1 to {NAME_LIMIT} characters"),)


def _about_zone(text: str) -> tuple[Reason, ...]:
    if text in known_zones():
        return ()
    return (Reason("zone", "unknown_time_zone", "must be an IANA name such as 'Europe/Berlin' or 'UTC'"),)
