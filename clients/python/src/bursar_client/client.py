"""The client: one server, one key, and the few things a program asks of it.

Synchronous and safe to share between threads. Retries live in `_answer_to`, the sizes of bodies in
`events.py`, the patience in `retries.py`, the answers in `results.py`, the failures in `errors.py`.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx

from bursar_client.changes import Changes
from bursar_client.errors import (
    BursarClientError,
    ConnectionFailed,
    Problem,
    UnreadableAnswer,
    problem_error,
)
from bursar_client.events import event_bodies, with_event_ids
from bursar_client.results import (
    QueryAnswer,
    SendResult,
    read_query_answer,
    read_send_answer,
)
from bursar_client.retries import RETRIED_STATUSES, RetryPolicy, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from bursar_client.events import EventBody
    from bursar_client.results import JsonObject

GZIP_FROM_BYTES = 2_048
"""Smaller bodies fit into two packets anyway."""
GZIP_LEVEL = 3
"""Usage events repeat themselves so much that higher levels take more time and gain little."""
DEFAULT_TIMEOUT_SECONDS = 35.0
"""Longer than the server's own limits (30 s for a query, 10 s for `wait_applied`), so it answers first."""
CONNECT_TIMEOUT_SECONDS = 5.0
EVENTS_PATH = "/api/v1/events"
_REJECTED_WHOLLY = 422
_UNSUCCESSFUL = 300


class BursarClient:
    """Sends usage to one Bursar server, and asks it questions.

        with BursarClient("http://127.0.0.1:8000", "bur_…") as bursar:
            result = bursar.send(events)

    Args:
        base_url: where the server is, such as `https://bursar.example.com`.
        api_key: a key with the scope `ingest` to send, `read` to query.
        timeout_seconds: how long one try may take.
        retries: how often to try again after lost connections, 429, 502, 503 and 504, and how long to wait.
        transport: another way to the server, such as `httpx.HTTPTransport(uds="…/bursar.sock")`.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        retries: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"accept": "application/json", "user-agent": "bursar-client/0.1.0"}
        if api_key is not None:
            headers["authorization"] = f"Bearer {api_key}"
        self._retries = retries or RetryPolicy()
        timeout = httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_TIMEOUT_SECONDS))
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)

    @property
    def changes(self) -> Changes:
        """Corrections, voids, the quarantine, erasures; see `changes.py`."""
        return Changes(self)

    def send(
        self,
        events: Iterable[Mapping[str, Any]],
        *,
        wait_applied: bool = False,
        path: str = EVENTS_PATH,
        tenant_id: str | None = None,
    ) -> SendResult:
        """Put events on the server's disk, each of them once, and say what became of every one.

        Events without an `event_id` get one before the first try. Refused events don't raise: they
        are in `rejected` (or call `.raise_for_rejected()`); the others of the same call are accepted.

        Args:
            events: dictionaries with the fields of a usage event; `Decimal`s and aware `datetime`s are fine.
            wait_applied: answer only when the events can be queried (or the server's limit for that is over).
            path: another door that takes the same bodies, such as `/api/v1/events/import` for old events.
            tenant_id: the tenant to record for, if the key is the operator's.

        Raises:
            UnsendableEvent: an event can't be written as JSON; nothing was sent.
            BursarClientError: see `errors.py`; its `unsent` are the events that were not acknowledged.
        """
        params = {"wait": "applied"} if wait_applied else {}
        if tenant_id is not None:
            params["tenant_id"] = tenant_id
        items = with_event_ids(events)
        bodies = list(event_bodies(items))
        result = SendResult(applied=wait_applied)
        for body in bodies:
            try:
                result = result.followed_by(self._send_body(body, path, params))
            except BursarClientError as error:
                error.sent, error.unsent = result, tuple(items[body.first_index :])
                raise
        return result

    def query(self, measures: Iterable[str], **asked: object) -> QueryAnswer:
        """A table of usage: the measures, by dimensions, over a window.

            bursar.query(["cost", "events"], dimensions=["model"], window="30d")

        Args:
            measures: what to compute, such as `cost`, `events`, `input_tokens`, `latency_p95`.
            asked: the other fields of a query: `dimensions`, `filters`, `window`, `grain`, `zone`, `order`,
                `limit`.

        Raises:
            BursarClientError: see `errors.py`.
        """
        question = {"measures": list(measures), **{k: v for k, v in asked.items() if v is not None}}
        return read_query_answer(self.request("POST", "/api/v1/query", body=question))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
    ) -> JsonObject:
        """The JSON answer of any endpoint, for those that have no method of their own here.

        A body of bytes is sent as it is; it must be JSON. Reads are tried again like everything else; writes
        only when the server said that it did nothing.

        Raises:
            BursarClientError: see `errors.py`.
        """
        if isinstance(body, bytes):
            as_json = {"content-type": "application/json"}
            request = self._http.build_request(method, path, params=params, content=body, headers=as_json)
        else:
            request = self._http.build_request(method, path, params=params, json=body)
        return _document(_refuse_problem(self._answer_to(request, is_repeatable=_is_read(method, path))))

    def stream(self, method: str, path: str) -> Iterator[JsonObject]:
        """The lines of an endpoint that answers in NDJSON, as they come, however long each takes.

        Raises:
            BursarClientError: see `errors.py`.
        """
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            with self._http.stream(method, path, timeout=timeout) as answer:
                if answer.status_code >= _UNSUCCESSFUL:
                    answer.read()
                    _refuse_problem(answer)
                for line in answer.iter_lines():
                    yield _object(line, answer)
        except httpx.TransportError as error:
            raise _connection_failed(error, 1) from error

    def fetch(self, path: str, *, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer of an endpoint that sends no JSON, read to its end; lost connections are tried again.

        Raises:
            BursarClientError: see `errors.py`.
        """
        request = self._http.build_request("GET", path, params=params, headers={"accept": "*/*"})
        return _refuse_problem(self._answer_to(request, is_repeatable=True))

    @contextmanager
    def download(self, path: str, *, params: Mapping[str, Any] | None = None) -> Generator[httpx.Response]:
        """The answer of an endpoint that sends a file, to be read in blocks, however long it takes.

        Raises:
            BursarClientError: see `errors.py`.
        """
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            with self._http.stream(
                "GET", path, params=params, headers={"accept": "*/*"}, timeout=timeout
            ) as answer:
                if answer.status_code >= _UNSUCCESSFUL:
                    answer.read()
                    _refuse_problem(answer)
                yield answer
        except httpx.TransportError as error:
            raise _connection_failed(error, 1) from error

    def close(self) -> None:
        """Give the connections back; the client can't be used afterwards."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send_body(self, body: EventBody, path: str, params: Mapping[str, str]) -> SendResult:
        content, headers = body.content, {"content-type": "application/json"}
        if len(content) >= GZIP_FROM_BYTES:
            content = gzip.compress(content, GZIP_LEVEL, mtime=0)
            headers["content-encoding"] = "gzip"
        request = self._http.build_request(
            "POST", path, params=params or None, content=content, headers=headers
        )
        answer = self._answer_to(request, is_repeatable=True)
        if answer.status_code == _REJECTED_WHOLLY and "rejected" in (document := _document(answer)):
            return read_send_answer(document, body.first_index)
        return read_send_answer(_document(_refuse_problem(answer)), body.first_index)

    def _answer_to(self, request: httpx.Request, *, is_repeatable: bool) -> httpx.Response:
        """The first answer worth having, after as many tries as the policy allows."""
        tries = 0
        while True:
            tries += 1
            outcome = self._try(request)
            failed = isinstance(outcome, httpx.TransportError)
            if not failed and outcome.status_code not in RETRIED_STATUSES:
                return outcome
            # 429 and 503 promise that nothing was done; a lost connection or a proxy's 502 doesn't.
            may_repeat = is_repeatable or (not failed and outcome.status_code in {429, 503})
            asked = None if failed else retry_after_seconds(outcome.headers)
            wait = self._retries.wait_before_next(tries, asked, random.random()) if may_repeat else None  # noqa: S311 - spreads clients out, keeps no secret
            if wait is None:
                return _last_outcome(outcome, tries)
            time.sleep(wait)

    def _try(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            return error


def _is_read(method: str, path: str) -> bool:
    return method.upper() in {"GET", "HEAD"} or path == "/api/v1/query"


def _last_outcome(outcome: httpx.Response | httpx.TransportError, tries: int) -> httpx.Response:
    if isinstance(outcome, httpx.Response):
        return outcome
    raise _connection_failed(outcome, tries) from outcome


def _connection_failed(error: httpx.TransportError, tries: int) -> ConnectionFailed:
    times = "1 try" if tries == 1 else f"{tries} tries"
    return ConnectionFailed(f"No answer from {error.request.url.host} after {times}: {error}")


def _refuse_problem(answer: httpx.Response) -> httpx.Response:
    if answer.status_code < _UNSUCCESSFUL:
        return answer
    document: JsonObject = {}
    try:
        document = _document(answer)
    except UnreadableAnswer:
        # A proxy's page: the status alone has to tell.
        document = {"detail": f"HTTP {answer.status_code} {answer.reason_phrase}, without a problem document"}
    title = str(document.get("title", answer.reason_phrase))
    problem = Problem(
        status=answer.status_code,
        code=str(document.get("code", "")),
        title=title,
        detail=str(document.get("detail", title)),
        document=document,
    )
    raise problem_error(problem, retry_after_seconds(answer.headers))


def _document(answer: httpx.Response) -> JsonObject:
    return _object(answer.content or b"{}", answer)


def _object(content: bytes | str, answer: httpx.Response) -> JsonObject:
    try:
        document: object = json.loads(content)
    except ValueError as error:
        message = f"The answer of {answer.request.url} is not JSON; is a Bursar server there?"
        raise UnreadableAnswer(message) from error
    if not isinstance(document, dict):
        message = f"The answer of {answer.request.url} is not an object; is a Bursar server there?"
        raise UnreadableAnswer(message)
    return cast("JsonObject", document)
