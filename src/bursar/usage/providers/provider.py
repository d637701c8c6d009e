"""What the file of a provider says: its usage objects, its streams, and where answers keep things.

These are the shapes only. Each provider has one file that makes a `Provider` of them, and one line in
`registry.py` that makes it known; `normalise.py` chooses among families, `streams.py` among folds, and
`usage/formats/` reads whole answers through the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from bursar.usage.providers.provider_usage import ProviderUsage

Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of usage object: how it is recognised and read."""

    name: str
    shape: str
    """The shape as a person would write it, for the refusal of an unknown one."""
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], ProviderUsage]
    named: tuple[str, ...] = ()
    """Words in a provider's name that put this family before the others that recognise an object."""
    only_named: bool = False
    """Whether the shape says too little by itself (a lone total), so that the name must speak for it."""
    is_disputed: Callable[[Mapping[str, Any]], str] | None = None
    """Why another family would read this object differently, so that only a name settles it; else ''."""
    settled_by: tuple[str, ...] = ()
    """Words in a provider's name that settle such a dispute for this family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One kind of stream: how one of its chunks is recognised and taken into the answer."""

    api: str
    recognises: Callable[[Chunk], bool]
    take: Callable[[Chunk, Chunk], bool]
    """Takes a chunk into the answer and says whether it was the end of it."""
    text_of: Callable[[Chunk], str] | None = None
    """What a chunk adds to the answer's text, for an estimate where nobody counted."""
    only_fills: bool = False
    """Whether it stands beside another stream, whose answer it fills only where that said nothing."""


class CallPlace(NamedTuple):
    """What the address of a call says."""

    model: str | None = None
    region: str | None = None
    provider: str | None = None
    """Who bills, where a router passed the call on."""


def segment_after(path: str, mark: str) -> str:
    """The segment of an address's path behind a mark, without a `:method`; empty where there is none."""
    return path.partition(mark)[2].partition("/")[0].partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Everything that is known of one provider's answers."""

    name: str
    """As events call it: the id of its price list."""
    labels: tuple[str, ...] = ()
    """Other names for it in recordings."""
    families: tuple[Family, ...] = ()
    """Usage objects of its own; one that borrows another's shape needs none."""
    folds: tuple[Fold, ...] = ()
    """Streams of its own."""
    api_of: Callable[[Mapping[str, Any]], str] | None = None
    """Which of its APIs answers in this shape, empty where it is none of its own."""
    is_imitated: bool = False
    """Whether others answer in its shapes, so that a shape doesn't tell who answered."""
    answer_of: Callable[[Mapping[str, Any], Mapping[str, str]], Mapping[str, Any]] | None = None
    """An answer and its headers, under the names that most use: id, model, created, usage, error."""
    call_of: Callable[[SplitResult], CallPlace] | None = None
    """What the address of a call says of model, region and who bills."""
    passed_to: Callable[[Mapping[str, str]], str | None] | None = None
    """Who bills, where the answer's headers say to whom a router passed the call on."""
    names_models: bool = True
    """Whether the model in its answers is the one that its price list names; else the one asked for is."""
