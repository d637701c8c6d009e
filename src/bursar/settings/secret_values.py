"""Values of settings that are secrets: in which form they are taken, and that none of them is shown.

A field whose form is one of `SECRET_FORMS` is masked wherever settings are printed (`spelling.py`),
also where its value is wrong.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

KEY_FORM = "8 to 256 printable ASCII characters without spaces"
SEALING_FORM = "32 random bytes in base64 (`openssl rand -base64 32`) or hexadecimal; several with commas"
SECRET_FORM = "32 to 512 printable ASCII characters without spaces"  # noqa: S105 - a form, no secret
SECRET_FORMS = frozenset({KEY_FORM, SEALING_FORM, SECRET_FORM})
_SEALING_KEY = r"([0-9A-Za-z+/_-]{43}=?|[0-9A-Fa-f]{64})"


def _check_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{8,256}", key.get_secret_value()):
        message = "not a usable key"
        raise ValueError(message)
    return key


def _check_sealing_keys(keys: SecretStr) -> SecretStr:
    if not re.fullmatch(f"({_SEALING_KEY}[\\s,]+)*{_SEALING_KEY}[\\s,]*", keys.get_secret_value()):
        message = "not usable encryption keys"
        raise ValueError(message)
    return keys


def _check_secret(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{32,512}", secret.get_secret_value()):
        message = "not a usable secret"
        raise ValueError(message)
    return secret


Key = Annotated[SecretStr, AfterValidator(_check_key)]
SealingKeys = Annotated[SecretStr, AfterValidator(_check_sealing_keys)]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
