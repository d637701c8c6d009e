"""One charge as one row of a FOCUS export, in the order of `columns.FOCUS_COLUMNS`.

FOCUS 1.2 wants a unit price and a list price for every usage. A cost that somebody reported has neither:
its rows are priced per request, and `x_ListPriceKnown` says that its list price isn't one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.billing.focus.charges import REPORTED, UNBILLED
from bursar.billing.focus.columns import FOCUS_COLUMNS
from bursar.billing.focus.quantities import decimal_text, meter_of, quantity_of, unit_price
from bursar.clock import rfc3339
from bursar.money import format_picos
from bursar.usage.csv_table import text_cell
from bursar.usage.export_selection import FocusGrain
from bursar.usage.exports.columns import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.billing.focus.charges import Charge, ChargeKey
    from bursar.pricing.cards import Card
    from bursar.usage.csv_table import Cell

LLM_SERVICE = "llm_service"
UNKNOWN = "Unknown"
"""Who was called, where an event doesn't say and its cost was reported."""
_LENGTHS = {
    FocusGrain.EVENT: timedelta(seconds=1),
    FocusGrain.HOUR: timedelta(hours=1),
    FocusGrain.DAY: timedelta(days=1),
}
_TEXTS = frozenset(column.name for column in FOCUS_COLUMNS if column.shape in {Shape.TEXT, Shape.JSON})


@dataclass(frozen=True, slots=True)
class Accounts:
    """Whose usage it is, in names."""

    tenant_id: str
    tenant_name: str
    projects: Mapping[str, str]
    """Names of projects by their ids."""


@dataclass(frozen=True, slots=True)
class FocusRows:
    """Makes rows of one grain for one tenant."""

    accounts: Accounts
    grain: FocusGrain

    def cells(self, key: ChargeKey, charge: Charge, card: Card | None) -> Sequence[Cell]:
        """The row of a charge."""
        row: dict[str, Any] = {
            **_accounts(self.accounts, key),
            **_periods(key.usage.period, self.grain),
            **_costs(key, charge),
            **_offering(key, charge, card),
            **_own(key, charge, card, self.grain),
        }
        values = (row.get(column.name) for column in FOCUS_COLUMNS)
        return [
            text_cell(value) if column.name in _TEXTS else value
            for column, value in zip(FOCUS_COLUMNS, values, strict=True)
        ]


def _accounts(accounts: Accounts, key: ChargeKey) -> dict[str, Any]:
    project = key.usage.project_id
    return {
        "BillingAccountId": accounts.tenant_id,
        "BillingAccountName": accounts.tenant_name,
        "BillingAccountType": "Tenant",
        "SubAccountId": project,
        "SubAccountName": None if project is None else accounts.projects.get(project, project),
        "SubAccountType": None if project is None else "Project",
    }


def _periods(period: datetime, grain: FocusGrain) -> dict[str, Any]:
    month = period.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = period.replace(microsecond=0)
    return {
        "BillingPeriodStart": _second(month),
        "BillingPeriodEnd": _second((month + timedelta(days=31)).replace(day=1)),
        "ChargePeriodStart": _second(start),
        "ChargePeriodEnd": _second(start + _LENGTHS[grain]),
    }


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _costs(key: ChargeKey, charge: Charge) -> dict[str, Any]:
    quantity = quantity_of(key.unit, charge.steps, charge.events)
    cost, list_cost = _dotted(format_picos(charge.cost_picos)), _dotted(format_picos(charge.list_picos))
    price, list_price = (
        _dotted(unit_price(picos, quantity.priced)) for picos in (charge.cost_picos, charge.list_picos)
    )
    return {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ContractedCost": cost,
        "ListCost": list_cost,
        "BillingCurrency": key.usage.currency,
        "PricingCurrency": key.usage.currency,
        "ContractedUnitPrice": price,
        "ListUnitPrice": list_price,
        "PricingCurrencyEffectiveCost": cost,
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyListUnitPrice": list_price,
        "PricingQuantity": _dotted(decimal_text(quantity.priced)),
        "PricingUnit": quantity.pricing_unit,
        "PricingCategory": "Other" if key.unit == REPORTED else "Standard",
        "ConsumedQuantity": _dotted(decimal_text(quantity.consumed)),
        "ConsumedUnit": quantity.consumed_unit,
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
    }


def _dotted(number: str) -> str:
    """The number with a decimal point: who reads a CSV file guesses types, and a column must have one."""
    return number if "." in number else f"{number}.0"


def _offering(key: ChargeKey, charge: Charge, card: Card | None) -> dict[str, Any]:
    usage = key.usage
    provider = usage.provider or _of(card, "provider") or UNKNOWN
    service = usage.service_type or LLM_SERVICE
    sku = f"{provider}/{key.model or service}/{key.unit}" if card is None else _sku(card, key.unit)
    is_llm = service == LLM_SERVICE
    return {
        "ChargeDescription": f"{key.model or service}: {meter_of(key.unit)}",
        "ProviderName": provider,
        "PublisherName": provider,
        "InvoiceIssuerName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI" if is_llm else "Other (AI and Machine Learning)",
        "ServiceName": service,
        "RegionId": usage.region,
        "RegionName": usage.region,
        "ResourceId": None if key.model is None else f"{provider}/{key.model}",
        "ResourceName": key.model,
        "ResourceType": None if key.model is None else "AI Model",
        "SkuId": sku,
        "SkuMeter": meter_of(key.unit),
        "SkuPriceId": sku if card is None else f"{key.card_id}:{key.unit}",
        "SkuPriceDetails": _details(charge, card),
    }


def _sku(card: Card, unit: str) -> str:
    """What was bought, by the card alone: FOCUS wants one SkuId for a SkuPriceId."""
    seller = _of(card, "provider") or _of(card, "service_type") or UNKNOWN
    return f"{seller}/{_of(card, 'model') or _of(card, 'rule_id') or UNKNOWN}/{unit}"


def _details(charge: Charge, card: Card | None) -> str | None:
    """The rate and what decided it; FOCUS wants an `x_` before names of one's own."""
    conditions: Mapping[str, str] = getattr(card, "conditions", None) or {}
    details = {f"x_{name}": value for name, value in conditions.items()}
    if charge.rate_text is not None:
        details["x_rate"] = charge.rate_text
    return msgspec.json.encode(details, order="sorted").decode() if details else None


def _own(key: ChargeKey, charge: Charge, card: Card | None, grain: FocusGrain) -> dict[str, Any]:
    usage = key.usage
    return {
        "Tags": usage.tags,
        "x_UnitClass": key.unit,
        "x_Model": key.model,
        "x_CostStatus": usage.cost_status,
        "x_EventCount": _dotted(str(charge.events)),
        "x_PriceSource": _of(card, "source") or (None if key.unit == UNBILLED else REPORTED),
        "x_ListPriceKnown": "true" if charge.is_list_known else "false",
        "x_RateCard": key.card_id,
        "x_ServiceTier": usage.service_tier,
        "x_Batch": None if usage.batch is None else str(usage.batch).lower(),
        "x_Speed": usage.speed,
        "x_CostCentre": usage.cost_centre,
        "x_Owner": usage.owner,
        "x_EventId": usage.event_id,
        "x_EventTime": rfc3339(usage.period) if grain is FocusGrain.EVENT else None,
        "x_User": usage.user_id,
        "x_Operation": usage.operation,
    }


def _of(card: Card | None, name: str) -> str | None:
    """What a card says of itself; cards of billing rules may not say all that rate cards do."""
    value = getattr(card, name, None)
    return value if isinstance(value, str) and value else None
