"""Two tenants on one server, and each of them alone on another: whatever one asks must be answered alike.

Every call of a tenant goes to the server that both share and to the one that it has for itself. What the
other one did meanwhile, or whether there is another at all, must make no difference to the answer, but for
times and ids that each server makes up. That holds for ids that belong to the other as well: asked for by
the one they aren't theirs, they are answered as ids of nobody. Besides, no answer may hold the other's mark.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import duckdb
import httpx

from bursar import clock, ids
from bursar.identity.users.user import User
from tests.support.patience import DEADLINE_SECONDS, wait_until
from tests.support.people import hash_of
from tests.support.serving import running_server
from tests.support.tenant_calls import Call, Words, a_call

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.serving import RunningServer

NAMES = ("left", "right")
MARK = re.compile(rb"zq[0-9a-f]{8}zq")
"""How every tenant's mark looks; each has one of its own."""
PARQUET_MAGIC = b"PAR1"
RUNS = "/api/v1/scheduler/runs"
MADE_UP = re.compile(r"\b(alc|aud|crd|fx|key|prj|rul|run|seat|ses|tok|usr|req|alias|ovr)_[0-9a-f-]{16,36}\b")
"""How ids look that a server makes up."""
_RECORD = re.compile(r'"id": ?(\d+), ?"event_id"')
_NEITHER_HERE_NOR_THERE = (
    (re.compile(r"\bbur(_refresh)?_[\w-]{3,}…?"), "<secret>"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r'("next_cursor": ?)"[^"]+"'), r'\1"<cursor>"'),
    (re.compile(r'("(?:elapsed|took|seconds|duration)\w*": ?)[\d.e-]+'), r"\1<seconds>"),
    (re.compile(r'("journal_id": ?)"[0-9a-f]{16}"'), r"\1<journal>"),
    (re.compile(r'("(?:received|time)": ?)\d{16}\b'), r"\1<micros>"),
    # Written down every two seconds.
    (re.compile(r'("last_used_at": ?)(null|"<time>")'), r"\1<time>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<server>"),
    # The last letters of a secret that the server makes for itself.
    (re.compile(r'("masked": ?)"[^"]+"'), r"\1<masked>"),
    # Of what rated an event: made of the ids of agreements, among other things.
    (re.compile(r"\b[0-9a-f]{32}\b"), "<card>"),
    (re.compile(r"\bmk_[0-9a-f]{12}\b"), "<master key>"),
    # Of records in the quarantine: veiled places in the journal, so that they tell nothing.
    (re.compile(r'("id": ?)\d+'), r"\1<place>"),
    # Of a file that went out: ids and places in it have more digits here than there.
    (re.compile(r'("after": ?\{"bytes": ?)\d+'), r"\1<bytes>"),
    (re.compile(r'("released": ?)\[[\d, ]*\]'), r"\1<places>"),
)
_COMPARED_HEADERS = (
    "content-type",
    "content-disposition",
    "bursar-events",
    "bursar-unpriced-events",
    "bursar-total",
    "bursar-rows",
    "www-authenticate",
)
_PREFIX_OF_PLACE = {
    "key_id": "key",
    "token_id": "tok",
    "run_id": "run",
    "credential_id": "crd",
    "rule_id": "rul",
    "plan_id": "seat",
    "rate_id": "fx",
    "override_id": "ovr",
    "alias_id": "alias",
    "record_id": "record",
    "user_id": "usr",
    "allocation_id": "alc",
}


@dataclass
class Side:
    """One tenant on one server."""

    server: RunningServer
    tenant_id: str
    client: httpx.Client
    made_up: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Ids that the server has told this tenant, by what they are of, in the order of their telling."""

    said: str = ""
    """What the tenant has asked about: what is in there it told the server, not the server it."""

    def learn(self, asked: str, answer: str) -> None:
        """Remember ids that the answer holds and no request held before."""
        self.said += f"{asked}\n"
        for found in MADE_UP.finditer(answer):
            known = self.made_up.setdefault(found[1], [])
            if found[0] not in known and found[0] not in self.said:
                known.append(found[0])
        self.made_up.setdefault("record", []).extend(_RECORD.findall(answer))

    def id_of(self, prefix: str, choice: int) -> str:
        """One of the ids that it knows; one of nobody's where it knows none."""
        known = self.made_up.get(prefix)
        nobodys = "7" if prefix == "record" else f"{prefix}_{'0' * 24}"
        return known[choice % len(known)] if known else nobodys


@dataclass
class Tenant:
    """One tenant on the server that is shared, and alone."""

    name: str
    mark: str
    shared: Side
    alone: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, the shared one first."""
        return self.shared, self.alone


@dataclass
class Worlds:
    """Both tenants, wherever they are."""

    tenants: dict[str, Tenant]

    def other(self, name: str) -> Tenant:
        """The one whom this tenant must not learn of."""
        return next(tenant for tenant in self.tenants.values() if tenant.name != name)

    def ask(self, name: str, operation: str, choice: int, *, foreign: bool = False) -> httpx.Response:
        """Let a tenant ask something, here and there, and compare; with `foreign` about ids of the other's.

        The answer is the shared server's.
        """
        tenant, other = self.tenants[name], self.other(name)
        call = a_call(operation, Words(tenant.shared.tenant_id, tenant.mark, choice))
        paths = [_path_of(call, other.shared if foreign else side, choice) for side in tenant.sides]
        here, there = (_sent(side, call, path) for side, path in zip(tenant.sides, paths, strict=True))
        refuse_others(tenant, other, here)
        told = (
            f"{name}: {operation} {paths} {call.params} {call.body}\n{here.text[:2000]}\n{there.text[:2000]}"
        )
        assert comparable(here) == comparable(there), told
        return here


@contextmanager
def two_worlds(folder: Path) -> Generator[dict[str, RunningServer]]:
    """A server for both tenants and one for each."""
    with ExitStack() as opened:
        yield {
            name: opened.enter_context(running_server(folder / name, log_level="debug"))
            for name in ("shared", *NAMES)
        }


@contextmanager
def two_tenants(servers: dict[str, RunningServer]) -> Generator[Worlds]:
    """Two new tenants, each on the shared server and on its own, with people and keys of the same names."""
    with ExitStack() as opened:
        tenants: dict[str, Tenant] = {}
        for name in NAMES:
            mark = f"zq{ids.make_id('x')[2:10]}zq"
            tenant_id = f"house-{mark}"
            sides = [opened.enter_context(_side(servers[where], tenant_id)) for where in ("shared", name)]
            tenants[name] = Tenant(name, mark, *sides)
        yield Worlds(tenants)


@contextmanager
def _side(server: RunningServer, tenant_id: str) -> Generator[Side]:
    server.client.post("/api/v1/tenants", json={"id": tenant_id, "name": "House"}).raise_for_status()
    body = {"label": "everything", "scopes": ["admin", "ingest", "read"], "tenant_id": tenant_id}
    made = server.client.post("/api/v1/keys", json=body).raise_for_status().json()
    logins, now = server.platform.logins, clock.now()
    ada = User(f"usr_{ids.make_id('x')[2:]}", tenant_id, "ada@example.com", "Ada", now)
    logins.users.add_user(ada)
    with logins.passwords.turn():
        logins.users.set_password(tenant_id, ada.id, hash_of(logins.passwords), now)
    headers = {"X-API-Key": made["key"], "X-Request-ID": f"of-{tenant_id}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=DEADLINE_SECONDS) as client:
        side = Side(server, tenant_id, client)
        side.learn("", made["id"])
        # Whose log says that an operator made it names the operator's key.
        side.said += server.client.get("/api/v1/auth/me").raise_for_status().json()["id"]
        yield side


def refuse_others(tenant: Tenant, other: Tenant, answer: httpx.Response) -> None:
    """Fail where an answer holds a mark, or an id, of somebody else's."""
    content = b"\n".join([_readable(answer), *(b"%b: %b" % pair for pair in answer.headers.raw)])
    assert set(MARK.findall(content)) <= {tenant.mark.encode()}, content
    theirs = {one for several in other.shared.made_up.values() for one in several}
    told = {found[0] for found in MADE_UP.finditer(content.decode("utf-8", "replace"))}
    assert not {one for one in told & theirs if one not in tenant.shared.said}, content


def _readable(answer: httpx.Response) -> bytes:
    """The body as a person could read it: Parquet is compressed, so that nothing would be found in it."""
    if not answer.content.startswith(PARQUET_MAGIC):
        return answer.content
    with NamedTemporaryFile(suffix=".parquet") as file, duckdb.connect() as connection:
        file.write(answer.content)
        file.flush()
        read = connection.execute("SELECT columns(*)::VARCHAR FROM read_parquet(?)", [file.name])
        return repr((read.description, read.fetchall())).encode()


def comparable(answer: httpx.Response) -> tuple[object, ...]:
    """What of an answer mustn't depend on the server."""
    headers = {name: answer.headers.get(name) for name in _COMPARED_HEADERS}
    if "parquet" in (headers["content-type"] or ""):
        return answer.status_code, headers
    text = MADE_UP.sub(r"\1_<id>", answer.text)
    for pattern, instead in _NEITHER_HERE_NOR_THERE:
        text = pattern.sub(instead, text)
    return answer.status_code, headers, text


def _path_of(call: Call, side: Side, choice: int) -> str:
    path = call.path
    for place in call.places:
        path = path.replace(f"{{{place}}}", side.id_of(_PREFIX_OF_PLACE[place], choice))
    return path


def _sent(side: Side, call: Call, path: str) -> httpx.Response:
    ask = partial(side.client.request, call.method, path, params=call.params)
    answer = ask() if call.body is None else ask(json=call.body)
    assert answer.status_code < 500, f"{call} {answer.text}"
    side.learn(f"{path} {call.params} {call.body}", answer.text)
    _settle(side, answer)
    return answer


def _settle(side: Side, answer: httpx.Response) -> None:
    """Wait until everything that was recorded can be seen, and the run that an answer names has ended."""
    if answer.request.method != "GET":
        platform = side.server.platform
        platform.changes.wait_applied(platform.changes.durable_seq, DEADLINE_SECONDS)
        platform.tokens.flush()
    run = _run_of(answer)
    if run is None:
        return

    def has_ended() -> Any:  # noqa: ANN401 - JSON
        asked = side.server.client.get(f"{RUNS}/{run}")
        return asked.status_code == 404 or asked.json()["finished_at"]

    wait_until(has_ended, "the run ends")
    side.server.platform.changes.wait_applied(side.server.platform.changes.durable_seq, DEADLINE_SECONDS)


def _run_of(answer: httpx.Response) -> str | None:
    is_json = answer.headers.get("content-type", "") == "application/json"
    found = re.search(r'"id": ?"(run_[0-9a-f-]+)"', answer.text) if is_json else None
    return found[1] if found and answer.request.method != "GET" else None
