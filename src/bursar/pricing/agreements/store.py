"""What agreements need of the state store: records that are added and withdrawn, and a tenant's choices.

Every change renews the tenant's stamp, so that other processes see by one small question that there is
something to read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.pricing.choices import PricingChoices
    from bursar.pricing.exchange.rates import Withdrawal

LIST_LIMIT = 500
LIST_DEFAULT = 100


@dataclass(frozen=True, slots=True)
class TermRecord:
    """An override or an alias as it is kept: what was said, by whom and when; it never changes."""

    id: str
    tenant_id: str
    kind: str
    project_id: str | None
    document: str
    """What was agreed, as canonical JSON."""
    recorded_at: datetime
    created_by: str
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """Everything that counts for one tenant."""

    stamp: str
    choices: PricingChoices
    records: tuple[TermRecord, ...]
    """Those that are not withdrawn, in the order recorded."""


@dataclass(frozen=True, slots=True)
class TermAsk:
    """Which records of a tenant are wanted, in the order recorded."""

    tenant_id: str
    kinds: Collection[str]
    project_id: str | None = None
    """Only those of this project; None is all."""
    has_withdrawn: bool = False
    after: tuple[datetime, str] | None = None
    """Behind the record of this moment and id."""
    limit: int = LIST_DEFAULT


class AgreementStore(Protocol):
    """Keeps what tenants agreed on and chose."""

    def stamps(self) -> Mapping[str, str]:
        """The stamp of every tenant that agreed on or chose anything."""
        ...

    def agreed(self, tenant_id: str) -> Agreed | None:
        """Everything that counts for a tenant at one moment; None where there is nothing."""
        ...

    def choose(self, tenant_id: str, choices: PricingChoices) -> None:
        """Keep a tenant's choices in place of those before; on disk when this returns.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def add_term(
        self, record: TermRecord, check: Callable[[Sequence[TermRecord]], None]
    ) -> tuple[TermRecord, bool]:
        """Keep a record; the one kept, and whether it is new: the same id with the same content is not.

        `check` sees the tenant's records that count and may refuse; no other is added meanwhile.

        Raises:
            Conflict: the id stands for another content, or whatever `check` raises.
            NotFound: there is no such tenant.
        """
        ...

    def withdraw_term(
        self, tenant_id: str, kinds: Collection[str], record_id: str, withdrawal: Withdrawal
    ) -> TermRecord:
        """Let a record not count any more; the record as it is then. Twice is harmless: the first counts.

        Raises:
            NotFound: the tenant has no such record of these kinds.
        """
        ...

    def list_terms(self, ask: TermAsk) -> list[TermRecord]:
        """One page of records, in the order recorded."""
        ...
