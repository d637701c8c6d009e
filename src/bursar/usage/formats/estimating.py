"""How many tokens a text has, where nobody counted: an estimate, with the method named.

OpenAI's own tokenizer (tiktoken, the extra `estimates`) where it knows the model and its encoding lies in
`TIKTOKEN_CACHE_DIR`: nothing is ever downloaded for an estimate. Else characters: 4 a token for English,
3 for code, 5 for other text. The text itself is counted here and kept nowhere.

    code     one in ten of its characters, spaces aside, is a sign that programs and data are made of
    English  at least 98 of 100 of its letters are plain a to z
    other    everything else
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHARACTERS_PER_TOKEN = {"english": 4, "code": 3, "other": 5}
CODE_SIGNS = frozenset('{}[]()<>;=&|\\/_$#@*+:"')
CODE_SHARE = 10
"""One in so many characters makes it code; prose has fewer than one in twenty-five."""
PLAIN_LETTERS_PERCENT = 98
"""German and French have 95 to 97 plain letters in a hundred, English 100 but for names."""
SAMPLE_CHARACTERS = 65_536
"""Of a longer text its beginning says what kind it is: looking at each character takes 0.1 µs."""
TIKTOKEN_CHARACTERS = 1_000_000
"""Longer texts are counted by characters: no model answers at such length, and the tokenizer takes 0.2 s."""
ENCODINGS = "https://openaipublic.blob.core.windows.net/encodings/"
"""Where tiktoken would download from; it keeps a file under the SHA-1 of its address."""
FILES = {
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
"""The SHA-256 of each encoding's file, as tiktoken has it: a damaged one it would fetch anew."""
KEPT_IN = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base"}
"""Encodings that are kept in another's file."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """How many tokens a text has, and what says so."""

    tokens: int
    method: str
    """`tiktoken:<encoding>` or `characters:<characters a token>`."""


def estimate_tokens(text: str, model: str | None) -> TokenEstimate:
    """The tokens of a text that went to a model or came from it."""
    encoding = _encoding_name(model) if model else None
    count = _counter(encoding, os.environ.get("TIKTOKEN_CACHE_DIR", "")) if encoding else None
    if count is not None and len(text) <= TIKTOKEN_CHARACTERS:
        return TokenEstimate(count(text), f"tiktoken:{encoding}")
    size = CHARACTERS_PER_TOKEN[kind_of_text(text[:SAMPLE_CHARACTERS])]
    return TokenEstimate(-(-len(text) // size), f"characters:{size}")


def kind_of_text(text: str) -> str:
    """`english`, `code` or `other`; a text without letters or signs is English."""
    signs = sum(character in CODE_SIGNS for character in text)
    seen = len(text) - sum(map(str.isspace, text))
    if signs * CODE_SHARE >= seen > 0:
        return "code"
    letters = sum(map(str.isalpha, text))
    plain = sum(character.isascii() for character in text if character.isalpha())
    return "english" if plain * 100 >= letters * PLAIN_LETTERS_PERCENT else "other"


def _encoding_name(model: str) -> str | None:
    """The encoding of a model that tiktoken knows, None for others and where tiktoken isn't installed."""
    try:
        from tiktoken.model import encoding_name_for_model  # noqa: PLC0415 - an extra; slow to import
    except ImportError:
        return None
    try:
        return encoding_name_for_model(model)
    except KeyError:
        return None


@cache
def _counter(encoding: str, folder: str) -> Callable[[str], int] | None:
    """Counts by an encoding whose file lies whole in the folder, None where it doesn't."""
    if not folder or not _is_kept(KEPT_IN.get(encoding, encoding), Path(folder)):
        return None
    from tiktoken import get_encoding  # noqa: PLC0415 - an extra; slow to import

    found = get_encoding(encoding)
    return lambda text: len(found.encode_ordinary(text))


def _is_kept(file: str, folder: Path) -> bool:
    name = hashlib.sha1(f"{ENCODINGS}{file}.tiktoken".encode(), usedforsecurity=False).hexdigest()
    try:
        content = (folder / name).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == FILES.get(file)
