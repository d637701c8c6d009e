"""Which endpoints are acts that the audit log records, by what words, and what is kept of each.

Every endpoint that isn't a plain read is here: as an act, or as an exemption with its reason; a test walks
all routes and fails for one that is in neither. A new endpoint adds one line. How an act is recorded is
in `audited.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class NamedIn(Enum):
    """Where the operator names the tenant that an act is about; into its chain the entries go."""

    QUERY = auto()
    """In the query string: any endpoint takes it there. Whoever names none does it to the platform."""
    BODY = auto()
    """In the body's `tenant_id`, or in the query string."""
    PATH = auto()
    RUN = auto()
    """In the query string, or by the run in the path: it is about one tenant, or about all."""
    NOWHERE = auto()
    """It is about all tenants, or the tenant's chain doesn't outlive it, or isn't there yet."""


@dataclass(frozen=True, slots=True)
class Act:
    """What is recorded of one endpoint."""

    word: str
    target: str | None = None
    """The path's parameter, or the answer's field, that says what was acted on."""
    keeps: frozenset[str] | None = None
    """The fields of parameters, body and answer that are kept; None keeps all but secrets.

    What may name a person is not kept: the audit log outlives an erasure."""
    is_streamed: bool = False
    """Whether it goes out as it is made: then it is concluded at its end, and nothing of it is held back."""
    only_as_file: bool = False
    """Whether it is an act only where a file is asked for (`usage/output_format.py`), else a question."""
    tenant_in: NamedIn = NamedIn.QUERY
    """Only the operator may name another tenant than the own: whatever others do is in their own chain."""


_ABOUT_USAGE = frozenset({"applied", "dry_run", "format", "from", "to", "run", "id", "state", "count"})
"""Of acts on events only how much they did: events name people."""
_DOWNLOAD = Act(
    "export.download", keeps=_ABOUT_USAGE | {"window", "limit"}, is_streamed=True, only_as_file=True
)
"""Of single events as a file: the same as an export."""
_ABOUT_LOG = frozenset({"act", "outcome", "from", "to", "tenant_id"})
"""Of what was taken out of the audit log which entries; whose is a text that may name a person."""
_ABOUT_RUN = frozenset({"id", "job_id", "tenant_id", "state"})
"""Of jobs no parameters: some of them name people."""
_ABOUT_ALLOCATION = frozenset({"id", "kind", "valid_from", "cost_centre"})
"""Of who bears what not who it is: a user or an owner is a person. Its history in `allocations` has them."""
_ABOUT_USER = frozenset({"id", "state", "is_active", "roles", "mail", "mailed", "ended"})
"""Of users no addresses and no names."""
_ABOUT_CREDENTIAL = frozenset({"id", "tenant_id", "provider", "name", "masked", "state", "key_id"})
"""Of credentials nothing under a name of the client's own: it may be the secret, misspelt."""

ACTS: dict[str, Act] = {
    "create_tenant": Act("tenant.create", "id", tenant_in=NamedIn.NOWHERE),
    "change_tenant": Act("tenant.change", "tenant_id", tenant_in=NamedIn.PATH),
    "delete_tenant": Act("tenant.delete", "tenant_id", tenant_in=NamedIn.NOWHERE),
    "change_settings": Act("tenant.change", "tenant_id"),
    "create_project": Act("project.create", "id", tenant_in=NamedIn.BODY),
    "change_project": Act("project.change", "project_id"),
    "delete_project": Act("project.delete", "project_id"),
    "create_key": Act("key.create", "id", tenant_in=NamedIn.BODY),
    "revoke_key": Act("key.revoke", "key_id"),
    "rotate_key": Act("key.rotate", "key_id"),
    "create_role": Act("role.create", "name"),
    "change_role": Act("role.change", "name"),
    "remove_role": Act("role.remove", "name"),
    "give_role": Act("role.give", "user_id"),
    "take_role": Act("role.take"),
    "create_user": Act("user.create", "id", _ABOUT_USER),
    "change_user": Act("user.change", "user_id", _ABOUT_USER),
    "create_account": Act("user.create", "id", _ABOUT_USER),
    "change_account": Act("user.change", "user_id", _ABOUT_USER),
    "remove_user": Act("user.remove", "user_id", _ABOUT_USER),
    "hand_link": Act("user.link", "user_id", _ABOUT_USER),
    "log_user_out": Act("user.logout", "user_id", _ABOUT_USER),
    "create_token": Act("token.create", "id"),
    "change_token": Act("token.change", "token_id"),
    "remove_token": Act("token.remove", "token_id"),
    "create_credential": Act("credential.create", "id", _ABOUT_CREDENTIAL, tenant_in=NamedIn.BODY),
    "replace_credential_secret": Act("credential.replace", "credential_id", _ABOUT_CREDENTIAL),
    "revoke_credential": Act("credential.revoke", "credential_id"),
    "rotate_secrets": Act("secrets.rotate", tenant_in=NamedIn.NOWHERE),
    "add_override": Act("price.override.add", "id"),
    "withdraw_override": Act("price.override.withdraw", "override_id"),
    "add_alias": Act("price.alias.add", "id"),
    "withdraw_alias": Act("price.alias.withdraw", "alias_id"),
    "put_billing_settings": Act("billing.settings.change"),
    "enter_exchange_rates": Act("rate.add"),
    "withdraw_exchange_rate": Act("rate.withdraw", "rate_id"),
    "update_prices": Act("book.update", "id", tenant_in=NamedIn.NOWHERE),
    "trigger_job": Act("job.trigger", "job_id", _ABOUT_RUN),
    "cancel_run": Act("job.cancel", "run_id", _ABOUT_RUN, tenant_in=NamedIn.RUN),
    "put_limit": Act("limit.set", "use"),
    "remove_limit": Act("limit.remove", "use"),
    "put_quota": Act("quota.set", "measure"),
    "remove_quota": Act("quota.remove", "measure"),
    "put_project_quota": Act("project.quota.set", "project_id"),
    "remove_project_quota": Act("project.quota.remove", "project_id"),
    "put_privacy": Act("privacy.change"),
    "put_retention": Act("retention.change"),
    "put_project_retention": Act("retention.change", "project_id"),
    "register_service": Act("service.register", "service_type", tenant_in=NamedIn.BODY),
    "change_service": Act("service.change", "service_type", tenant_in=NamedIn.BODY),
    "retire_service": Act("service.retire", "service_type"),
    "add_billing_rule": Act("rule.add", "id", tenant_in=NamedIn.BODY),
    "withdraw_billing_rule": Act("rule.withdraw", "rule_id"),
    "record_allocation": Act("allocation.record", "id", _ABOUT_ALLOCATION),
    "withdraw_allocation": Act("allocation.withdraw", "allocation_id", _ABOUT_ALLOCATION),
    "finalise_month": Act("month.finalise", "month"),
    "add_seats": Act("seats.add", "id"),
    "end_seats": Act("seats.end", "plan_id"),
    "stop": Act("server.stop", tenant_in=NamedIn.NOWHERE),
    "rebuild": Act("ledger.rebuild", tenant_in=NamedIn.NOWHERE),
    "export": Act("export.download", keeps=_ABOUT_USAGE, is_streamed=True),
    "export_audit": Act("audit.export", keeps=_ABOUT_LOG, is_streamed=True),
    "list_events": _DOWNLOAD,
    "list_usage": _DOWNLOAD,
    "show_event": _DOWNLOAD,
    "correct_events": Act("event.correct", keeps=_ABOUT_USAGE),
    "correct_event": Act("event.correct", keeps=_ABOUT_USAGE),
    "void_events": Act("event.void", keeps=_ABOUT_USAGE, tenant_in=NamedIn.BODY),
    "erase_person": Act("erasure.request", keeps=_ABOUT_USAGE),
    "reset_usage": Act("usage.reset", keeps=_ABOUT_USAGE),
    "reprice_events": Act("usage.reprice", keeps=_ABOUT_USAGE, tenant_in=NamedIn.BODY),
    "replay_quarantine": Act("quarantine.replay", keeps=_ABOUT_USAGE, tenant_in=NamedIn.BODY),
}
"""Acts by the name of their operation."""


@dataclass(frozen=True, slots=True)
class OpenAct:
    """What is recorded of an endpoint that anybody may ask: one entry, once it is known what came of it."""

    word: str
    records_success: bool = True


OPEN_ACTS: dict[str, OpenAct] = {
    "log_in": OpenAct("login"),
    "log_in_by_form": OpenAct("login"),
    "finish_sign_on": OpenAct("login"),
    "refresh_login": OpenAct("login.renew", records_success=False),
    "accept_link": OpenAct("link.accept"),
    "forget_password": OpenAct("password.forgotten"),
    "change_password": OpenAct("password.change"),
    "log_out": OpenAct("logout"),
}
"""Ways in and out by the name of their operation; in whose chain, and how many: `audited_ways_in.py`."""

EXEMPT: dict[str, str] = {
    "diff_prices": "compares a file with the price book and changes nothing",
    "compare_prices": "compares a file with the price book and changes nothing",
    "check_prices": "says what an event would cost and stores nothing",
    "try_billing_rule": "says what a rule would bill and stores nothing",
    "ask_query": "a question, sent as a body because it may be long",
    "check_secrets": "opens every secret, hands out none and changes nothing",
    "test_privacy": "shows what would be kept of a text or an event, and keeps nothing",
    "verify": "recounts and changes nothing",
}
"""Endpoints with another method than GET that are no acts, and why."""
