"""Which cases of a list `make test` tries: those that are named.

`make kills` tries the other moments of a list of kills, `make long` the other cases of what takes long; CI
runs both. Each case costs starts, a comparison and often a whole recount. One of each kind in every run shows
that the way still works; all of them show that no step of it was forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from _pytest.mark.structures import MarkDecorator, ParameterSet


def kills(every: Mapping[str, Any], always: Collection[str]) -> list[ParameterSet]:
    """Parameters by name, each a value or a tuple of them: all but those of `always` wait for `make kills`.

    Raises:
        ValueError: a name in `always` isn't among them.
    """
    return _sampled(every, always, pytest.mark.kills)


def long(every: Mapping[str, Any], always: Collection[str]) -> list[ParameterSet]:
    """Likewise, for cases that aren't kills: all but those of `always` wait for `make long`.

    Raises:
        ValueError: a name in `always` isn't among them.
    """
    return _sampled(every, always, pytest.mark.long)


def _sampled(every: Mapping[str, Any], always: Collection[str], mark: MarkDecorator) -> list[ParameterSet]:
    if not set(always) <= every.keys():
        message = f"No such case: {sorted(set(always) - every.keys())}."
        raise ValueError(message)
    return [
        pytest.param(
            *(cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)),
            id=name,
            marks=() if name in always else (mark,),
        )
        for name, value in every.items()
    ]
