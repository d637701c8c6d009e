"""What an error's message repeats of the prompt or the answer that it is about, taken out of it.

Providers quote what they refuse. What stands in quotation marks of any language goes, and so does all that
follows a word such as `prompt:`; a single quoted word in ASCII is the name of a model or a parameter, and
stays.
"""

from __future__ import annotations

import re

WITHHELD = "[text]"
_LONGEST_WORD = 64
_QUOTED = re.compile(
    r"""(?x)
      "(?P<a>[^"]+)(?:"|\Z) | `(?P<b>[^`]+)(?:`|\Z)
    | “(?P<c>[^”]+)(?:”|\Z) | «(?P<d>[^»]+)(?:»|\Z)
    | „(?P<f>[^“”]+)(?:[“”]|\Z) | \u2039(?P<g>[^\u203a]+)(?:\u203a|\Z)
    | 「(?P<h>[^」]+)(?:」|\Z) | 『(?P<i>[^』]+)(?:』|\Z) | 《(?P<j>[^》]+)(?:》|\Z)
    | [\u2018\u201a](?P<k>.+?)(?:[\u2019\u2018](?!\w)|\Z)
    | (?<!\w)'(?P<e>.+?)(?:'(?!\w)|\Z)
    """,
    re.DOTALL,
)
_AFTER_NAME = re.compile(
    r"(?is)\b(?:prompt|completion|input|output|content|transcript|text|question)s?[\"'`]?(?:\ text)?"
    r"\s{0,3}[:=]\s{0,3}(?P<said>\S.*)"
)


def without_quotes(message: str) -> str:
    """The message without what it quotes."""
    return _AFTER_NAME.sub(_withhold_rest, _QUOTED.sub(_withhold_quoted, message))


def _withhold_quoted(found: re.Match[str]) -> str:
    """A quoted word is a name of something; several are somebody's, and so are words that need no spaces."""
    said = found[found.lastgroup or 0]
    is_name = len(said) <= _LONGEST_WORD and said.isascii() and not any(map(str.isspace, said))
    return found[0] if is_name else found[0].replace(said, WITHHELD, 1)


def _withhold_rest(found: re.Match[str]) -> str:
    return found[0][: found.start("said") - found.start()] + WITHHELD
