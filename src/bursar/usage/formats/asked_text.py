"""The text of a recorded request, only to be counted for an estimate: messages, prompts, instructions, tools.

A request whose text isn't there, or that sends pictures, sound or files, gives None: what it used can't be
told from characters, and half of it would look like the whole.
"""

from __future__ import annotations

from typing import Any, cast

ASKED = (
    *("messages", "prompt", "input", "contents", "message", "inputText", "texts"),  # what is answered
    *("system", "systemInstruction", "system_instruction", "instructions", "preamble", "chat_history"),
    *("tools", "functions", "documents"),
)
ANSWERED = frozenset(ASKED[:7])
"""One of these there must be: instructions alone aren't the request."""
NOT_READ = frozenset(("role", "type", "id", "tool_call_id", "call_id", "status", "cache_control"))
"""Fields whose words aren't text that the model reads."""
NOT_TEXT = frozenset(
    (
        *("image_url", "input_image", "image", "inlineData", "inline_data", "fileData", "file_data", "file"),
        *("input_audio", "audio", "video", "source", "document", "file_id"),
    )
)
"""Fields that hold what characters don't measure."""


def asked_text(asked: object) -> str | None:
    """All text that the model was asked with, None where it isn't known whole."""
    if not isinstance(asked, dict):
        return None
    request = cast("dict[str, Any]", asked)
    if not any(request.get(name) for name in ANSWERED):
        return None
    pieces: list[str] = []
    try:
        is_whole = all(_gather(request[name], pieces) for name in ASKED if request.get(name))
    except RecursionError:
        return None
    return "\n".join(pieces) if is_whole else None


def _gather(value: object, pieces: list[str]) -> bool:
    """Add the texts in a value; False where something in it is no text."""
    if isinstance(value, str):
        pieces.append(value)
        return True
    if isinstance(value, list):
        return all(_gather(item, pieces) for item in cast("list[Any]", value))
    if not isinstance(value, dict):
        return True
    fields = cast("dict[str, Any]", value)
    if any(fields.get(name) for name in NOT_TEXT):
        return False
    return all(_gather(item, pieces) for name, item in fields.items() if name not in NOT_READ)
