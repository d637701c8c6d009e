"""The columns of a FOCUS export, in order: those of the specification, then our own, which begin with `x_`.

Left out are columns about what doesn't exist here: availability zones, capacity reservations, and most of
those about commitment discounts; their status is there because rules about quantities refer to it.
"""

from __future__ import annotations

from bursar.billing.focus.quantities import PRICE_PLACES
from bursar.usage.exports.columns import ExportColumn, Shape

FOCUS_VERSION = "1.2"

_TEXT, _DECIMAL, _TIME, _JSON = Shape.TEXT, Shape.DECIMAL, Shape.TIME, Shape.JSON

FOCUS_COLUMNS: tuple[ExportColumn, ...] = tuple(
    ExportColumn(name, shape, meaning, PRICE_PLACES if name.endswith("UnitPrice") else 12)
    for name, shape, meaning in (
        ("BillingAccountId", _TEXT, "the tenant's id"),
        ("BillingAccountName", _TEXT, "the tenant's name"),
        ("BillingAccountType", _TEXT, "`Tenant`"),
        ("SubAccountId", _TEXT, "the project's id; empty for usage without a project"),
        ("SubAccountName", _TEXT, "the project's name, its id where it has none"),
        ("SubAccountType", _TEXT, "`Project`"),
        ("BillingPeriodStart", _TIME, "the first moment of the UTC month"),
        ("BillingPeriodEnd", _TIME, "the first moment of the next one"),
        ("ChargePeriodStart", _TIME, "the first moment of the UTC day, hour or second"),
        ("ChargePeriodEnd", _TIME, "the first moment behind it"),
        ("BilledCost", _DECIMAL, "the cost: what this unit class adds to the total"),
        ("EffectiveCost", _DECIMAL, "the same: nothing is amortised"),
        ("ContractedCost", _DECIMAL, "the same: rates are the tenant's own"),
        ("ListCost", _DECIMAL, "at list prices; the cost itself where no list price is known"),
        ("BillingCurrency", _TEXT, "the cost's currency; different ones never stand in one row"),
        ("PricingCurrency", _TEXT, "the same: prices are in the currency that is billed"),
        ("ContractedUnitPrice", _DECIMAL, "ContractedCost / PricingQuantity"),
        ("ListUnitPrice", _DECIMAL, "ListCost / PricingQuantity"),
        ("PricingCurrencyEffectiveCost", _DECIMAL, "EffectiveCost"),
        ("PricingCurrencyContractedUnitPrice", _DECIMAL, "ContractedUnitPrice"),
        ("PricingCurrencyListUnitPrice", _DECIMAL, "ListUnitPrice"),
        ("PricingQuantity", _DECIMAL, "how many PricingUnits"),
        ("PricingUnit", _TEXT, "such as `1000000 Tokens`"),
        ("PricingCategory", _TEXT, "`Standard`; `Other` where others reported the cost"),
        ("ConsumedQuantity", _DECIMAL, "how many ConsumedUnits"),
        ("ConsumedUnit", _TEXT, "`Tokens`, `Requests`, `Seconds`, …"),
        ("ChargeCategory", _TEXT, "`Usage`"),
        ("ChargeClass", _TEXT, "empty: a correction replaces what it corrects"),
        ("ChargeDescription", _TEXT, "model and unit class in words"),
        ("ChargeFrequency", _TEXT, "`Usage-Based`"),
        ("ProviderName", _TEXT, "who was called"),
        ("PublisherName", _TEXT, "the same"),
        ("InvoiceIssuerName", _TEXT, "the same"),
        ("CommitmentDiscountStatus", _TEXT, "empty: there are no commitments"),
        ("InvoiceId", _TEXT, "empty: providers' invoices aren't known here"),
        ("ServiceCategory", _TEXT, "`AI and Machine Learning`"),
        ("ServiceSubcategory", _TEXT, "`Generative AI`, or `Other (AI and Machine Learning)`"),
        ("ServiceName", _TEXT, "the service type, `llm_service` where none was named"),
        ("RegionId", _TEXT, "where it ran"),
        ("RegionName", _TEXT, "the same"),
        ("ResourceId", _TEXT, "`provider/model` as called"),
        ("ResourceName", _TEXT, "the model as called"),
        ("ResourceType", _TEXT, "`AI Model`"),
        ("SkuId", _TEXT, "`provider/priced model/unit class`"),
        ("SkuMeter", _TEXT, "the unit class in words, such as `Cache Read Text`"),
        ("SkuPriceId", _TEXT, "`rate card:unit class`; explain shows the card"),
        ("SkuPriceDetails", _JSON, "the rate and the conditions it depends on"),
        ("Tags", _JSON, "the event's tags; at the grain of events only"),
        ("x_UnitClass", _TEXT, "the unit class; `reported`, `unbilled`, `total` without lines"),
        ("x_Model", _TEXT, "the model that was charged for, as called"),
        ("x_CostStatus", _TEXT, "priced, provider_reported, client_reported or estimated"),
        ("x_EventCount", _DECIMAL, "how many events used this unit class"),
        ("x_PriceSource", _TEXT, "where the rate comes from; `reported` for costs that others reported"),
        ("x_ListPriceKnown", _TEXT, "`false` where ListCost is only the cost itself"),
        ("x_RateCard", _TEXT, "id of the rate card"),
        ("x_ServiceTier", _TEXT, "default, flex, priority, …"),
        ("x_Batch", _TEXT, "`true` for calls in a batch"),
        ("x_Speed", _TEXT, "the speed that was paid for"),
        ("x_CostCentre", _TEXT, "the cost centre of its key, project or user then, else `unallocated`"),
        ("x_Owner", _TEXT, "the owner of its key, project or user then, else `unallocated`"),
        ("x_EventId", _TEXT, "the event; at the grain of events only"),
        ("x_EventTime", _TIME, "its time to the microsecond; at the grain of events only"),
        ("x_User", _TEXT, "its user; at the grain of events only"),
        ("x_Operation", _TEXT, "its operation; at the grain of events only"),
    )
)  # fmt: skip
