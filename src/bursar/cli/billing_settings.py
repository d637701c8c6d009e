"""`bursar billing settings`: in which currency a tenant's costs are told, and whose figures it trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/api/v1/billing/settings"
EXAMPLES = examples(
    "bursar billing settings",
    "bursar billing settings --currency EUR --tenant acme",
    "bursar billing settings --trust openrouter --trust xai",
    "bursar billing settings --trust none --currency none",
)
NONE = "none"


@options.naming_ledger
def settings(
    *,
    currency: Annotated[
        str | None, typer.Option(help="In which costs are told too; `none` for no other.")
    ] = None,
    rate_days: Annotated[
        int | None, typer.Option(min=0, max=366, help="How many days old an exchange rate may be.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(help="A provider whose own figure counts; may be given several times, or `none`."),
    ] = None,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Show how a tenant's costs are told, or choose it; what isn't named stays as it is."""
    from bursar.cli.connection import open_ledger

    with open_ledger(ledger) as client:
        found = client.request("GET", PATH, params=ledger.params)
        if currency is not None or rate_days is not None or trust:
            body: dict[str, Any] = {name: found[name] for name in found if name != "tenant_id"}
            if currency is not None:
                body["reporting_currency"] = None if currency == NONE else currency
            if rate_days is not None:
                body["exchange_rate_days"] = rate_days
            if trust:
                body["trusted_providers"] = [] if trust == [NONE] else trust
            found = client.request("PUT", PATH, body=body, params=ledger.params)
    _print(found, as_json=as_json)


def _print(found: Mapping[str, Any], *, as_json: bool) -> None:
    from bursar.cli.printing import print_json

    if as_json:
        print_json(found)
        return
    print(f"Tenant {found['tenant_id']}")
    print(f"  costs are told in     {found['reporting_currency'] or 'the currencies they arose in'}")
    print(f"  an exchange rate may be {found['exchange_rate_days']} days old")
    print(f"  trusted figures of    {', '.join(found['trusted_providers']) or 'no provider'}")
