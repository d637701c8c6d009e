"""Passwords: which are taken, what is kept of them, and how many are compared at a time."""

from __future__ import annotations

import threading

import pytest

from bursar.errors import Invalid, Overloaded
from bursar.identity.users.passwords import AT_ONCE, WAITING, Passwords, refuse_weak

PASSWORDS = Passwords()


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("short", ["too_short"]),
        ("x" * 257, ["too_long", "too_simple"]),
        ("abababababab", ["too_simple"]),
        ("abcdabcdabcd", ["too_simple"]),
        ("Password1234", ["well_known"]),
        ("ada@example.com", ["personal"]),
        ("Ada Lovelace!", ["personal"]),
        ("aaa", ["too_short", "too_simple"]),
    ],
)
def test_a_weak_password_is_refused_with_every_reason(password: str, codes: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_weak(password, "ada@example.com", "ada lovelace!")
    assert [reason.code for reason in refused.value.reasons] == codes


@pytest.mark.parametrize(
    "password", ["correct horse battery", "ünïcödé für größe", "Tr0ub4dor&3x", "x7 x7 q9 w2 z"]
)
def test_a_long_password_of_any_characters_is_taken(password: str) -> None:
    refuse_weak(password, "ada@example.com", "Ada")


def test_only_the_same_password_is_right() -> None:
    with PASSWORDS.turn():
        kept = PASSWORDS.hash("correct horse battery")
        assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert PASSWORDS.is_right("correct horse battery", kept)
        assert not PASSWORDS.is_right("correct horse batterz", kept)
        assert not PASSWORDS.is_outdated(kept)
        assert "correct" not in kept


def test_a_password_is_the_same_however_its_letters_were_composed() -> None:
    with PASSWORDS.turn():
        kept = PASSWORDS.hash("passwort für zwölf")
        assert PASSWORDS.is_right("passwort fu\u0308r zwo\u0308lf", kept)


def test_nobodys_password_is_never_right() -> None:
    with PASSWORDS.turn():
        assert not PASSWORDS.is_right("correct horse battery", None)
        assert not PASSWORDS.is_right("", None)
        assert not PASSWORDS.is_right("anything", "no hash at all")


def test_a_hash_of_another_cost_is_outdated() -> None:
    assert PASSWORDS.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")


def test_beyond_those_that_may_wait_logins_are_refused_at_once() -> None:
    passwords, inside, go = Passwords(), threading.Semaphore(0), threading.Event()

    def take() -> None:
        with passwords.turn():
            inside.release()
            go.wait()

    threads = [threading.Thread(target=take) for _ in range(AT_ONCE + WAITING)]
    for thread in threads:
        thread.start()
    for _ in range(AT_ONCE):
        inside.acquire()
    refusals = 0
    # The last of them may not be waiting yet.
    while not refusals:
        refusals += _is_refused(passwords, go)
    go.set()
    for thread in threads:
        thread.join()
    with passwords.turn():
        pass


def _is_refused(passwords: Passwords, go: threading.Event) -> bool:
    if passwords._places._value:  # type: ignore[attr-defined]
        return False
    assert not go.is_set()
    with pytest.raises(Overloaded), passwords.turn():
        pass
    return True
