"""Changing what was recorded: corrections, voids, the quarantine, erasing a person, starting anew.

Every change needs a key with the scope `admin` and a reason, which stays with it for good. What may
concern millions of events is done by a job on the server: its answer has a `run`, and `wait_for` waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bursar_client.errors import RequestRefused, UnreadableAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bursar_client.client import BursarClient
    from bursar_client.results import JsonObject

EVENTS = "/api/v1/events"
RUNS = "/api/v1/scheduler/runs"
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.05, 1.0
_ENDED = frozenset(["succeeded", "failed", "timed_out", "cancelled", "interrupted", "missed"])


class Changes:
    """What `BursarClient.changes` offers; every method raises what `BursarClient.request` does.

    Args:
        client: how the server is reached.
        tenant_id: the tenant to act for, if the key is the operator's.
    """

    def __init__(self, client: BursarClient, tenant_id: str | None = None) -> None:
        self._client = client
        self._params: dict[str, str] = {} if tenant_id is None else {"tenant_id": tenant_id}

    def for_tenant(self, tenant_id: str | None) -> Changes:
        """The same for another tenant, if the key is the operator's."""
        return Changes(self._client, tenant_id)

    def correct(self, event_id: str, event: Mapping[str, Any], *, reason: str) -> JsonObject:
        """Replace an event by what it should have been; `old_cost` and `new_cost` are in the answer."""
        return self._ask("PUT", f"{EVENTS}/{_quoted(event_id)}", event, reason=reason)

    def correct_many(self, events: Iterable[Mapping[str, Any]], *, reason: str) -> JsonObject:
        """Replace many events, each named by its `event_id`; refused ones, be it all, are in `rejected`."""
        try:
            return self._ask("POST", f"{EVENTS}/corrections", list(events), reason=reason)
        except RequestRefused as refused:
            document = refused.problem.document
            if "rejected" not in document:
                raise
            return {"corrected": [], "rejected": document["rejected"], "applied": True}

    def history(self, event_id: str) -> JsonObject:
        """Every version of an event, the current one first, with who ended it, when and why."""
        return self._ask("GET", f"{EVENTS}/{_quoted(event_id)}/history")

    def void(self, event_ids: Iterable[str], *, reason: str, dry_run: bool = False) -> JsonObject:
        """Take events out of every total."""
        body = {"event_ids": list(event_ids), "reason": reason, "dry_run": dry_run}
        return self._ask("POST", f"{EVENTS}/void", body)

    def void_selected(self, *, dry_run: bool = True, **asked: object) -> JsonObject:
        """Take all events out that filters and a window select; without `dry_run=False` only count them.

        Args:
            dry_run: count, and change nothing. Give `expect_events` and `up_to_event` of such an answer
                with the real call, and nothing else is voided than what was seen.
            asked: `filters`, `window` and their like, as for a query, `reason`, `expect_events`,
                `up_to_event`.
        """
        said = {name: value for name, value in asked.items() if value is not None}
        return self._ask("POST", f"{EVENTS}/void", {**said, "dry_run": dry_run})

    def reprice(self, *, dry_run: bool = True, **asked: object) -> JsonObject:
        """Rate events again by the prices of now, in a job; without `dry_run=False` only look.

        Args:
            dry_run: change nothing; the run's result says what would change, and `up_to_event`, which
                lets the real call be about the same events.
            asked: `filters`, `window` and their like, as for a query, `reason`, `up_to_event`.
        """
        said = {name: value for name, value in asked.items() if value is not None}
        return self._ask("POST", "/api/v1/reprice", {**said, "dry_run": dry_run})

    def quarantined(self, **params: object) -> JsonObject:
        """A page of records that were accepted and count nowhere."""
        said = {name: value for name, value in params.items() if value is not None}
        return self._client.request("GET", f"{EVENTS}/quarantine", params={**self._params, **said})

    def replay(self, **asked: object) -> JsonObject:
        """Let records out of quarantine.

        Args:
            asked: `ids` or `filter`, `reason`, and `how`: `retry` (if absent), `correction` or `discard`.
        """
        said = {"as" if name == "how" else name: value for name, value in asked.items() if value is not None}
        return self._ask("POST", f"{EVENTS}/quarantine/replay", said)

    def erase_user(self, identifiers: Iterable[str], *, reason: str, dry_run: bool = False) -> JsonObject:
        """Take a person out of everything that was recorded; totals stay."""
        body = {"identifiers": list(identifiers), "reason": reason, "dry_run": dry_run}
        return self._ask("POST", "/api/v1/erasures", body)

    def reset(self, tenant_id: str, *, reason: str) -> JsonObject:
        """Remove everything that a tenant ever recorded; its id is the confirmation."""
        return self._ask("DELETE", "/api/v1/usage", {"confirm": tenant_id, "reason": reason})

    def delete_tenant(self, tenant_id: str, *, reason: str, leave_elsewhere: bool = False) -> JsonObject:
        """Delete a tenant with all it has; the operator's key only.

        With `leave_elsewhere` other servers on the same state store aren't waited for.
        """
        path = f"/api/v1/tenants/{_quoted(tenant_id)}"
        body = {"confirm": tenant_id, "reason": reason}
        more = {"leave_elsewhere": True} if leave_elsewhere else {}
        return self._client.request("DELETE", path, body={**body, **more})

    def delete_project(self, project_id: str, *, reason: str, leave_elsewhere: bool = False) -> JsonObject:
        """Delete a project with all it has.

        With `leave_elsewhere` other servers on the same state store aren't waited for.
        """
        more = {"leave_elsewhere": True} if leave_elsewhere else {}
        body = {"confirm": project_id, "reason": reason, **more}
        return self._ask("DELETE", f"/api/v1/projects/{_quoted(project_id)}", body)

    def wait_for(
        self, answer: JsonObject, tell: Callable[[JsonObject], None] = lambda _run: None
    ) -> JsonObject:
        """The run of an answer once it has ended; `tell` hears how far it is meanwhile.

        Raises:
            UnreadableAnswer: the answer has no run.
        """
        run: Any = answer.get("run")
        if not isinstance(run, dict):
            message = f"There is no run to wait for in {answer!r:.200}"
            raise UnreadableAnswer(message)
        pause = FIRST_POLL_SECONDS
        while True:
            found = self._client.request("GET", f"{RUNS}/{run['id']}", params=self._params)
            if found["state"] in _ENDED:
                return found
            tell(found)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)

    def _ask(self, method: str, path: str, body: object = None, **params: str) -> JsonObject:
        return self._client.request(method, path, params={**self._params, **params}, body=body)


def _quoted(event_id: str) -> str:
    return quote(event_id, safe="")
