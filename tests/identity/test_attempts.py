"""Wrong passwords in a row for one address: five are free, then waits double up to an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.identity.logins.attempts import (
    FIRST_WAIT,
    FORGOTTEN_AFTER,
    FREE_ATTEMPTS,
    LONGEST_WAIT,
    Attempts,
    attempt_key,
    next_attempts,
)
from tests.support.identity import NOON, SECOND

if TYPE_CHECKING:
    from datetime import timedelta


def after(count: int) -> Attempts:
    """The state after so many, each as soon as it may be."""
    attempts, now = None, NOON
    for _ in range(count):
        now = max(now, attempts.locked_until or now) if attempts else now
        attempts = next_attempts(attempts, now)
    assert attempts is not None
    return attempts


def wait_of(attempts: Attempts) -> timedelta:
    assert attempts.locked_until is not None
    return attempts.locked_until - attempts.last_at


def test_four_wrong_passwords_bring_no_wait_and_the_fifth_does() -> None:
    assert not after(FREE_ATTEMPTS - 1).is_locked(NOON)
    assert after(FREE_ATTEMPTS).is_locked(NOON + FIRST_WAIT - SECOND)
    assert not after(FREE_ATTEMPTS).is_locked(NOON + FIRST_WAIT)


def test_waits_double_up_to_an_hour() -> None:
    waits = [wait_of(after(count)) // SECOND for count in range(FREE_ATTEMPTS, FREE_ATTEMPTS + 9)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert wait_of(after(500)) == LONGEST_WAIT


def test_a_quiet_day_is_a_new_beginning() -> None:
    attempts = after(FREE_ATTEMPTS)
    assert next_attempts(attempts, attempts.last_at + FORGOTTEN_AFTER + SECOND).count == 1


def test_attempts_of_two_tenants_are_counted_apart() -> None:
    keys = {attempt_key("acme", "a@b.c"), attempt_key("rival", "a@b.c"), attempt_key("acme", "b@b.c")}
    assert len(keys) == len({key.digest for key in keys}) == 3
