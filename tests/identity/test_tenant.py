"""Which ids, names and time zones are fit to be kept (`identity/tenant.py`)."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from bursar.errors import Invalid
from bursar.identity.tenant import TenantChange, known_zones, refuse_unfit
from tests.support.identity import a_project, a_tenant


def codes_of(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [reason.code for reason in refused.value.reasons]


@pytest.mark.parametrize("tenant_id", ["tenant-123", "a", "A.b_c:d@e-f", "9", "x" * 128])
def test_ids_that_are_safe_everywhere_are_fit(tenant_id: str) -> None:
    refuse_unfit(a_tenant(tenant_id))


@pytest.mark.parametrize("tenant_id", ["", "-a", "a b", "a/b", "ä", "a\n", "a\0", "x" * 129, ".."])
def test_other_ids_are_refused(tenant_id: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit(replace(a_project(), id=tenant_id))
    assert codes_of(refused) == ["invalid_id"]


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "nul\0", "tab\t", "x" * 201])
def test_names_must_be_one_line_of_text(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit(TenantChange(name=name))
    assert codes_of(refused) == ["invalid_name"]


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "europe/berlin", "localtime", "../etc/passwd", "+02:00"]
)
def test_a_zone_needs_an_iana_name(zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit(TenantChange(zone=zone))
    assert codes_of(refused) == ["unknown_time_zone"]


def test_every_reason_is_given_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit(replace(a_tenant(), id="", name="", zone=""))
    assert [reason.field for reason in refused.value.reasons] == ["id", "name", "zone"]


def test_nothing_to_change_is_nothing_to_refuse() -> None:
    refuse_unfit(TenantChange())


def test_every_known_zone_can_be_used() -> None:
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata"} <= known_zones()
    assert all(ZoneInfo(name).key == name for name in known_zones())
