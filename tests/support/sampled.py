"""Which moments of a list of kills `make test` tries: those that are named. `make kills` tries the others.

Each kill costs starts, a comparison and often a whole recount. One of each kind in every run shows that the
way back still works; all of them, which CI runs, show that no step of it was forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from _pytest.mark.structures import ParameterSet


def kills(every: Mapping[str, Any], always: Collection[str]) -> list[ParameterSet]:
    """Parameters by name, each a value or a tuple of them: all but those of `always` wait for `make kills`.

    Raises:
        ValueError: a name in `always` isn't among them.
    """
    if not set(always) <= every.keys():
        message = f"No such moment: {sorted(set(always) - every.keys())}."
        raise ValueError(message)
    return [
        pytest.param(
            *(cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)),
            id=name,
            marks=() if name in always else (pytest.mark.kills,),
        )
        for name, value in every.items()
    ]
