"""Cursors lead back to the position they came from, and nothing else passes for one (`identity/page.py`)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.identity.page import Position, read_cursor, write_cursor


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis wants it so
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", fullmatch=True),
)
def test_a_cursor_leads_back_to_its_position(created_at: datetime, item_id: str) -> None:
    position = Position(created_at, item_id)
    assert read_cursor(write_cursor(position)) == position


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_cursor(text: str) -> None:
    try:
        read_cursor(text)
    except Invalid as error:
        assert [reason.field for reason in error.reasons] == ["cursor"]  # noqa: PT017 - not every text is refused


@pytest.mark.parametrize(
    "inside", ["", "1", "1:", ":a", "x:a", "-1:a", f"{10**18}:a", f"{'9' * 5000}:a", "1:\0"]
)
def test_a_cursor_of_nothing_we_wrote_is_refused(inside: str) -> None:
    with pytest.raises(Invalid):
        read_cursor(base64.urlsafe_b64encode(inside.encode()).decode())
