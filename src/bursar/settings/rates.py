"""How often somebody may ask or post: token buckets by key, tenant and address, and where they are kept.

What a bucket is stands in `identity/limits/`; sizes of bodies are in `bounds.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bursar.settings.spelling import Group, Spelling, clash, name_of

if TYPE_CHECKING:
    from bursar.errors import Reason

# All numbers of the script that counts in Redis stay below 2**53, where Lua's are exact.
_per_minute: int = Field(default=0, ge=0, le=6_000_000)
_burst: int = Field(default=0, ge=0, le=1_000_000)


class Rates(Group):
    """Rates and bursts, by whose they are."""

    rate_limit_rpm: Annotated[int, Spelling(aliases=("RATE_LIMIT_RPM",))] = _per_minute
    """Requests a minute that one key may make, posts of events apart. 0 means no limit, here and below."""
    rate_limit_burst: Annotated[int, Spelling(aliases=("RATE_LIMIT_BURST",))] = _burst
    """How many of them at once. 0 means as many as in a minute, here and below."""
    rate_limit_tenant_rpm: int = _per_minute
    """The same for all keys of one tenant together."""
    rate_limit_tenant_burst: int = _burst
    """How many of them at once."""
    rate_limit_address_rpm: int = _per_minute
    """The same for one address (of IPv6, its /64 network), whatever keys it presents, or none."""
    rate_limit_address_burst: int = _burst
    """How many of them at once."""
    rate_limit_ingest_rpm: Annotated[int, Spelling(aliases=("INGEST_RPM",))] = _per_minute
    """Posts of events a minute that one key may make, however many events are in one."""
    rate_limit_ingest_burst: Annotated[int, Spelling(aliases=("INGEST_BURST",))] = _burst
    """How many of them at once."""
    rate_limit_ingest_tenant_rpm: int = _per_minute
    """The same for all keys of one tenant together."""
    rate_limit_ingest_tenant_burst: int = _burst
    """How many of them at once."""
    rate_limit_ingest_address_rpm: int = _per_minute
    """The same for one address."""
    rate_limit_ingest_address_burst: int = _burst
    """How many of them at once."""
    rate_limit_ingest_token_rpm: int = _per_minute
    """Events a minute that name one tracking token, each event counted; those beyond are refused by name."""
    rate_limit_ingest_token_burst: int = _burst
    """How many of them at once."""
    rate_limit_exempt: Annotated[
        str, Spelling("paths separated by commas, such as /live,/ready", ("RATE_LIMIT_EXEMPT",))
    ] = Field(default="/live,/ready,/health,/ping,/metrics", pattern=r"^/[^\s,?#]*(,/[^\s,?#]*)*$")
    """Paths that no rate limit counts, exactly as written. The data folder's socket is never counted."""
    redis_url: Annotated[
        Annotated[str, Field(pattern=r"^(redis|rediss|unix)://\S+$")] | None,
        Spelling("redis://user:password@host:6379/0, rediss:// or unix://", ("REDIS_URL",)),
    ] = Field(default=None, repr=False)
    """Redis (6 or newer) in which several servers count rate limits together. Without it, or while it is
    away, each counts by itself."""


def bursts_without_rates(settings: Rates) -> list[Reason]:
    """Bursts of limits that aren't there."""
    rates = [name for name in type(settings).model_fields if name.endswith("_rpm")]
    return [
        clash(burst, f"needs {name_of(rate)}, for without a rate there is no limit")
        for rate in rates
        if getattr(settings, burst := rate.replace("_rpm", "_burst")) and not getattr(settings, rate)
    ]
