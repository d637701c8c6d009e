"""What clients send to and get from `usage/allocations/api.py`: the words of an allocation on the wire."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bursar.described import describe_fields
from bursar.identity.bodies import PLAIN_TEXT, Name, Strict, judged_by
from bursar.usage.allocations.allocation import (
    FIRST_DAY,
    LAST_DAY,
    SUBJECT_LIMIT,
    Allocation,
    AllocationAsk,
    Bearer,
    Bearing,
    about_name,
)

REASON_LIMIT = 500
Day = Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY, examples=["2026-06-01"])]
Subject = Annotated[
    str,
    Field(
        min_length=1,
        max_length=SUBJECT_LIMIT,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="The key's, project's or user's id as events name it.",
        examples=["search"],
    ),
]

BearersName = Annotated[Name, judged_by(about_name)]


class AllocationIn(Strict):
    """From a day on, who owns a key, project or user, and which cost centre bears it."""

    kind: Bearer
    subject: Subject
    valid_from: Day | None = Field(
        default=None, description="The first UTC day on which it holds, maybe in the past; today if absent."
    )
    owner: BearersName | None = Field(
        default=None, description="Stays as it is where absent; null says that there is none from then on."
    )
    cost_centre: BearersName | None = Field(default=None, description="The same.", examples=["CC-4711"])
    reason: Annotated[str, Field(max_length=REASON_LIMIT, pattern=PLAIN_TEXT)] | None = None

    def ask(self, tenant_id: str, today: date) -> AllocationAsk:
        """What is asked to be recorded for a tenant."""
        return AllocationAsk(
            tenant_id=tenant_id,
            of=Bearing(self.kind, self.subject),
            valid_from=self.valid_from or today,
            named=frozenset({"owner", "cost_centre"} & self.model_fields_set),
            owner=self.owner,
            cost_centre=self.cost_centre,
            reason=self.reason,
        )


class AllocationOut(BaseModel):
    """What holds of one key, project or user from a day on."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    id: str
    kind: Bearer
    subject: str
    valid_from: date
    """The first UTC day on which it holds."""
    valid_to: date | None
    """The first on which it doesn't, for another one holds then; null: it holds on, or isn't believed."""
    owner: str | None
    cost_centre: str | None
    reason: str | None
    created_at: datetime
    created_by: str
    replaced_at: datetime | None
    """Since when it isn't believed any more: replaced by another for the same day, or withdrawn."""
    replaced_by: str | None

    @classmethod
    def of(cls, one: Allocation) -> AllocationOut:
        """The allocation as it is shown."""
        return cls(
            id=one.id,
            kind=one.of.kind,
            subject=one.of.id,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            owner=one.owner,
            cost_centre=one.cost_centre,
            reason=one.reason,
            created_at=one.created.at,
            created_by=one.created.by,
            replaced_at=one.replaced.at if one.replaced else None,
            replaced_by=one.replaced.by if one.replaced else None,
        )


class AllocationsOut(BaseModel):
    """One page of allocations, the earliest recorded first."""

    items: list[AllocationOut]
    next_cursor: str | None
