"""How far a caller sees of its tenant's usage: projects, money, and what was sent along with events."""

from __future__ import annotations

import pytest

from bursar.errors import MissingScope
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.usage.query import Filter, FilterOp
from bursar.usage.sight import SEES_ALL, Sight, sight_of

SEARCH = Filter("project_id", FilterOp.IN, ("search",))
BOTH = frozenset({"ads", "search"})


def of(*permissions: Permission, **within: set[str]) -> Sight:
    """The sight of a caller who asks for usage; `cost_read={"a"}` is a permission in projects."""
    some = {Permission(name.replace("_", ":")): frozenset(projects) for name, projects in within.items()}
    return sight_of(Caller("acme", "key_1", frozenset(permissions), within=some), Permission.USAGE_READ)


def test_who_may_do_it_in_the_whole_tenant_sees_everything() -> None:
    sight = of(Permission.USAGE_READ, Permission.COST_READ, Permission.METADATA_READ)
    assert sight == SEES_ALL
    assert sight.filters == sight.for_measures(["cost"]) == sight.for_dimensions(["tag:team"]) == ()


def test_who_may_do_it_nowhere_is_refused() -> None:
    with pytest.raises(MissingScope, match="usage:read"):
        of(Permission.COST_READ)


def test_a_project_limit_is_a_filter() -> None:
    sight = of(usage_read={"search", "ads"})
    assert sight.filters == (Filter("project_id", FilterOp.IN, ("ads", "search")),)


def test_money_narrows_to_where_it_may_be_seen() -> None:
    sight = of(Permission.USAGE_READ, cost_read={"search"})
    assert sight.filters == sight.for_measures(["events", "total_tokens"]) == ()
    assert sight.for_measures(["events", "cost_per_call"]) == (SEARCH,)
    assert sight.sees_costs


@pytest.mark.parametrize(
    "sight",
    [of(Permission.USAGE_READ), of(usage_read={"search"}, cost_read={"ads"})],
    ids=["nowhere", "elsewhere"],
)
@pytest.mark.parametrize("name", ["cost", "total_cost", "cost_per_call", "cost_per_1k_tokens"])
def test_money_that_may_be_seen_nowhere_is_refused_by_name(sight: Sight, name: str) -> None:
    assert not sight.sees_costs
    with pytest.raises(MissingScope, match=f"{name}.*cost:read"):
        sight.for_measures(["events", name])


def test_tags_narrow_to_where_metadata_may_be_seen_or_are_refused() -> None:
    assert of(Permission.USAGE_READ, metadata_read={"search"}).for_dimensions(["tag:team"]) == (SEARCH,)
    blind = of(Permission.USAGE_READ)
    assert blind.for_dimensions(["model", "user_id"]) == ()
    with pytest.raises(MissingScope, match=r"tag:team.*metadata:read"):
        blind.for_dimensions(["model", "tag:team"])
