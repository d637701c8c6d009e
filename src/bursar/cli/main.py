"""The `bursar` command line: every command in one list; the modules beside this one do the work.

Importing this module costs typer and nothing else; a test holds it to that.
"""

from __future__ import annotations

import typer

from bursar.cli import (
    aliases,
    allocations,
    audit,
    backup,
    billing,
    billing_rules,
    billing_settings,
    correct,
    credentials,
    db,
    demo,
    doctor,
    explain,
    export,
    forgetting,
    importing,
    keys,
    ledger,
    limits,
    overrides,
    prices,
    privacy,
    projects,
    quarantine,
    query,
    quotas,
    rates,
    reprice,
    retention,
    roles,
    scheduler,
    seats,
    secrets,
    serve,
    services,
    tenants,
    tokens,
    unpriced,
    users,
    version,
    void,
    whoami,
)
from bursar.cli.failures import FailingInOneLine

_HELP = "A ledger for AI usage and spend: records every call, prices it exactly, shows who spent what."
_EPILOG = """\b
Start here:
  bursar demo            a server with 30 days of invented usage
  bursar serve           a server on ./bursar-data
  bursar COMMAND --help  what a command does, with examples

\b
Exit codes:
  0 done   1 failed   2 wrong command line
  3 `verify` found differences, `erase-user` left some, `secrets check` found one that doesn't open
"""

app = typer.Typer(
    name="bursar",
    cls=FailingInOneLine,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    # Plain help: rich's costs 0.2 s at every --help, most of the half second that it may take.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.callback()(version.root)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("import", epilog=importing.EXAMPLES)(importing.import_usage)
app.command("query", epilog=query.EXAMPLES)(query.query)
app.command("explain", epilog=explain.EXAMPLES)(explain.explain)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("correct", epilog=correct.EXAMPLES)(correct.correct)
app.command("history", epilog=correct.HISTORY_EXAMPLES)(correct.history)
app.command("void", epilog=void.EXAMPLES)(void.void)
app.command("reprice", epilog=reprice.EXAMPLES)(reprice.reprice)
app.command("unpriced", epilog=unpriced.EXAMPLES)(unpriced.unpriced)
app.command("unallocated", epilog=allocations.UNALLOCATED_EXAMPLES)(allocations.unallocated)
app.command("erase-user", epilog=forgetting.ERASE_EXAMPLES)(forgetting.erase_user)
app.command("reset", epilog=forgetting.RESET_EXAMPLES)(forgetting.reset)
prices.app.add_typer(overrides.app, name="override", help=overrides.HELP)
prices.app.add_typer(aliases.app, name="alias", help=aliases.HELP)
app.add_typer(prices.app, name="prices", help=prices.HELP)
app.add_typer(quarantine.app, name="quarantine", help=quarantine.HELP)
app.add_typer(audit.app, name="audit", help=audit.HELP)
app.add_typer(keys.app, name="keys", help=keys.HELP)
app.add_typer(tokens.app, name="tokens", help=tokens.HELP)
app.add_typer(credentials.app, name="credentials", help=credentials.HELP)
app.add_typer(secrets.app, name="secrets", help=secrets.HELP)
app.add_typer(users.app, name="users", help=users.HELP)
app.add_typer(roles.app, name="roles", help=roles.HELP)
app.add_typer(tenants.app, name="tenants", help=tenants.HELP)
app.add_typer(projects.app, name="projects", help=projects.HELP)
app.add_typer(allocations.app, name="allocations", help=allocations.HELP)
app.add_typer(limits.app, name="limits", help=limits.HELP)
app.add_typer(quotas.app, name="quotas", help=quotas.HELP)
billing.app.command("settings", epilog=billing_settings.EXAMPLES)(billing_settings.settings)
app.add_typer(billing.app, name="billing", help=billing.HELP)
app.add_typer(services.app, name="services", help=services.HELP)
app.add_typer(billing_rules.app, name="billing-rules", help=billing_rules.HELP)
app.add_typer(seats.app, name="seats", help=seats.HELP)
app.add_typer(rates.app, name="rates", help=rates.HELP)
app.add_typer(privacy.app, name="privacy", help=privacy.HELP)
app.add_typer(retention.app, name="retention", help=retention.HELP)
app.command("expire", epilog=retention.EXPIRE_EXAMPLES)(retention.expire)
app.add_typer(scheduler.app, name="scheduler", help=scheduler.HELP)
app.command("verify", epilog=ledger.VERIFY_EXAMPLES)(ledger.verify)
app.command("rebuild", epilog=ledger.REBUILD_EXAMPLES)(ledger.rebuild)
app.command("backup", epilog=backup.BACKUP_EXAMPLES)(backup.backup)
app.command("restore", epilog=backup.RESTORE_EXAMPLES)(backup.restore)
app.add_typer(db.app, name="db", help=db.HELP)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("whoami", epilog=whoami.EXAMPLES)(whoami.whoami)
app.command("version", epilog=version.EXAMPLES)(version.version)
