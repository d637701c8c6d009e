"""A dump of the state store, from either engine into either: every row and every value comes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from bursar.billing.registered import RecordedRule, RegisteredService, ServiceVersion
from bursar.errors import ConfigurationError, NewerFormat
from bursar.identity.credentials.credential import Author as CredentialAuthor
from bursar.identity.credentials.credential import ProviderCredential
from bursar.identity.credentials.envelope import Envelope
from bursar.identity.permissions import Permission
from bursar.identity.roles import Role, RoleBinding
from bursar.identity.tenant import ProjectChange, ProjectState
from bursar.identity.tokens.token import TrackingToken
from bursar.identity.users.links import Link, LinkKind
from bursar.identity.users.user import User
from bursar.pricing.agreements.store import TermRecord
from bursar.pricing.choices import PricingChoices
from bursar.pricing.exchange.rates import RateEntry, Withdrawal
from bursar.pricing.exchange.store import Author
from bursar.pricing.rules.flat import Flat
from bursar.pricing.rules.rule import BillingRule
from bursar.pricing.rules.selection import Rates
from bursar.storage.relational.agreements import RelationalAgreements
from bursar.storage.relational.audit import RelationalAudit
from bursar.storage.relational.billing import RelationalBilling
from bursar.storage.relational.credentials import RelationalCredentials
from bursar.storage.relational.dump import dump_state, restore_state
from bursar.storage.relational.exchange_rates import RelationalExchangeRates
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.storage.relational.migrate import status, upgrade
from bursar.storage.relational.snapshots import PriceSnapshotStore
from bursar.storage.relational.tables import METADATA
from bursar.storage.relational.tokens import RelationalTokens
from bursar.storage.relational.transactions import reading, writing
from bursar.storage.relational.user_links import RelationalLinks
from bursar.storage.relational.users import RelationalUsers
from tests.cli.command_line import bursar
from tests.support.audit import a_deed
from tests.support.identity import a_project, a_tenant, add_key
from tests.support.serving import running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.support.relational import PostgresServer

MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def filled(state_engine: Engine) -> Engine:
    """A store with rows in its tables, some of them odd."""
    store = RelationalIdentityStore(state_engine)
    store.add_tenant(a_tenant("acme", created_at=MOMENT))
    store.add_project(a_project("suche-ünï", tenant_id="acme"))
    store.change_project("acme", "suche-ünï", ProjectChange(state=ProjectState.SUSPENDED))
    add_key(store)
    store.add_role("acme", Role("billing", frozenset({Permission.COST_READ}), "¢ für Geld"))
    people = RelationalUsers(state_engine)
    people.add_user(User("usr_1", "acme", "ädä@example.com", "¢", MOMENT), (), "$argon2id$¢")
    link = Link("acme", "usr_1", LinkKind.RESET, MOMENT, "key_1", frozenset({Permission.COST_READ}))
    RelationalLinks(state_engine).add_link(link, "hash")
    store.bind(RoleBinding("acme", "usr_1", "billing", "suche-ünï", "key_1", MOMENT))
    snapshots = PriceSnapshotStore(state_engine)
    for number in range(1500):
        snapshots.save(f"{number:032d}", json.dumps({"note": "\\u0000 ¢", "n": number}))
    with writing(state_engine) as connection:
        connection.execute(insert(METADATA.tables["runs"]).values(**_a_run()))
    RelationalAudit(state_engine).append("acme", a_deed("key.create", after={"label": "¢ \0"}), MOMENT)
    _agree(state_engine)
    _entrust(state_engine)
    return state_engine


def _agree(engine: Engine) -> None:
    """Something in every table of a tenant's prices."""
    agreements, rates = RelationalAgreements(engine), RelationalExchangeRates(engine)
    term = TermRecord("ovr_1", "acme", "discount", "süche", '{"note":"¢"}', MOMENT, "key_1")
    agreements.add_term(term, lambda _others: None)
    agreements.withdraw_term("acme", ("discount",), "ovr_1", Withdrawal(MOMENT, "key_1", "ended"))
    agreements.choose("acme", PricingChoices("EUR", 3, frozenset({"openrouter"})))
    entry = RateEntry(MOMENT.date(), "EUR", "USD", Decimal("1.0850"), "ECB")
    for owner in ("acme", None):
        rates.add_rates(owner, [entry], Author("key_1", MOMENT))
    token = TrackingToken("tok_1", "acme", "odd-characters-_-of-it", "läbel", MOMENT, "key_1", uses=2**40)
    RelationalTokens(engine).add_token(token, limit=1)
    services = RelationalBilling(engine)
    registered = RegisteredService(service_type="öcr", service_name="¢ \\u0000")
    version = ServiceVersion(
        tenant_id="acme",
        service_type="öcr",
        version=1,
        registered=registered,
        recorded_at=MOMENT,
        recorded_by="key_1",
    )
    services.add_version(version)
    rule = BillingRule(
        id="rul_1",
        service_type="öcr",
        currency="USD",
        charge=Flat(rates=Rates({"standard": Decimal("0.3")})),
        recorded_at=MOMENT,
        recorded_by="key_1",
    )
    services.add_rule(RecordedRule(tenant_id="acme", rule=rule))
    services.withdraw_rule("acme", "rul_1", MOMENT, "key_1")


def _entrust(engine: Engine) -> None:
    """A credential, sealed."""
    author = CredentialAuthor("key_1", MOMENT)
    credential = ProviderCredential("crd_1", "acme", "openai", "ädmin", "wxyz", "mk_1", author)
    RelationalCredentials(engine).add_credential(credential, Envelope("mk_1", "d3JhcA==", "c2VhbA=="))


def _a_run() -> dict[str, Any]:
    return {
        "id": "run_1",
        "job_id": "backup",
        "state": "succeeded",
        "trigger": "request",
        "parameters": "{}",
        "done": 2**40,
        "attempts": 1,
        "created_at": MOMENT,
        "is_stop_asked": False,
    }


def rows_of(engine: Engine) -> dict[str, list[Any]]:
    with reading(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def test_a_dump_restores_into_either_engine(
    filled: Engine, empty_state_url: str, open_engine: Callable[[str], Engine], tmp_path: Path
) -> None:
    revision = dump_state(filled, tmp_path / "dump")
    target = open_engine(empty_state_url if "postgres" in empty_state_url else f"sqlite:///{tmp_path}/new.db")
    assert restore_state(target, tmp_path / "dump") == revision == status(filled).head
    assert upgrade(target).pending == ()
    assert rows_of(target) == rows_of(filled)


def test_a_store_with_tables_is_not_restored_into(filled: Engine, tmp_path: Path) -> None:
    dump_state(filled, tmp_path / "dump")
    before = rows_of(filled)
    with pytest.raises(ConfigurationError, match="isn't empty"):
        restore_state(filled, tmp_path / "dump")
    assert rows_of(filled) == before


def test_a_dump_of_a_newer_bursar_is_refused_and_leaves_nothing(
    filled: Engine, open_engine: Callable[[str], Engine], tmp_path: Path
) -> None:
    from sqlalchemy import inspect, text  # noqa: PLC0415 - only here

    with writing(filled) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    dump_state(filled, tmp_path / "dump")
    target = open_engine(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(NewerFormat, match="9999"):
        restore_state(target, tmp_path / "dump")
    assert inspect(target).get_table_names() == []


def test_a_ledger_moves_between_postgresql_and_sqlite(postgres: PostgresServer, tmp_path: Path) -> None:
    event = {"event_id": "e1", "model": "gpt-4o-mini", "input_tokens": 7}
    with running_server(tmp_path / "a", database_url=postgres.make_empty()) as server:
        server.client.post("/api/v1/tenants", json={"id": "acme", "name": "Acmé"}).raise_for_status()
        server.client.post("/api/v1/events?wait=applied", json=event).raise_for_status()
        said = bursar("backup", tmp_path / "backup", "--data", tmp_path / "a")
        assert said.code == 0, said.err
    assert bursar("restore", tmp_path / "backup", "--data", tmp_path / "b").code == 0
    with running_server(tmp_path / "b") as server:
        assert server.client.get("/api/v1/tenants/acme").json()["name"] == "Acmé"
        assert server.client.get("/api/v1/events/e1/explain").json()["adds_up"]
    assert bursar("backup", tmp_path / "second", "--data", tmp_path / "b").code == 0
    url = postgres.make_empty()
    done = bursar("restore", tmp_path / "second", "--data", tmp_path / "c", DATABASE_URL=url)
    assert done.code == 0, done.err
    again = bursar("restore", tmp_path / "second", "--data", tmp_path / "d", DATABASE_URL=url)
    assert (again.code, "isn't empty" in again.err, (tmp_path / "d").exists()) == (1, True, False)
    with running_server(tmp_path / "c", database_url=url) as server:
        assert server.client.get("/api/v1/tenants/acme").json()["name"] == "Acmé"
        assert not (tmp_path / "c" / "state.db").exists()
