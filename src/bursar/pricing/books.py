"""The prices of every tenant: which book rates whose usage, in memory and cheap to ask.

`PriceBooks` holds the book that all share and answers `of(tenant_id)`; `TenantPrices` is what one
tenant's usage is rated by, for as long as one body is worked on: it never changes, a change makes a new
one. Nothing is read here: what tenants agreed on is handed in (`agreements/in_force.py`). Rating itself
is in `rating.py`.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bursar.pricing.choices import NO_CHOICES, PricingChoices
from bursar.pricing.match import plain_provider
from bursar.pricing.rules.rule import DEFAULT_SERVICE_TYPE, NO_RULES, RuleBook
from bursar.pricing.terms import NO_TERMS, ContractPrice, Terms

if TYPE_CHECKING:
    from datetime import datetime

    from bursar.pricing.book import PriceBook
    from bursar.pricing.rules.rule import BillingRule


@dataclass(frozen=True, slots=True)
class OwnPrices:
    """What makes a tenant's prices other than everybody's."""

    rules: RuleBook = NO_RULES
    choices: PricingChoices = NO_CHOICES
    terms: Terms = NO_TERMS


NOTHING_OWN = OwnPrices()


class TenantPrices:
    """What one tenant's usage is rated by, at one state of the prices."""

    __slots__ = ("_for_projects", "_for_tenant", "choices", "has_contracts", "only_book", "ruled", "rules")

    def __init__(self, book: PriceBook, own: OwnPrices = NOTHING_OWN) -> None:
        self.choices = own.choices
        """What the tenant chose about how its costs are told."""
        terms = (*own.terms.adjustments, *own.terms.aliases)
        projects = {term.project for term in terms if term.project is not None}
        self._for_tenant = book.with_terms(own.terms)
        self._for_projects = {project: book.with_terms(own.terms, project) for project in projects}
        self.only_book: PriceBook | None = None if projects else self._for_tenant
        """The book for every project, where they all have the same."""
        self.has_contracts = any(isinstance(term, ContractPrice) for term in own.terms.adjustments)
        """Whether any price of a contract could count: those come before everything else."""
        self.rules = own.rules
        """The tenant's billing rules."""
        self.ruled = own.rules.service_types
        """Service types that have some, as events name them: for these `rule_for` has to be asked."""

    def with_rules(self, rules: RuleBook) -> TenantPrices:
        """The same with other billing rules."""
        made = copy.copy(self)
        made.rules, made.ruled = rules, rules.service_types
        return made

    def book_for(self, project_id: str | None) -> PriceBook:
        """The book that rates usage of this project."""
        own = self._for_projects.get(project_id) if project_id is not None else None
        return own or self._for_tenant

    def rule_for(
        self, service_type: str | None, provider: str | None, model: str | None, moment: datetime
    ) -> BillingRule | None:
        """The billing rule for a call of one's own service at a moment; None where there is none."""
        if service_type not in self.ruled:
            return None
        return self.rules.find(service_type or DEFAULT_SERVICE_TYPE, provider, model, moment)

    def trusts(self, provider: str | None) -> bool:
        """Whether the cost that this provider reports counts before the book's."""
        trusted = self.choices.trusted_providers
        return bool(trusted) and provider is not None and plain_provider(provider) in trusted


class PriceBooks:
    """Each tenant's prices; safe to call from any thread."""

    def __init__(self, book: PriceBook) -> None:
        """Rate everybody by this book."""
        self._lock = threading.Lock()
        self._book = book
        self._common = TenantPrices(book)
        self._own: dict[str, OwnPrices] = {}
        self._made: dict[str, TenantPrices] = {}

    @property
    def book(self) -> PriceBook:
        """The book that all tenants share, without what any of them agreed on."""
        return self._book

    def of(self, tenant_id: str) -> TenantPrices:
        """What this tenant's usage is rated by now."""
        return self._made.get(tenant_id, self._common)

    def replace_book(self, book: PriceBook) -> None:
        """Rate by this book from now on; what is being rated keeps the one it began with."""
        with self._lock:
            self._book = book
            self._made = {tenant_id: TenantPrices(book, own) for tenant_id, own in self._own.items()}
            self._common = TenantPrices(book)

    def replace_rules(self, tenant_id: str, rules: RuleBook) -> None:
        """Bill this tenant's services by these rules from now on."""
        with self._lock:
            self._keep(tenant_id, replace(self._own.get(tenant_id, NOTHING_OWN), rules=rules))

    def agree(self, tenant_id: str, choices: PricingChoices, terms: Terms) -> None:
        """Rate a tenant's usage by what it agreed on and chose, from now on."""
        with self._lock:
            own = self._own.get(tenant_id, NOTHING_OWN)
            self._keep(tenant_id, replace(own, choices=choices, terms=terms))

    def forget(self, tenant_id: str) -> None:
        """Know nothing of a tenant that is no more: another one of its id begins anew."""
        with self._lock:
            self._own.pop(tenant_id, None)
            self._made.pop(tenant_id, None)

    def _keep(self, tenant_id: str, own: OwnPrices) -> None:
        self._own[tenant_id] = own
        self._made[tenant_id] = TenantPrices(self._book, own)
