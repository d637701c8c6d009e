"""The store of privacy rules as questions and changes; `storage/relational` implements it.

Each method is one transaction. What names a tenant sees that tenant's only; what the doors need of all
tenants' rules is read at once, when the stamp says that something changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.usage.privacy.rules import PrivacyRules


@dataclass(frozen=True, slots=True)
class ChosenRules:
    """What a tenant chose, and when."""

    tenant_id: str
    rules: PrivacyRules
    secret_id: str | None
    """The credential in the vault that hashes are made with; None where there is none."""
    changed_at: datetime
    changed_by: str


class PrivacyStore(Protocol):
    """Keeps tenants' rules, and how often each did something."""

    def stamp(self) -> object:
        """Something that is another after every change of rules."""
        ...

    def all_rules(self) -> Sequence[ChosenRules]:
        """What every tenant that chose anything chose."""
        ...

    def choose(self, chosen: ChosenRules) -> None:
        """Put a tenant's rules in place of those before.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def add_redactions(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add to how often rules did something, by tenant and rule; a tenant that is gone is passed over."""
        ...

    def redactions(self, tenant_id: str) -> Mapping[str, int]:
        """How often each rule did something for this tenant."""
        ...
