"""The questions that people ask of a ledger, with the windows and filters that they use.

Each kind is a stream of varied requests from a seed: the last thirty days counted back from now (whose
edges lie within an hour), thirty whole days in one of several zones, all of a tenant or one of its
projects, providers or models. Narrow filters, which no rollup can answer, are kinds of their own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.events import MODELS
from bursar import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

Parameters = dict[str, str]
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
WEEK, MONTH = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question."""

    name: str
    path: str
    vary: Callable[[random.Random, datetime], Parameters]
    is_target: bool = True
    """Whether the promise of an answer within 100 ms is about it."""

    def requests(self, seed: int = 1) -> Iterator[str]:
        """Paths with parameters, without end."""
        chance = random.Random(f"{self.name}{seed}")
        while True:
            yield f"{self.path}?{urlencode(self.vary(chance, clock.now()))}"


def _window(chance: random.Random, now: datetime) -> Parameters:
    """Thirty days, in one of the ways in which people say so."""
    way = chance.randrange(4)
    if way == 0:
        return {"window": "30d"}
    if way == 1:
        return {"window": "30d", "zone": chance.choice(ZONES)}
    last = now.date() + timedelta(days=1)
    if way == 2:
        return {"start": (last - MONTH).isoformat(), "end": last.isoformat()}
    start = now - MONTH + timedelta(minutes=chance.randrange(1, 600))
    return {"start": clock.rfc3339(start), "end": clock.rfc3339(now)}


def _part(chance: random.Random) -> Parameters:
    """A part of the usage that has a name."""
    provider, model, _ = chance.choice(MODELS)
    choices: tuple[Parameters, ...] = (
        {"project_id": f"project-{chance.randrange(12)}"},
        {"provider": provider},
        {"model": model},
    )
    return chance.choice(choices)


def _filter(chance: random.Random) -> Parameters:
    """Half of all questions are about everything, the others about a part."""
    return _part(chance) if chance.random() < 0.5 else {}


def _of_a_part(chance: random.Random, now: datetime) -> Parameters:
    return _window(chance, now) | _part(chance)


def _by_model(chance: random.Random, now: datetime) -> Parameters:
    return {"group_by": "model"} | _window(chance, now) | _filter(chance)


def _by_day(chance: random.Random, now: datetime) -> Parameters:
    metric = chance.choice(("cost", "events", "total_tokens"))
    return {"period": "day", "metric": metric} | _window(chance, now) | _filter(chance)


def _top_users(chance: random.Random, now: datetime) -> Parameters:
    metric = chance.choice(("cost", "events", "total_tokens"))
    return {"group_by": "user_id", "metric": metric, "limit": "10"} | _window(chance, now)


def _top_users_of_project(chance: random.Random, now: datetime) -> Parameters:
    return _top_users(chance, now) | {"project_id": f"project-{chance.randrange(12)}"}


def _of_one_user(chance: random.Random, now: datetime) -> Parameters:
    return {"user_id": f"user-{chance.randrange(200)}"} | _window(chance, now)


def _of_a_tag(chance: random.Random, now: datetime) -> Parameters:
    return {"tag:team": f"team-{chance.randrange(9)}", "group_by": "model"} | _window(chance, now)


def _by_hour(chance: random.Random, now: datetime) -> Parameters:
    start = now - WEEK - timedelta(days=chance.randrange(20))
    window = {"start": start.date().isoformat(), "end": (start + WEEK).date().isoformat()}
    return {"period": "hour", "metric": "cost"} | window | _filter(chance)


SUMMARY, BREAKDOWN, TRENDS, TOP = (
    "/api/v1/cost/summary",
    "/api/v1/cost/breakdown",
    "/api/v1/analytics/trends",
    "/api/v1/analytics/top",
)
QUESTIONS = (
    Question("summary", SUMMARY, _window),
    Question("summary of a project, provider or model", SUMMARY, _of_a_part),
    Question("breakdown by model", BREAKDOWN, _by_model),
    Question("trend by day", TRENDS, _by_day),
    Question("top users", TOP, _top_users),
    Question("trend by hour, a week", TRENDS, _by_hour, is_target=False),
    Question("summary of one user", SUMMARY, _of_one_user, is_target=False),
    Question("breakdown of a tag", BREAKDOWN, _of_a_tag, is_target=False),
    Question("top users of a project", TOP, _top_users_of_project, is_target=False),
)
