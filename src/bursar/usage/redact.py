"""Takes secrets out of the free text of an event before it is kept.

An error message often quotes the key or the address that caused the error. What looks like a
credential or an e-mail address is replaced; everything else stays as it was said.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"""
      (?:sk|pk|rk|bur|xai|gsk|hf|ghp|gho|glpat|xox[abpr])[-_][A-Za-z0-9_\-]{12,}  # keys with a known prefix
    | AKIA[0-9A-Z]{16}                                                           # AWS access key ids
    | AIza[0-9A-Za-z_\-]{30,}                                                    # Google API keys
    | eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*                  # JSON Web Tokens
    | (?i:bearer)\s+[A-Za-z0-9._~+/\-]{12,}=*                                    # authorization headers
    | [A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]{1,255}\.[A-Za-z]{2,24}               # e-mail addresses
    """,
    re.VERBOSE,
)


def redact_text(text: str) -> str:
    """The text with everything that looks like a credential or an e-mail address replaced."""
    return _SECRETS.sub(REDACTED, text)
