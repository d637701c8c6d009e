"""What of a request or an answer may be kept in the audit log: no secret, no text without an end.

Secrets are known twice over: by the name of their field, and by how Bursar's own and usual ones look
wherever they stand. Personal data is kept out by the acts themselves, which say what is kept of them
(`app/audited.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_LIMIT = 200
"""Characters kept of a text: enough for names, expressions and reasons."""
ITEMS_LIMIT = 30
"""Fields or items kept of each object or list."""
DEPTH_LIMIT = 5
MASK = "***"
CUT = "…"
_SECRET_NAMES = re.compile(
    r"(^|_)((api|access|secret|private)?key|(client)?secrets?|passwords?|passwd|pwd|passphrase|token|jwt|bearer"
    r"|authorization|cookie|credentials?|dsn|link|otp)$"
)
_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")
"""`apiKey`, `Api-Key` and `api_key` are one name: what a client sent is written down before it is read."""
_PUBLIC_NAMES = frozenset({"idempotency_key", "tracking_token"})
_NAMED_AFTER_FINDS = frozenset({"detectors"})
"""Objects whose fields are named after what is looked for in texts: `key` there says what becomes of keys."""
_CHOICES = frozenset({"off", "mark", "hash", "drop"})
"""What may stand there under a secret's name; anything else that a client wrote there may be a secret."""
_SECRET_SHAPES = re.compile(
    # Keys of Bursar and of providers, JSON web tokens, and passwords in URLs.
    r"bur[a-z]?_[A-Za-z0-9_-]{8,}"
    r"|\b(?:sk|pk|rk|xai|gsk|ghp|hf)[_-][A-Za-z0-9_-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=://)[^/@\s]+:[^/@\s]+(?=@)"
)


def showable(value: Any, depth: int = DEPTH_LIMIT) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value as it may be kept: secrets masked, texts cut, long lists and deep objects shortened."""
    if isinstance(value, str):
        return _showable_text(value)
    if isinstance(value, dict):
        return _showable_fields(value, depth)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, list):
        return _showable_items(value, depth)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        # Numbers beyond what every reader of JSON takes exactly.
        return str(value)[:TEXT_LIMIT]
    return value


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    plain = _BETWEEN_WORDS.sub("_", name).lower()
    return plain not in _PUBLIC_NAMES and _SECRET_NAMES.search(plain) is not None


def _showable_fields(fields: Mapping[str, Any], depth: int, told: frozenset[str] = frozenset()) -> Any:  # noqa: ANN401 - JSON
    if depth == 0:
        return CUT
    shown: dict[str, Any] = {}
    for name, value in list(fields.items())[:ITEMS_LIMIT]:
        if is_secret_name(name) and value and str(value) not in told:
            shown[_showable_text(name)] = MASK
        elif name in _NAMED_AFTER_FINDS and isinstance(value, dict):
            shown[name] = _showable_fields(value, depth - 1, _CHOICES)  # pyright: ignore[reportUnknownArgumentType]
        else:
            shown[_showable_text(name)] = showable(value, depth - 1)
    if len(fields) > ITEMS_LIMIT:
        shown[CUT] = len(fields) - ITEMS_LIMIT
    return shown


def _showable_items(items: list[Any], depth: int) -> Any:  # noqa: ANN401 - JSON
    if depth == 0:
        return CUT
    shown = [showable(item, depth - 1) for item in items[:ITEMS_LIMIT]]
    return [*shown, f"{CUT} {len(items) - ITEMS_LIMIT}"] if len(items) > ITEMS_LIMIT else shown


def _showable_text(text: str) -> str:
    # Cut late enough that a secret is still whole where it is looked for.
    masked = _SECRET_SHAPES.sub(MASK, text[: 20 * TEXT_LIMIT])
    cut = masked if len(masked) <= TEXT_LIMIT else masked[:TEXT_LIMIT] + CUT
    return cut.encode(errors="replace").decode()
