"""Log lines: JSON for machines, columns for a person at a terminal, and never a secret or a prompt.

Every part of Bursar logs through `structlog.get_logger()`; libraries that use the standard `logging`
end in the same stream with the same form. `bind_request_id` puts the id of the request at hand on every
line written for it. What a line may hold is decided here in one place, by `withhold_secrets`: callers
needn't think of it, and a traceback passes through it too.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, TextIO, cast

import structlog

from bursar import ids

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from bursar.settings import Settings

WITHHELD = "[withheld]"
_SECRET_NAMES = re.compile(
    r"(^|[_-])(\w*key|secrets?|passw(or)?d|passphrase|authorization|cookies?|credentials?|tokens?|dsn"
    r"|database_url)$"
)
"""Names whose texts are secrets. `key_id` and `input_tokens=3` are not among them."""
_CONTENT_NAMES = re.compile(
    r"answer|body|choices|completion|contents?|events|input|messages|metadata|output|payload|(system_)?prompts?"
    r"|raw|records?|(request|response)_body|text|usage"
)
"""Names under which what people wrote to a model, or got from it, would travel."""
_SECRET_TEXT = re.compile(
    r"""(?ix)
    (?<=bearer\ )[!-~]{8,}                       # an Authorization header quoted in a text
    | \b(bur|sk|pk|rk|xoxb|ghp|AIza)[_-]?[\w-]{20,}  # keys of Bursar and of providers
    | (?<=://)[^\s/@]*:[^\s/@]*(?=@)             # user:password in a URL
    """
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """From now on every log line goes to `stream`, or to stderr, in the form that the settings ask for."""
    out = sys.stderr if stream is None else stream
    is_terminal = out.isatty()
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not is_terminal)
    renderer = _renderer(as_json=as_json, colors=is_terminal)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*_shared_processors(), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared_processors()],
            processors=[_drop_formatter_marks, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def bind_request_id(presented: str | None) -> str:
    """The request's id, for its answer and for every line logged on its behalf.

    A presented id is kept if it is short and plain; anything else could forge log lines, so a new one
    is made.
    """
    request_id = request_id_for(presented)
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def request_id_for(presented: str | None) -> str:
    """The id of a request that presents this one, if any; nothing is bound to it."""
    is_usable = presented is not None and _REQUEST_ID.fullmatch(presented) is not None
    return presented if is_usable and presented else ids.make_id("req")


def unbind_request_id() -> None:
    """Forget the request at hand."""
    structlog.contextvars.unbind_contextvars("request_id")


def withhold_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A log line without keys, passwords, prompts and bodies; what is taken out is marked as such."""
    return {name: _withhold(name, value) for name, value in event.items()}


def _withhold(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    lower = name.lower()
    if _CONTENT_NAMES.fullmatch(lower) or _SECRET_NAMES.search(lower):
        return WITHHELD
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return {str(key): _withhold(str(key), item) for key, item in mapping.items()}
    if isinstance(value, list | tuple):
        return [_withhold("", item) for item in cast("list[object]", value)]
    return _SECRET_TEXT.sub(WITHHELD, str(value))


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        cast("Processor", withhold_secrets),
    ]


def _drop_formatter_marks(_logger: object, _method: str, event: EventDict) -> EventDict:
    """What `ProcessorFormatter` leaves on a line for its own use."""
    return {name: value for name, value in event.items() if name not in {"_record", "_from_structlog"}}


def _renderer(*, as_json: bool, colors: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer()
    # The plain formatter: the pretty ones print local variables, keys and bodies among them.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
