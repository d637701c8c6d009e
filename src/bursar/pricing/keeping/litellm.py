"""The LiteLLM price map, read from a file that the operator gives; LiteLLM itself is never imported.

The map is wide, flat and without dates. Its entries become rows and entries like those of any source;
what isn't understood is remarked on, and what may be a placeholder (a price of zero) is left out.
Which of it is used is decided in `gaps.py`: it fills what the book lacks, and is compared with the rest.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from bursar.errors import Invalid, Reason
from bursar.pricing.documents import content_hash
from bursar.pricing.entries import ModelEntry, NameRule, ProviderEntry
from bursar.pricing.keeping.litellm_fields import (
    OFF_PEAK_FIELD,
    REPEATED_FIELDS,
    SEARCH_FIELD,
    STANDARD,
    FieldFault,
    FieldPrice,
    is_about_money,
    read_field,
    read_number,
    read_search_price,
)
from bursar.pricing.keeping.litellm_rows import ListedModel, rows_of
from bursar.pricing.keeping.off_peak import read_off_peak
from bursar.pricing.keeping.source import (
    LITELLM,
    NAME_LIMIT,
    PriceSource,
    Remarks,
    decode_file,
    refuse_bad_content,
    refuse_faults,
)
from bursar.pricing.match import PROVIDER_ALIASES

if TYPE_CHECKING:
    from collections.abc import Iterator

WHAT = "LiteLLM price map"
LINK = "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json"
NO_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
"""Entries that describe the map itself."""
TIERED_FIELD = "tiered_pricing"
UNBILLED_MODES = frozenset(
    {"embedding", "rerank", "audio_transcription", "audio_speech", "moderation", "ocr"}
)
"""What costs nothing there is not billed; elsewhere a zero may stand for a price that nobody looked up."""
_FAMILIES = {
    "vertex_ai": "google",
    "text-completion-openai": "openai",
    "text-completion-codestral": "mistral",
    "codestral": "mistral",
    "azure_text": "azure",
    "bedrock_mantle": "aws",
    "fireworks_ai-embedding-models": "fireworks",
}
"""LiteLLM's names of doors to providers that have other names here."""
_ONE_REGION = re.compile(
    r"(?:[a-z]{2}(?:-gov)?-[a-z]+-\d|us|eu|global|global-standard|hd|standard|low|medium|high|\*)/"
    r"|.*\d-months?-commitment|\d+-x-\d+/|.*/\d+-x-\d+/|max-x-max/"
)
"""Names that carry a region, a picture's size or a rented capacity, which no call has as its model."""


def read_litellm(content: bytes) -> PriceSource:
    """The price map in a file's bytes.

    Raises:
        Malformed: it is no JSON.
        Invalid: it isn't of that form; entry and field are named.
    """
    document = _decode(content)
    reader = _Reader()
    models = [one for key, entry in document.items() if (one := reader.read(key, entry)) is not None]
    refuse_faults(WHAT, reader.faults)
    models = _without_contradictions(models, reader.remarks)
    digest = content_hash(content)
    source = PriceSource(
        name=LITELLM,
        version=digest[:12],
        content_hash=digest,
        providers=tuple(
            ProviderEntry(id=provider, name=provider, link=LINK)
            for provider in sorted({one.provider for one in models})
        ),
        entries=tuple(
            ModelEntry(
                provider=one.provider,
                id=one.model,
                name=one.model,
                match=(NameRule("equals", one.model.lower()),),
            )
            for one in models
        ),
        rows={(one.provider, one.model): tuple(rows_of(one)) for one in models},
        remarks=reader.remarks.all(),
    )
    return refuse_bad_content(WHAT, source)


def _decode(content: bytes) -> dict[str, dict[str, Any]]:
    found = decode_file(content)
    entries = cast("dict[str, Any]", found) if isinstance(found, dict) else None
    if not entries or not any(
        isinstance(one, dict) and "litellm_provider" in one for one in entries.values()
    ):
        message = (
            "The file is no LiteLLM price map: an object of entries with 'litellm_provider' is expected."
        )
        raise Invalid(message, reasons=(Reason("$", "wrong_file", message),))
    return entries


class _Reader:
    """Reads entry after entry; collects every fault and what isn't understood."""

    def __init__(self) -> None:
        self.faults: list[Reason] = []
        self.remarks = Remarks()

    def read(self, key: str, entry: object) -> ListedModel | None:
        """One entry; None where no price can be made of it."""
        if key in NO_MODELS:
            return None
        if not isinstance(entry, dict):
            self.faults.append(Reason(key, "not_an_object", "must be an object of fields"))
            return None
        fields = cast("dict[str, Any]", entry)
        if TIERED_FIELD in fields:
            self.remarks.add(TIERED_FIELD, "prices by the size of the prompt in this form", key)
            return None
        listed = self._identify(key, fields)
        return None if listed is None else self._with_prices(listed, fields)

    def _with_prices(self, listed: ListedModel, fields: dict[str, Any]) -> ListedModel | None:
        key = listed.key
        prices = list(self._prices(listed, fields))
        if not any(one.price for one in prices):
            if prices:
                self.remarks.add("entry", "every price is 0, which may stand for unknown", key)
            return None
        kept = [one for one in prices if self._is_meant(one, listed)]
        whole = replace(listed, prices=kept)
        if OFF_PEAK_FIELD in fields:
            return self._with_off_peak(whole, fields[OFF_PEAK_FIELD])
        return whole

    def _identify(self, key: str, fields: dict[str, Any]) -> ListedModel | None:
        door, mode, link = (fields.get(name, "") for name in ("litellm_provider", "mode", "source"))
        for name, value in (("litellm_provider", door), ("mode", mode), ("source", link)):
            if not isinstance(value, str):
                self.faults.append(Reason(f"{key}.{name}", "not_a_string", "must be a string"))
                return None
        if not door:
            self.remarks.add("entry", "names no provider", key)
            return None
        provider = provider_of(door)
        model = _model_of(key, provider)
        if _ONE_REGION.match(model) is not None:
            self.remarks.add("entry", "is for one region, size or rented capacity", key)
            return None
        if not model or len(model) > NAME_LIMIT or not model.isprintable():
            self.remarks.add("entry", "has no name that a call could have", key[:NAME_LIMIT])
            return None
        return ListedModel(key, provider, model, mode, link if link.startswith("https://") else LINK)

    def _prices(self, listed: ListedModel, fields: dict[str, Any]) -> Iterator[FieldPrice]:
        images_by_token = "output_cost_per_image_token" in fields
        for name, value in fields.items():
            if value is None or name == OFF_PEAK_FIELD:
                continue
            try:
                found = self._price(listed, name, value, fields)
            except FieldFault as fault:
                self.faults.append(Reason(f"{listed.key}.{name}", "not_a_price", str(fault)))
                continue
            if found is not None and not (images_by_token and found.unit == "images"):
                yield found

    def _price(
        self, listed: ListedModel, name: str, value: object, fields: dict[str, Any]
    ) -> FieldPrice | None:
        if name == SEARCH_FIELD:
            price = read_search_price(value)
            if price is None or fields.get("web_search_billing_unit", "per_query") != "per_query":
                self.remarks.add(name, "the price of a search depends on more than their number", listed.key)
                return None
            return FieldPrice(name, "searches", STANDARD, 0, price)
        found = read_field(name, value, listed.mode)
        if found is None and is_about_money(name) and not _is_repeated(name, value, fields):
            self.remarks.add(name, "this field is not understood", listed.key)
        return found

    def _is_meant(self, one: FieldPrice, listed: ListedModel) -> bool:
        if one.price or listed.mode in UNBILLED_MODES or one.unit.startswith("cache_write"):
            return True
        self.remarks.add(one.field, "a price of 0 may stand for unknown", listed.key)
        return False

    def _with_off_peak(self, listed: ListedModel, value: object) -> ListedModel | None:
        try:
            off_peak = read_off_peak(value)
        except FieldFault as fault:
            self.faults.append(Reason(f"{listed.key}.{OFF_PEAK_FIELD}", "not_off_peak_pricing", str(fault)))
            return None
        if off_peak is None:
            self.remarks.add(OFF_PEAK_FIELD, "these hours are not understood", listed.key)
            return None
        return replace(listed, off_peak=off_peak)


def provider_of(door: str) -> str:
    """The provider that bills what goes through one of LiteLLM's doors."""
    name = door.strip().lower()
    family = name.split("-")[0] if name.startswith("vertex_ai-") else name
    return _FAMILIES.get(name) or _FAMILIES.get(family) or PROVIDER_ALIASES.get(name, name)


def _model_of(key: str, provider: str) -> str:
    """The entry's name without the door that it begins with."""
    prefix, slash, rest = key.partition("/")
    return rest if slash and provider_of(prefix) == provider else key


def _is_repeated(name: str, value: object, fields: dict[str, Any]) -> bool:
    """Whether a field only says again what another one does."""
    other = REPEATED_FIELDS.get(name)
    return other is not None and (not read_number(value) or fields.get(other) == value)


def _without_contradictions(models: list[ListedModel], remarks: Remarks) -> list[ListedModel]:
    """One entry for each model: of several that say the same one, of those that don't none."""
    by_model: dict[tuple[str, str], list[ListedModel]] = {}
    for one in models:
        by_model.setdefault((one.provider, one.model.lower()), []).append(one)
    kept: list[ListedModel] = []
    for same in by_model.values():
        if all(_content(one) == _content(same[0]) for one in same):
            kept.append(same[0])
        else:
            remarks.add("entry", "several entries for one model differ", same[0].key)
    return kept


def _content(listed: ListedModel) -> object:
    return {one[1:] for one in listed.prices}, listed.off_peak
