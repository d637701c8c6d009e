"""What clients send to and get from `identity/api.py`: strict request bodies, and answers.

The rules behind the formats are in `tenant.py` and `keys.py`; the formats are repeated here so that
they stand in the OpenAPI document. `Strict`, `Moment` and `PLAIN_TEXT` serve other features too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError, PydanticKnownError

from bursar.identity.keys import ApiKey, IssuedKey, KeyState, KeyTerms, key_state
from bursar.identity.networks import NETWORKS_LIMIT, normal_networks
from bursar.identity.permissions import BUNDLES, Permission
from bursar.identity.rotation import OVERLAP, OVERLAP_LIMIT, RotationAsk
from bursar.identity.tenant import (
    DEFAULT_ZONE,
    ID_PATTERN,
    NAME_LIMIT,
    NAME_PATTERN,
    Project,
    ProjectState,
    Tenant,
    TenantState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import LiteralString

    from bursar.errors import Reason

Item = TypeVar("Item")


def judged_by(faults_of: Callable[[str], Iterable[Reason]]) -> AfterValidator:
    """A text that obeys a feature's own rules: what it finds is told beside the body's other faults."""

    def judge(text: str) -> str:
        for reason in faults_of(text):
            raise PydanticCustomError(cast("LiteralString", reason.code), "{why}", {"why": reason.message})
        return text

    return AfterValidator(judge)


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        message = "lies outside the calendar"
        raise ValueError(message) from None


def _known_scope(word: str) -> str:
    if word in _SCOPE_WORDS:
        return word
    expected = f"{', '.join(map(repr, map(str, BUNDLES)))} or one permission, such as 'usage:read'"
    raise PydanticKnownError("enum", {"expected": expected})


_SCOPE_WORDS = [*map(str, BUNDLES), *map(str, Permission)]
ScopeWord = Annotated[str, AfterValidator(_known_scope), Field(json_schema_extra={"enum": [*_SCOPE_WORDS]})]
"""A bundle of permissions, or a single one."""
ChosenId = Annotated[str, Field(pattern=ID_PATTERN, examples=["tenant-123"])]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=NAME_LIMIT)]
Zone = Annotated[str, Field(max_length=64, description="IANA time zone", examples=["Europe/Berlin"])]
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
PLAIN_TEXT = r"^[^\x00-\x1f\x7f]*$"
"""A text of one line, such as a reason or a note."""


class Strict(BaseModel):
    """A body that refuses fields it doesn't know, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TenantIn(Strict):
    """A tenant to make."""

    id: ChosenId | None = Field(default=None, description="Made up if absent.")
    name: Name | None = Field(default=None, description="The id if absent.")
    zone: Zone = DEFAULT_ZONE


class TenantPatch(Strict):
    """What to change of a tenant; null and absent leave a field as it is."""

    name: Name | None = None
    zone: Zone | None = None
    state: TenantState | None = Field(default=None, description="A suspended tenant's usage is refused.")


class OwnTenantIn(Strict):
    """What a tenant's administrators change of it; null and absent leave a setting as it is."""

    name: Name | None = None
    zone: Zone | None = None


class ProjectIn(Strict):
    """A project to make."""

    id: ChosenId | None = Field(default=None, description="Made up if absent.")
    name: Name
    tenant_id: ChosenId | None = Field(
        default=None, description="The credential's own; an operator may name any."
    )


class ProjectPatch(Strict):
    """What to change of a project; null and absent leave a field as it is."""

    name: Name | None = None
    state: ProjectState | None = Field(
        default=None, description="New events that name a suspended project are refused."
    )


class KeyIn(Strict):
    """An API key to make."""

    label: Name
    scopes: Annotated[list[ScopeWord], Field(min_length=1)]
    is_operator: bool = Field(
        default=False, description="May name any tenant; only an operator can make one."
    )
    expires_at: Moment | None = Field(default=None, description="Never if absent.")
    tenant_id: ChosenId | None = Field(
        default=None, description="The credential's own; an operator may name any."
    )
    project_id: ChosenId | None = Field(
        default=None, description="The only project that it may do anything in; all of the tenant if absent."
    )
    networks: Annotated[list[str], Field(max_length=NETWORKS_LIMIT, examples=[["10.1.0.0/16"]])] = Field(
        default=[], description="CIDR networks that it counts from; anywhere if empty."
    )

    def terms(self, tenant_id: str) -> KeyTerms:
        """What is asked for, as a key of this tenant.

        Raises:
            Invalid: something among the networks is none.
        """
        return KeyTerms(
            tenant_id,
            self.label,
            frozenset(self.scopes),
            self.is_operator,
            self.expires_at,
            project_id=self.project_id,
            networks=normal_networks(self.networks),
        )


class RotationIn(Strict):
    """How a key is to be replaced."""

    overlap_seconds: Annotated[int, Field(ge=0, le=int(OVERLAP_LIMIT.total_seconds()))] = Field(
        default=int(OVERLAP.total_seconds()), description="For so long the old key still counts."
    )
    expires_at: Moment | None = Field(
        default=None, description="Of the new key; if absent it lives as long as the old one was to."
    )

    def ask(self) -> RotationAsk:
        """What is asked for."""
        return RotationAsk(timedelta(seconds=self.overlap_seconds), self.expires_at)


class TenantOut(BaseModel):
    """A tenant as the operator sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    zone: str
    state: TenantState
    created_at: datetime

    @classmethod
    def of(cls, tenant: Tenant) -> TenantOut:
        """The tenant as it is shown."""
        return cls.model_validate(tenant)


class OwnTenantOut(BaseModel):
    """A tenant's settings, and where those are that have endpoints of their own."""

    tenant_id: str
    name: str
    zone: str = Field(description="IANA time zone in which its days and months are reported.")
    state: TenantState
    elsewhere: dict[str, str] = Field(
        default={
            "reporting_currency": "/api/v1/billing/settings",
            "exchange_rates": "/api/v1/billing/exchange-rates",
            "seats": "/api/v1/billing/seats",
            "prices_of_its_own": "/api/v1/prices/overrides",
            "model_aliases": "/api/v1/prices/aliases",
            "services": "/api/v1/services",
            "billing_rules": "/api/v1/billing-rules",
            "owners_and_cost_centres": "/api/v1/allocations",
            "retention": "/api/v1/retention",
            "privacy": "/api/v1/privacy",
            "roles": "/api/v1/roles",
            "limits": "/api/v1/limits",
            "quotas": "/api/v1/quotas",
        },
        description="Other settings of the tenant, and the endpoint of each.",
    )

    @classmethod
    def of(cls, tenant: Tenant) -> OwnTenantOut:
        """The settings as they are shown."""
        return cls(tenant_id=tenant.id, name=tenant.name, zone=tenant.zone, state=tenant.state)


class ProjectOut(BaseModel):
    """A project as its tenant sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    tenant_id: str
    name: str
    state: ProjectState
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> ProjectOut:
        """The project as it is shown."""
        return cls.model_validate(project)


class KeyOut(BaseModel):
    """An API key, without its secret."""

    id: str
    tenant_id: str
    label: str
    prefix: str = Field(description="The first characters of the secret, to recognise it by.")
    scopes: list[ScopeWord]
    is_operator: bool
    project_id: str | None = Field(description="The only project that it may do anything in.")
    networks: list[str] = Field(description="Those that it counts from; anywhere if empty.")
    replaces: str | None = Field(description="The key that was rotated into this one.")
    state: KeyState
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Written every few seconds.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> KeyOut:
        """The key as it is shown now."""
        return cls(
            id=key.id,
            tenant_id=key.terms.tenant_id,
            label=key.terms.label,
            prefix=key.prefix,
            scopes=sorted(key.terms.scopes),
            is_operator=key.terms.is_operator,
            project_id=key.terms.project_id,
            networks=list(key.terms.networks),
            replaces=key.replaces,
            state=key_state(key, now),
            created_at=key.created_at,
            expires_at=key.terms.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class IssuedKeyOut(KeyOut):
    """A new API key: the only answer that ever holds its secret."""

    key: str = Field(description="The secret. Keep it now; it can't be shown again.")

    @classmethod
    def issued(cls, issued: IssuedKey, now: datetime) -> IssuedKeyOut:
        """The new key with its secret."""
        return cls(key=issued.secret, **KeyOut.of(issued.key, now).model_dump())


class RotatedKeyOut(IssuedKeyOut):
    """The new API key, its secret, and how long the one before it still counts."""

    replaced_ends_at: datetime

    @classmethod
    def rotated(cls, issued: IssuedKey, replaced: ApiKey, now: datetime) -> RotatedKeyOut:
        """The new key with its secret, and the end of the old one."""
        shown = IssuedKeyOut.issued(issued, now).model_dump()
        return cls(replaced_ends_at=replaced.terms.expires_at or now, **shown)


class ListOut(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")
