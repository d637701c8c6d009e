"""Request bodies with their numbers exact: 0.1 stays the decimal that was sent, never a double near it.

FastAPI has checked the body already, with numbers read as doubles; here it is read again without them.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from bursar.errors import Invalid, Malformed, Reason
from bursar.exact import decode_json

Body = TypeVar("Body", bound=BaseModel)


def exact_body(kind: type[Body], raw: bytes) -> Body:
    """The body that FastAPI took for one of this kind, exactly as it was sent.

    Raises:
        Malformed: it can't be read.
        Invalid: a number has too many digits.
    """
    try:
        return kind.model_validate(decode_json(raw))
    except ValidationError as error:
        reasons = tuple(
            Reason(".".join(str(part) for part in fault["loc"]), fault["type"], f"{fault['msg']}.")
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise Invalid(reasons=reasons) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = (
            "The body can't be read: a number or a character is out of range, or it is nested too deeply."
        )
        raise Malformed(message) from error
