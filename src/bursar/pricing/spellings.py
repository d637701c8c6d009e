"""Other ways to write a model's name: the rules that are tried before it counts as unknown.

A name is tried as it was given, then without what an API puts around it. Two rules go further, and a
card names them where they were needed: a geography before a Bedrock model (its source prices all
geographies alike unless it lists them), and the date of a snapshot that nobody listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FINE_TUNED = "ft:"
"""How OpenAI begins the names of fine-tuned models."""

RESOURCE_PATH = re.compile(
    r"(?:(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models|arn:aws[a-z-]*:bedrock:[^/]+)/"
)
"""What Gemini, Vertex AI and Bedrock may put before a model's name."""
_COMPACT_DATE = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=-|:|$)")
_SNAPSHOT = re.compile(r"(?P<model>.+)[-@](?P<day>20\d{2}-?\d{2}-?\d{2})")
_GEOGRAPHY = re.compile(
    r"(?P<place>us-gov|us|eu|apac|ap|jp|au|ca|sa|me|af|uk|in)\.(?P<model>[a-z0-9]+\.[a-z].*)"
)
"""Bedrock's geographic inference profiles. Not `global`: what is sold worldwide may cost less."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a name, and the rules that led to it."""

    name: str
    steps: tuple[str, ...] = ()
    """Rules that only took wrapping away; an explanation names them."""
    marks: tuple[str, ...] = ()
    """Rules that took something for something else; a card names them."""
    is_snapshot: bool = False


def spellings_of(name: str, provider: str, own_names: frozenset[str] = frozenset()) -> Iterator[Spelling]:
    """The name as given, then its other spellings in the order in which they are tried.

    `own_names` are the spellings of the provider, each of which may stand before the model.
    """
    yield Spelling(name)
    plain = RESOURCE_PATH.sub("", name, count=1)
    steps = ("path_removed",) if plain != name else ()
    prefix, _, rest = plain.partition("/")
    if rest and prefix in own_names:
        plain, steps = rest, (*steps, "own_prefix_removed")
    if plain != name:
        yield Spelling(plain, steps)
    dashed = _COMPACT_DATE.sub(_with_dashes, plain)
    if dashed != plain:
        yield Spelling(dashed, (*steps, "date_with_dashes"))
    if plain.startswith(FINE_TUNED):
        return
    profile = _GEOGRAPHY.fullmatch(plain) if provider == "aws" else None
    if profile:
        yield Spelling(profile["model"], steps, (f"geography:{profile['place']}",))
    snapshot = _SNAPSHOT.fullmatch(plain)
    if snapshot and _is_date(snapshot["day"]):
        yield Spelling(snapshot["model"], steps, (f"snapshot_of:{snapshot['model']}",), is_snapshot=True)


def _with_dashes(compact: re.Match[str]) -> str:
    """LiteLLM and OpenRouter write `-20251211` where OpenAI's own names have `-2025-12-11`."""
    text = "".join(compact.groups())
    return f"-{date.fromisoformat(text).isoformat()}" if _is_date(text) else compact.group()


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
