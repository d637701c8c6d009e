"""How much an event used: one set of disjoint units out of whatever the caller reported.

A caller reports exact `units`, a provider's raw `usage` object, or the totals people know. Units
and totals may stand together where they don't speak of the same thing; where they do, they must
agree, because one of two different numbers is wrong and we can't know which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Invalid, Reason
from bursar.units import TOKEN_TOTALS, UNITS, Quantities, format_steps, to_steps, total_of
from bursar.usage.event import FLAT_TOTALS
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from bursar.usage.event import UsageEvent

ESTIMATED, ESTIMATED_OUTPUT = "estimated:", "estimated_output:"
"""What the source of estimated units begins with; the method follows."""
_TOKEN_UNITS = frozenset(TOKEN_TOTALS["total_tokens"])


class Measured(msgspec.Struct, gc=False):
    """Units of one event, in steps (`units.py`), and where they came from."""

    units: Quantities
    source: str | None = None
    """`units`, `usage`, `totals` or `estimated:<method>`; None where nothing was reported. `totals` means
    nothing but totals, `estimated_output:<method>` that the input is unknown."""
    custom: Quantities | None = None
    """Units that aren't built in."""
    provider: ProviderUsage | None = None
    """What a raw usage object said besides units."""


def measure_usage(event: UsageEvent) -> Measured:
    """The event's units, each counted once.

    Raises:
        Invalid: quantities that can't be, or two reports that contradict each other.
    """
    if event.estimate is None:
        return _measure(event)
    if event.usage is not None:
        text = "A provider's own usage object is no estimate; leave one of the two out."
        raise Invalid("The estimate was refused.", reasons=(Reason("estimate", "contradiction", text),))
    measured = _measure(event)
    if measured.source is not None:
        begins = ESTIMATED if event.estimate.input_known else ESTIMATED_OUTPUT
        measured.source = begins + event.estimate.method
    return measured


def _measure(event: UsageEvent) -> Measured:
    if event.usage is None and event.units is None:
        units = _split_totals(event)
        return Measured({}) if units is None else Measured(units, "totals")
    measured = Measured({})
    if event.usage is not None:
        measured.provider = normalise_usage(event.usage, event.provider)
        measured.units = dict(measured.provider.units)
        measured.custom = dict(measured.provider.custom) or None
        measured.source = "usage"
    if event.units is not None:
        _add_units(event, measured)
    if _TOKEN_UNITS.isdisjoint(measured.units):
        measured.units |= _split_totals(event) or {}
    else:
        _require_agreement(event, measured.units)
    return measured


def _add_units(event: UsageEvent, measured: Measured) -> None:
    reasons: list[Reason] = []
    for name, quantity in (event.units or {}).items():
        try:
            steps = to_steps(name, quantity)
        except ValueError as error:
            reasons.append(Reason(f"units.{name}", "out_of_range", f"{name} {error}."))
            continue
        if steps:
            kept = measured.units if name in UNITS else (measured.custom or {})
            if kept.get(name, steps) != steps:
                said = format_steps(name, kept[name])
                text = f"units.{name} is {quantity}, but the usage object says {said}."
                reasons.append(Reason(f"units.{name}", "contradiction", text))
            kept[name] = steps
            if name not in UNITS:
                measured.custom = kept
    if reasons:
        raise Invalid("The units were refused.", reasons=tuple(reasons))
    measured.source = measured.source or "units"


def _split_totals(event: UsageEvent) -> Quantities | None:
    """The totals that people know, taken apart into disjoint units; None where there are none."""
    total_in, total_out, cached = event.input_tokens, event.output_tokens, event.cached_tokens
    written, reasoning = event.cache_write_tokens, event.reasoning_tokens
    if total_in is total_out is cached is written is reasoning is None:
        return None
    text, answer = total_in or 0, total_out or 0
    units: Quantities = {}
    if cached:
        units["cache_read_text"] = cached
        text -= cached
    if written:
        units["cache_write_5m"] = written
        text -= written
    if reasoning:
        units["output_reasoning"] = reasoning
        answer -= reasoning
    if text < 0 or answer < 0:
        raise Invalid("The token totals were refused.", reasons=_contradictions(event))
    if text:
        units["input_text"] = text
    if answer:
        units["output_text"] = answer
    return units


def _contradictions(event: UsageEvent) -> tuple[Reason, ...]:
    total_in, total_out = event.input_tokens or 0, event.output_tokens or 0
    from_cache = (event.cached_tokens or 0) + (event.cache_write_tokens or 0)
    reasoning = event.reasoning_tokens or 0
    reasons: list[Reason] = []
    if from_cache > total_in:
        text = f"cached_tokens and cache_write_tokens are {from_cache}, more than input_tokens ({total_in})."
        reasons.append(Reason("cached_tokens", "contradiction", text))
    if reasoning > total_out:
        text = f"reasoning_tokens is {reasoning}, more than output_tokens ({total_out})."
        reasons.append(Reason("reasoning_tokens", "contradiction", text))
    return tuple(reasons)


def _require_agreement(event: UsageEvent, units: Quantities) -> None:
    reasons: list[Reason] = []
    for name in FLAT_TOTALS:
        claimed = getattr(event, name)
        counted = total_of(name, units)
        if claimed is not None and claimed != counted:
            text = f"{name} is {claimed}, but the usage reported beside it adds up to {counted}."
            reasons.append(Reason(name, "contradiction", text))
    if reasons:
        raise Invalid("Two reports of the same usage contradict each other.", reasons=tuple(reasons))
