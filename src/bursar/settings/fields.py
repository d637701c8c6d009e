"""Every setting as a field: what it does, how it is spelled outside, which form is allowed.

A field is set by `BURSAR_<NAME>`, some also by the plain name that other tools use. What can be wrong
about one value is its field's type and bounds; what can be wrong about several together stands at the
end. Where the values come from is the business of `reading.py`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from bursar.errors import Reason
from bursar.settings.forms import check_memory, to_psycopg
from bursar.settings.networks import HOSTS_FORM, NETWORKS_FORM, ORIGINS_FORM, Hosts, Networks, Origins
from bursar.settings.secret_values import (
    KEY_FORM,
    SEALING_FORM,
    SECRET_FORM,
    SECRET_FORMS,
    Key,
    SealingKeys,
    Secret,
)

PREFIX = "BURSAR_"
KIB, MIB = 2**10, 2**20
SHORTEST_PRODUCTION_KEY = 16
"""A configured key shorter than this can be guessed; generated keys carry 256 random bits."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a setting is written outside, where its type alone doesn't tell."""

    form: str = ""
    """The allowed form; empty where it follows from the field's type and bounds."""
    aliases: tuple[str, ...] = ()
    """Names that set it beside `BURSAR_<NAME>`."""


class Contradiction(ValueError):
    """Settings that are fine alone but not together."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__("; ".join(reason.message for reason in reasons))
        self.reasons = reasons


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _mask_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)


Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
_duckdb_size = Field(pattern=r"^[0-9]+(\.[0-9]+)? ?[KMGT]i?B$")
DuckdbSize = Annotated[str, _duckdb_size, Spelling("a size with its unit, such as 512MB or 4GiB")]
DuckdbMemory = Annotated[
    str,
    _duckdb_size,
    AfterValidator(check_memory),
    Spelling("a size of 256MB at least with its unit, such as 512MB or 4GiB"),
]


# All numbers of the script that counts in Redis stay below 2**53, where Lua's are exact.
_per_minute: int = Field(default=0, ge=0, le=6_000_000)
_burst: int = Field(default=0, ge=0, le=1_000_000)


class Settings(BaseModel):
    """Everything that can be chosen about one Bursar process."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Annotated[str, Spelling("a host name or address, such as 127.0.0.1", ("HOST",))] = Field(
        default="127.0.0.1", pattern=r"^[^\s/]+$"
    )
    """Address to listen on. Set it to 0.0.0.0 to be reachable from other machines."""
    port: Annotated[int, Spelling(aliases=("PORT",))] = Field(default=8000, ge=0, le=65535)
    """Port to listen on. 0 picks a free one."""
    ssl_certfile: Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Spelling("a file")] = (
        None
    )
    """Certificate in PEM form, with the chain behind it. With it the server speaks HTTPS (TLS 1.2+)."""
    ssl_keyfile: Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Spelling("a file")] = None
    """The certificate's private key in PEM form. Without it the key is in the certificate's file."""
    ssl_keyfile_password: Annotated[SecretStr | None, Spelling("any text")] = None
    """What the private key is encrypted with, if it is."""
    ssl_ca_certs: Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Spelling("a file")] = (
        None
    )
    """Authorities in PEM form. With it only clients with a certificate signed by one of them get in."""
    trusted_proxies: Annotated[Networks, Spelling(NETWORKS_FORM)] = ()
    """Proxies in front of Bursar, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. From anybody
    else these headers count for nothing."""
    allowed_hosts: Annotated[Hosts, Spelling(HOSTS_FORM, ("ALLOWED_HOSTS",))] = ()
    """Names that requests may give as `Host`; others are refused. Without it every name is taken."""
    cors_origins: Annotated[Origins, Spelling(ORIGINS_FORM, ("CORS_ORIGINS", "ALLOWED_ORIGINS"))] = ()
    """Web pages of other origins whose scripts may call the API with a key. Without it none may."""
    outgoing_networks: Annotated[Networks, Spelling(NETWORKS_FORM)] = ()
    """Networks of your own that URLs of users may lead to. Without it only public addresses are asked."""
    data_dir: Annotated[Path, AfterValidator(Path.expanduser), Spelling("a folder")] = Path("bursar-data")
    """Folder of all that Bursar keeps: journal, stores, socket. Made if absent. One process owns it."""
    environment: Annotated[Literal["development", "production"], BeforeValidator(_lower)] = "development"
    """`production` refuses what is only convenient on a developer's machine."""
    admin_key: Annotated[Key | None, Spelling(KEY_FORM)] = None
    """The operator's key, valid while it is set. While there is none, one is made and printed once."""
    api_key: Annotated[Key | None, Spelling(KEY_FORM, ("API_KEY",))] = None
    """An admin key of the tenant `default`, valid for as long as it is set."""
    ingest_key: Annotated[Key | None, Spelling(KEY_FORM, ("INGEST_KEY",))] = None
    """An ingest-only key of the tenant `default`, valid for as long as it is set."""
    encryption_key: Annotated[SealingKeys | None, Spelling(SEALING_FORM, ("ENCRYPTION_KEY",))] = None
    """Seals the secrets that tenants entrust. Of several keys the first one seals, all of them open."""
    encryption_key_file: Annotated[
        Annotated[Path, AfterValidator(Path.expanduser)] | None, Spelling("a file", ("ENCRYPTION_KEY_FILE",))
    ] = None
    """File with encryption keys, one a line, behind those of `BURSAR_ENCRYPTION_KEY`. Without any key the
    first secret makes one, `encryption.key` in the data folder; not in production nor with PostgreSQL."""
    secret_key: Annotated[Secret | None, Spelling(SECRET_FORM, ("SECRET_KEY",))] = None
    """Signs people's logins. Without it the data folder keeps one; servers on one database need the same."""
    secret_key_previous: Annotated[Secret | None, Spelling(SECRET_FORM, ("SECRET_KEY_PREVIOUS",))] = None
    """The one before, whose signatures still count while it is set: change both, and unset this one later."""
    jwt_expire_minutes: Annotated[int, Spelling(aliases=("JWT_EXPIRE_MINUTES",))] = Field(
        default=15, ge=1, le=1440
    )
    """Minutes for which an access token counts before its refresh token must bring the next."""
    session_days: int = Field(default=30, ge=1, le=365)
    """Days after a login when somebody must log in again."""
    anonymous_loopback: bool = False
    """Lets callers on this very machine in without a key, as the tenant `default`. Refused in production."""
    database_url: Annotated[
        Annotated[str, AfterValidator(to_psycopg)] | None,
        Spelling("postgresql://user:password@host:5432/name", ("DATABASE_URL",)),
    ] = Field(default=None, repr=False)
    """PostgreSQL for tenants, keys and prices. Without it they live in SQLite inside the data folder."""
    backup_dir: Annotated[Annotated[Path, AfterValidator(Path.expanduser)] | None, Spelling("a folder")] = (
        None
    )
    """Folder that a running server backs itself up into, by itself. Without it only `bursar backup` does."""
    backup_every_hours: int = Field(default=24, ge=1, le=168)
    """How often it does so."""
    upgrade_backup: bool = True
    """Whether a start that must upgrade an older ledger backs it up first, beside `BURSAR_BACKUP_DIR` or the
    data folder."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_lower),
        Spelling(aliases=("LOG_LEVEL",)),
    ] = "info"
    """The least severe line that is logged."""
    log_format: Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower)] = "auto"
    """`auto` is console on a terminal and JSON elsewhere."""
    otlp_endpoint: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] | None,
        Spelling("http://host:4318, without /v1/traces", ("OTEL_EXPORTER_OTLP_ENDPOINT",)),
    ] = None
    """OTLP/HTTP collector that spans are sent to. Without it tracing is off and costs nothing."""
    max_body_bytes: ByteSize = Field(default=ByteSize(16 * MIB), ge=KIB)
    """Largest request body as sent, compressed or not."""
    max_inflated_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=KIB)
    """Largest request body after decompression."""
    max_batch_events: int = Field(default=10_000, ge=1, le=1_000_000)
    """Most events in one body."""
    tracking_token_length: Annotated[int, Spelling(aliases=("TRACKING_TOKEN_LENGTH",))] = Field(
        default=22, ge=16, le=40
    )
    """Characters of the tracking tokens that are made from now on."""
    max_past_days: int = Field(default=35, ge=0, le=3650)
    """How old an event may be at the native doors. Imports take any past time."""
    max_future_seconds: int = Field(default=300, ge=0, le=86_400)
    """How far ahead of this clock an event's time may be."""
    pending_bytes_limit: ByteSize = Field(default=ByteSize(256 * MIB), ge=MIB)
    """Memory for bodies in flight and records not yet durable. Beyond it requests get 503."""
    min_free_disk_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=0)
    """With less free space than this in the data folder, ingest answers 503 until there is more."""
    segment_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=64 * KIB)
    """A journal segment is closed and a new one begun at about this size."""
    wait_timeout_seconds: Seconds = 10.0
    """Longest wait of `?wait=applied`. Then the answer is 202 with `applied: false`."""
    query_timeout_seconds: Seconds = 30.0
    """A query that runs longer is interrupted and answered with 503."""
    query_threads: int = Field(default=0, ge=0, le=256)
    """Queries that run at the same time; more get 503. 0 means twice the number of cores."""
    duckdb_memory_limit: DuckdbMemory = "1GB"
    """Memory that DuckDB may use before it spills to disk."""
    duckdb_threads: int = Field(default=1, ge=1, le=256)
    """Threads that DuckDB may use for one query or batch; several queries run beside each other anyway."""
    duckdb_temp_limit: DuckdbSize = "20GB"
    """Disk space that DuckDB may use for spilling, in `tmp/` of the data folder."""
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
    retention_events_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which raw events are kept, unless their tenant chooses. 0 keeps them forever."""
    retention_rollups_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which sums per hour and day are kept, at least as long as events. 0 keeps them forever."""
    retention_quarantine_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which refused records are kept, unless their tenant chooses. 0 keeps them forever."""
    retention_archive_days: int = Field(default=0, ge=0, le=36_500)
    """Days after which the journal's oldest archived segments are dropped, as far as nothing live stems from
    them; no shorter than any tenant's events are kept. 0 keeps them forever."""
    retention_renew_days: int = Field(default=7, ge=0, le=90)
    """Days after which what has expired is gone from the usage store's file too, by deriving it anew; 0 does
    so every night that something expires. `bursar expire` and a trigger of `retention` do it at once."""
    audit_retention_days: int = Field(default=0, ge=0, le=36_500)
    """Days for which entries of the audit log are kept. 0 keeps them forever."""
    billing_grace_days: int = Field(default=5, ge=0, le=90)
    """Days after the end of a month for which late events still belong to it; then it is closed."""
    scheduler: bool = True
    """`false` starts no job by itself at its time. What somebody asks for runs all the same."""
    quarantine_limit_per_tenant: int = Field(default=10_000, ge=0, le=10_000_000)
    """Refused records kept per tenant; what is beyond is dropped and counted."""

    @property
    def query_thread_count(self) -> int:
        """How many queries run at the same time, with 0 resolved to twice the cores."""
        return self.query_threads or 2 * (os.cpu_count() or 1)

    def shown(self) -> dict[str, str]:
        """Every field's value as text that may be printed: keys and passwords are masked."""
        return {field: show_value(field, getattr(self, field)) for field in type(self).model_fields}

    @model_validator(mode="after")
    def _hangs_together(self) -> Settings:
        reasons = (*_unsafe_access(self), *_incomplete_tls(self), *_impossible_limits(self))
        if reasons:
            raise Contradiction(reasons)
        return self


def names_of(field: str) -> tuple[str, ...]:
    """The environment variables that set the field, the first one before the others."""
    return (PREFIX + field.upper(), *_spelling_of(field).aliases)


def form_of(field: str) -> str:
    """The allowed form of the field in words, taken from its type and bounds."""
    info = Settings.model_fields[field]
    if form := _spelling_of(field).form:
        return form
    if info.annotation is bool:
        return "true or false"
    low, high = (_bound(info.metadata, name) for name in ("ge", "le"))
    if info.annotation is ByteSize:
        return f"a size such as 64MiB, 1GiB or 1048576 (bytes), at least {show_size(int(low))}"
    if info.annotation is float:
        return f"a number of seconds above 0, at most {high}"
    if info.annotation is int:
        return f"a whole number from {low} to {high}"
    *others, last = get_args(info.annotation)
    return f"{', '.join(others)} or {last}"


def show_size(size: int) -> str:
    """A number of bytes in the largest binary unit that keeps it whole."""
    for unit, factor in (("GiB", 2**30), ("MiB", MIB), ("KiB", KIB)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _spelling_of(field: str) -> Spelling:
    metadata = Settings.model_fields[field].metadata
    return next((item for item in metadata if isinstance(item, Spelling)), Spelling())


def _bound(metadata: list[Any], name: str) -> Any:  # noqa: ANN401 -- a bound is of its field's type
    return next((getattr(item, name) for item in metadata if hasattr(item, name)), 0)


def show_value(field: str, value: object) -> str:
    """The value as text that may be printed: keys and passwords are masked."""
    is_secret = isinstance(value, SecretStr) or _spelling_of(field).form in SECRET_FORMS
    if value is None or is_secret:
        return "" if value is None else "***"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return show_size(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in cast("tuple[object, ...]", value))
    return "" if value is None else _mask_password(str(value))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _unsafe_access(settings: Settings) -> list[Reason]:
    reasons: list[Reason] = []
    in_production = settings.environment == "production"
    if settings.anonymous_loopback and in_production:
        reasons.append(_clash("anonymous_loopback", "is refused with BURSAR_ENVIRONMENT=production"))
    if settings.anonymous_loopback and not _is_loopback(settings.host):
        reasons.append(
            _clash("anonymous_loopback", f"true needs a loopback BURSAR_HOST, not {settings.host}")
        )
    for field in ("admin_key", "api_key", "ingest_key"):
        key = getattr(settings, field)
        if key and in_production and len(key.get_secret_value()) < SHORTEST_PRODUCTION_KEY:
            reasons.append(_clash(field, f"needs {SHORTEST_PRODUCTION_KEY} characters or more in production"))
    if settings.ingest_key and settings.ingest_key in {settings.admin_key, settings.api_key}:
        reasons.append(_clash("ingest_key", "must differ from the admin keys, or it would be one"))
    if settings.secret_key and settings.secret_key == settings.secret_key_previous:
        reasons.append(
            _clash("secret_key_previous", "must be the one before BURSAR_SECRET_KEY, not the same")
        )
    return reasons


def _incomplete_tls(settings: Settings) -> list[Reason]:
    beside = ("ssl_keyfile", "ssl_keyfile_password", "ssl_ca_certs")
    given = (
        [] if settings.ssl_certfile else [field for field in beside if getattr(settings, field) is not None]
    )
    return [_clash(field, "needs BURSAR_SSL_CERTFILE beside it") for field in given]


def _impossible_limits(settings: Settings) -> list[Reason]:
    reasons: list[Reason] = []
    if settings.max_inflated_bytes < settings.max_body_bytes:
        reasons.append(_clash("max_inflated_bytes", "must not be below BURSAR_MAX_BODY_BYTES"))
    rates = [name for name in type(settings).model_fields if name.endswith("_rpm")]
    reasons.extend(
        _clash(burst, f"needs {names_of(rate)[0]}, for without a rate there is no limit")
        for rate in rates
        if getattr(settings, burst := rate.replace("_rpm", "_burst")) and not getattr(settings, rate)
    )
    if settings.pending_bytes_limit < settings.max_inflated_bytes:
        reasons.append(
            _clash(
                "pending_bytes_limit",
                "must not be below BURSAR_MAX_INFLATED_BYTES",
            )
        )
    return reasons


def _clash(field: str, rule: str) -> Reason:
    name = names_of(field)[0]
    return Reason(name, "contradiction", f"{name} {rule}")
