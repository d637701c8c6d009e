"""The rules of rotating a key: the same terms, both for a while, and nothing that the creator lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bursar.errors import Conflict, Forbidden, Invalid, MissingScope
from bursar.identity.caller import Caller
from bursar.identity.keys import new_key
from bursar.identity.permissions import Scope, permissions_of
from bursar.identity.rotation import OVERLAP, RotationAsk, rotation_of
from tests.support.identity import NOON, some_terms

if TYPE_CHECKING:
    from bursar.identity.keys import ApiKey, KeyTerms

ADMIN = Caller("acme", "key_admin", permissions_of({Scope.ADMIN}))
DAY = timedelta(days=1)


def a_key(terms: KeyTerms | None = None) -> ApiKey:
    return new_key(terms or some_terms(), NOON).key


def test_the_new_key_has_the_same_terms_and_the_old_one_ends_after_the_overlap() -> None:
    terms = replace(some_terms(), project_id="search", networks=("10.0.0.0/8",))
    rotation = rotation_of(a_key(terms), RotationAsk(), ADMIN, NOON + DAY)
    assert (rotation.terms, rotation.ends_at) == (terms, NOON + DAY + OVERLAP)


def test_a_key_that_was_to_expire_lives_as_long_again_and_ends_no_later() -> None:
    old = a_key(some_terms(expires_at=NOON + 30 * DAY))
    rotation = rotation_of(old, RotationAsk(overlap=10 * DAY), ADMIN, NOON + 25 * DAY)
    assert rotation.terms.expires_at == NOON + 55 * DAY
    assert rotation.ends_at == NOON + 30 * DAY
    chosen = RotationAsk(expires_at=NOON + 90 * DAY)
    assert rotation_of(old, chosen, ADMIN, NOON).terms.expires_at == NOON + 90 * DAY
    with pytest.raises(Invalid):
        rotation_of(old, RotationAsk(expires_at=NOON - DAY), ADMIN, NOON)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (a_key(some_terms(expires_at=NOON)), "key_expired"),
        (replace(a_key(), revoked_at=NOON), "key_revoked"),
        (a_key(some_terms(from_setting="BURSAR_API_KEY")), "key_of_setting"),
    ],
)
def test_a_key_that_can_not_be_rotated_says_why(key: ApiKey, code: str) -> None:
    with pytest.raises(Conflict) as refused:
        rotation_of(key, RotationAsk(), ADMIN, NOON)
    assert [reason.code for reason in refused.value.reasons] == [code]


def test_nobody_gets_more_by_rotating_than_by_making_a_key() -> None:
    writer = replace(ADMIN, permissions=permissions_of({"keys:write"}))
    with pytest.raises(MissingScope):
        rotation_of(a_key(), RotationAsk(), writer, NOON)
    with pytest.raises(Forbidden):
        rotation_of(a_key(some_terms(is_operator=True)), RotationAsk(), ADMIN, NOON)
