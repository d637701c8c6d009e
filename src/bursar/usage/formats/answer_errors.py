"""What went wrong, in the words of each provider: one code and one message.

Most put an `error` into their answer, an object or a text. Some answer with a bare message, or with a list of
reasons; that is only an error where it is known whose answer it is, for anything may have a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bursar.usage.formats.answer_fields import MESSAGE_LIMIT, NAME_LIMIT, first_text, objects_at

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES = ("message", "Message", "detail", "description", "msg", "error")
CODES = ("code", "status", "type", "key", "__type")
NUMBERS = ("code", "statusCode", "status_code", "status")
LISTS = ("errors", "detail")
BARE = frozenset((*MESSAGES, *CODES, *NUMBERS, *LISTS, "object", "param", "tpe", "extras", "trace", "id"))
"""All that an answer has which is nothing but an error, besides ids of the request."""
REQUEST_IDS = frozenset(("request_id", "requestId", "user_id"))

CodeAndMessage = tuple[str | None, str]


def error_in(body: Mapping[str, Any], *, is_somebodys: bool) -> CodeAndMessage | None:
    """Code and message of an answer that is an error or ends in one, None where nothing went wrong.

    Args:
        body: the answer.
        is_somebodys: whether it is known whose answer it is.
    """
    error = body.get("error")
    if isinstance(error, dict) and error:
        return _said(cast("dict[str, Any]", error))
    if isinstance(error, str) and error:
        return first_text(body, NAME_LIMIT, "code"), error[:MESSAGE_LIMIT]
    if is_somebodys and body and body.keys() <= BARE | REQUEST_IDS:
        reasons = [*objects_at(body, "errors"), *objects_at(body, "detail")]
        said = _said(reasons[0] if reasons else body)
        return said if said[1] else None
    return None


def _said(fields: Mapping[str, Any]) -> CodeAndMessage:
    """Code and message; each provider has its own idea which field is the code."""
    code = first_text(fields, NAME_LIMIT, *CODES)
    number = next((fields[name] for name in NUMBERS if type(fields.get(name)) is int), None)
    if code is None and number is not None:
        code = str(number)[:NAME_LIMIT]
    return code, first_text(fields, MESSAGE_LIMIT, *MESSAGES) or ""
