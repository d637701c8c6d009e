"""JSON read with exact numbers: a fraction is the decimal that was written, never a double near it.

Fractions that a reader with doubles couldn't hold are refused, so whatever is kept can be read by anybody.
Whole request bodies are read so by `identity/exact_body.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

FLOAT_EXPONENT_LIMIT = 300
"""Beyond this a reader that uses doubles could not hold the number."""


def decode_json(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value with its fractions kept as decimals.

    Raises:
        msgspec.DecodeError, ValueError, RecursionError: it is none, a number is out of range, or it is nested
            too deeply.
    """
    return _decode(content)


def _decimal(text: str) -> Any:  # noqa: ANN401 - msgspec's hook type
    number = Decimal(text)
    if abs(number.adjusted()) > FLOAT_EXPONENT_LIMIT:
        message = "Number out of range"
        raise ValueError(message)
    return number


_decode = msgspec.json.Decoder(Any, float_hook=_decimal).decode
