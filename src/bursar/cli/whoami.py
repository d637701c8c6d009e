"""`bursar whoami`: who a command is for the ledger, by which roles, and what it may do there."""

from __future__ import annotations

from bursar.cli import options
from bursar.cli.options import examples

EXAMPLES = examples(
    "bursar whoami", "bursar whoami --url https://bursar.example.com --key $KEY", "bursar whoami --json"
)


@options.naming_ledger
def whoami(*, target: options.Target, as_json: options.AsJson = False) -> None:
    """Show who asks: the key or the operator, the tenant, and what they may do."""
    from bursar.cli.connection import ask
    from bursar.cli.printing import print_json, print_table

    found = ask(target, "GET", "/api/v1/auth/permissions")
    if as_json:
        print_json(found)
        return
    print(f"{found['username'] or found['id']} ({found['kind']}) of tenant {found['tenant_id']}")
    allowed = [one for one in found["permissions"] if one["is_granted"] or one["projects"]]
    rows = [(one["name"], one["projects"] or "the whole tenant", one["meaning"]) for one in allowed]
    print_table(("permission", "in", "meaning"), rows)
