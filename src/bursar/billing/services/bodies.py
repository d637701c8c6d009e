"""What clients send to and get from `/api/v1/services`: registrations, and services as they are shown."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bursar.billing.charge_bodies import BillingIn, FieldName
from bursar.billing.charge_reading import read_billing, shown_billing
from bursar.billing.registered import RegisteredService
from bursar.billing.schema import compile_schema
from bursar.described import describe_fields
from bursar.errors import Invalid, Reason
from bursar.identity.bodies import Strict
from bursar.usage.record import encode_event

if TYPE_CHECKING:
    from bursar.billing.registered import ServiceVersion

FIELDS_LIMIT = 100

ServiceType = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$", examples=["custom_ml_service"])
]
Text = Annotated[str, Field(max_length=2000)]
ProviderName = Annotated[str, Field(min_length=1, max_length=128)]
FieldNames = Annotated[list[FieldName], Field(max_length=FIELDS_LIMIT)]


class ServiceIn(Strict):
    """A service to register, or its next version."""

    service_type: ServiceType
    service_name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="For people; the type if absent."
    )
    description: Text = ""
    providers: Annotated[list[ProviderName], Field(max_length=FIELDS_LIMIT)] = Field(
        default=[], description="Those that its events may name; any if empty."
    )
    required_fields: FieldNames = Field(
        default=[], description="Fields that each event must have, at the top or in metadata or metrics."
    )
    optional_fields: FieldNames = Field(default=[], description="Further fields that it may have.")
    validation_schema: dict[str, Any] | None = Field(
        default=None, description="A JSON Schema that the fields of each event must meet, in one object."
    )
    billing_config: BillingIn | None = Field(
        default=None, description="What an event costs where no billing rule counts."
    )
    tenant_id: str | None = Field(default=None, description="The credential's own; an operator may name any.")

    def registered(self) -> RegisteredService:
        """The same as values.

        Raises:
            Invalid: with every reason why it can't be.
        """
        reasons: list[Reason] = []
        both = sorted(set(self.required_fields) & set(self.optional_fields))
        reasons += [Reason("optional_fields", "contradiction", f"'{name}' is required.") for name in both]
        schema = None
        billing = None
        try:
            if self.validation_schema is not None:
                schema = encode_event(self.validation_schema).decode()
                compile_schema(schema)
        except Invalid as refusal:
            reasons += refusal.reasons
        try:
            billing = read_billing(self.billing_config, "billing_config.") if self.billing_config else None
        except Invalid as refusal:
            reasons += refusal.reasons
        if reasons:
            raise Invalid("The service was refused.", reasons=tuple(reasons))
        return RegisteredService(
            service_type=self.service_type,
            service_name=self.service_name or self.service_type,
            description=self.description,
            providers=tuple(dict.fromkeys(self.providers)),
            required_fields=tuple(dict.fromkeys(self.required_fields)),
            optional_fields=tuple(dict.fromkeys(self.optional_fields)),
            validation_schema=schema,
            billing=billing,
        )


class ServiceOut(BaseModel):
    """A service in one of its versions."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    service_type: str
    service_name: str | None
    description: str | None
    providers: list[str]
    required_fields: list[str]
    optional_fields: list[str]
    validation_schema: dict[str, Any] | None
    billing_config: dict[str, Any] | None
    """As it can be sent again; decimals are strings."""
    version: int
    """0 for what is built in."""
    is_built_in: bool
    is_retired: bool
    recorded_at: datetime | None
    recorded_by: str | None
    """The key that recorded this version; null for what is built in."""

    @classmethod
    def of(cls, version: ServiceVersion) -> ServiceOut:
        """A tenant's own service as it is shown."""
        return cls(
            **_shown(version.registered, version.service_type),
            version=version.version,
            is_built_in=False,
            is_retired=version.registered is None,
            recorded_at=version.recorded_at,
            recorded_by=version.recorded_by,
        )

    @classmethod
    def built_in(cls, service: RegisteredService) -> ServiceOut:
        """A built-in service as it is shown."""
        return cls(
            **_shown(service, service.service_type),
            version=0,
            is_built_in=True,
            is_retired=False,
            recorded_at=None,
            recorded_by=None,
        )


class ServicesOut(BaseModel):
    """All services of a tenant, built-in ones first."""

    items: list[ServiceOut]
    next_cursor: str | None = Field(default=None, description="Always null: a list is whole.")


def _shown(service: RegisteredService | None, service_type: str) -> dict[str, Any]:
    schema = service.validation_schema if service else None
    billing = service.billing if service else None
    return {
        "service_type": service_type,
        "service_name": service.service_name if service else None,
        "description": service.description if service else None,
        "providers": list(service.providers) if service else [],
        "required_fields": list(service.required_fields) if service else [],
        "optional_fields": list(service.optional_fields) if service else [],
        "validation_schema": json.loads(schema) if schema else None,
        "billing_config": shown_billing(billing) if billing else None,
    }
