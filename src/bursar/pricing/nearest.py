"""Known models whose names are like an unknown one: what somebody may have meant, never what is billed.

Names are compared by what they share in order (`difflib`), without a path and in lower case. An answer is
a hint for an alias or an override that a person sets; rating itself never guesses (`match.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import TYPE_CHECKING, ClassVar

from bursar.described import DESCRIBED
from bursar.pricing.match import plain_provider

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

LIKENESS = 0.6
"""The least likeness of a name that is shown, of 1."""


@dataclass(frozen=True, slots=True)
class NearModel:
    """A known model with a name like the one that is looked for."""

    __pydantic_config__: ClassVar = DESCRIBED

    provider: str
    model: str
    name: str
    likeness: str
    """From 0 to 1, as a decimal string: the share of both names' characters that they have in common."""


class KnownModels:
    """Every model of a book by its id, ready to be searched; made once for many names."""

    def __init__(self, book: PriceBook) -> None:
        self._sellers: dict[str, list[tuple[str, str, str]]] = {}
        for offer in book.offers():
            key = _plain(offer.model.id)
            self._sellers.setdefault(key, []).append((offer.provider.id, offer.model.id, offer.model.name))
        self._names = sorted(self._sellers)

    def nearest(self, provider: str | None, model: str | None, limit: int = 3) -> tuple[NearModel, ...]:
        """The known models most like this one, those of the provider that is named before others'."""
        name, own = _plain(model or ""), plain_provider(provider or "")
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(name)
        found: list[tuple[bool, float, NearModel]] = []
        for close in get_close_matches(name, self._names, n=2 * limit, cutoff=LIKENESS) if name else ():
            matcher.set_seq1(close)
            likeness = matcher.ratio()
            for seller, model_id, title in self._sellers[close]:
                near = NearModel(seller, model_id, title, f"{likeness:.2f}")
                found.append((seller == own, likeness, near))
        found.sort(key=lambda one: (not one[0], -one[1], one[2].provider, one[2].model))
        return tuple(near for _, _, near in found[:limit])


def _plain(model: str) -> str:
    return model.strip().lower().rpartition("/")[2]
