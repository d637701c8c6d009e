"""Aimed kills: a server process that ends itself with SIGKILL at a chosen call of a chosen function.

The aim is taken in the child, after the fork and before the server begins, by wrapping the function;
the product has no hook for it. Some moments come too seldom by themselves, so an aim may also replace
constants that say how often something happens.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import threading
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable


Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Aim:
    """A moment to kill at."""

    name: str
    """What has just been done, and what not yet."""
    target: str
    """`package.module:function` or `package.module:Class.method`, where it is looked up when it is called."""
    moment: Moment
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    """`package.module:NAME` to the value that brings the moment about sooner."""
    up_to_call: int = 6
    """The kill comes at one of so many first calls."""
    chore: str | None = None
    """What the server is asked to do over and over meanwhile (`tests/chaos/chores.py`)."""


def take_aim(aim: Aim, call: int) -> None:
    """From now on this process dies at that call of the target."""
    for place, value in aim.constants.items():
        replace(place, value)
    owner, name = owner_of(aim.target)
    inner: Any = owner.__dict__[name]
    wrapped = _deadly(_function_of(inner), call, aim.moment)
    setattr(owner, name, staticmethod(wrapped) if isinstance(inner, staticmethod) else wrapped)


def _deadly(inner: Callable[..., Any], call: int, moment: str) -> Callable[..., Any]:
    lock, calls = threading.Lock(), 0

    @functools.wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        nonlocal calls
        with lock:
            calls += 1
            is_it = calls == call
        if is_it and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = inner(*arguments, **named)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return wrapped


def replace(place: str, value: object) -> None:
    """Give `package.module:NAME` another value in this process."""
    owner, name = owner_of(place)
    setattr(owner, name, value)


def owner_of(place: str) -> tuple[Any, str]:
    """The module or class that a place is in, and its name there."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    found = importlib.import_module(module)
    return (attrgetter(".".join(outer))(found) if outer else found), name


def _function_of(found: Any) -> Callable[..., Any]:  # noqa: ANN401 - a function, or what wraps one
    return found.__func__ if isinstance(found, staticmethod) else found
