"""`bursar users`: people who log in. The rules are the server's (`identity/users/`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bursar.cli import options
from bursar.cli.options import examples

HELP = "People who log in: make, invite, list, suspend, remove; links for a new password."
PATH = "/api/v1/users"
COLUMNS = ("id", "email", "name", "state", "has_password", "roles", "owner", "cost_centre", "last_login_at")

app = typer.Typer(no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id or e-mail address.")]
Mail = Annotated[
    bool | None,
    typer.Option("--mail/--no-mail", help="Mail the link, or print it. [default: mailed where SMTP is set]"),
]
Role = Annotated[
    list[str] | None,
    typer.Option(metavar="ROLE[@PROJECT]", help="A role, in the whole tenant or in one project; repeat."),
]
Project = Annotated[
    str | None, typer.Option(help="The project of every --role that names none; the whole tenant if absent.")
]


@app.command(
    epilog=examples(
        "bursar users create ada@example.com --name 'Ada Lovelace' --role owner",
        "bursar users create bob@example.com --role viewer --role member@search",
        "bursar users create eve@example.com --role analyst --password-stdin < password.txt",
    )
)
@options.naming_ledger
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What they log in with.")],
    *,
    name: Annotated[str | None, typer.Option(help="Their name; the address if absent.")] = None,
    role: Role = None,
    project: Project = None,
    mail: Mail = None,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read a password, instead of making a link to choose one."),
    ] = False,
    ledger: options.Ledger,
    as_json: options.AsJson = False,
) -> None:
    """Make a user. The link by which they choose a password is mailed, or printed on standard output."""
    from bursar.cli.connection import ask

    body: dict[str, Any] = {"email": email, "name": name, "mail": mail}
    body["roles"] = [_role_of(one, project) for one in role or []]
    if password_stdin:
        body["password"] = _read_password()
    made = ask(ledger, "POST", PATH, body)
    if as_json:
        _print_json(made)
        return
    _say(f"Made the user {made['id']} ({made['email']}) in tenant {made['tenant_id']}.")
    if made["invitation"] is not None:
        _tell_link(made["invitation"], made["email"])


@app.command("list", epilog=examples("bursar users list", "bursar users list --tenant acme --json"))
@options.naming_ledger
def list_users(*, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """List a tenant's users with their roles, and the owner and cost centre of today."""
    from bursar.cli.connection import ask_list
    from bursar.cli.printing import print_items

    items = ask_list(ledger, PATH)
    shown = items if as_json else [{**one, "roles": _words_of(one["roles"])} for one in items]
    print_items(shown, COLUMNS, as_json=as_json)


@app.command(epilog=examples("bursar users show ada@example.com"))
@options.naming_ledger
def show(user: User, *, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Show one user."""
    found = _ask_about(ledger, user, "GET")
    if as_json:
        _print_json(found)
        return
    for name, value in found.items():
        print(f"{name}: {_words_of(value) if name == 'roles' else '' if value is None else value}")


@app.command(epilog=examples("bursar users rename ada@example.com 'Ada King'"))
@options.naming_ledger
def rename(
    user: User,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    *,
    ledger: options.Ledger,
) -> None:
    """Give a user another name."""
    changed = _ask_about(ledger, user, "PATCH", {"name": name})
    print(f"{changed['email']} is called {changed['name']} now.")


@app.command(epilog=examples("bursar users readdress ada@example.com ada.king@example.com"))
@options.naming_ledger
def readdress(
    user: User,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="What they log in with from now on.")],
    *,
    ledger: options.Ledger,
) -> None:
    """Give a user another e-mail address. Links to the one before count no longer."""
    changed = _ask_about(ledger, user, "PATCH", {"email": email})
    print(f"{changed['id']} logs in as {changed['email']} now.")


@app.command(epilog=examples("bursar users suspend ada@example.com"))
@options.naming_ledger
def suspend(user: User, *, ledger: options.Ledger) -> None:
    """Let a user not log in any more, and end their sessions; within 5 seconds everywhere."""
    changed = _ask_about(ledger, user, "PATCH", {"state": "suspended"})
    print(f"{changed['email']} is suspended.")


@app.command(epilog=examples("bursar users resume ada@example.com"))
@options.naming_ledger
def resume(user: User, *, ledger: options.Ledger) -> None:
    """Let a suspended user log in again."""
    changed = _ask_about(ledger, user, "PATCH", {"state": "active"})
    print(f"{changed['email']} may log in again.")


@app.command(epilog=examples("bursar users remove ada@example.com"))
@options.naming_ledger
def remove(user: User, *, ledger: options.Ledger) -> None:
    """Forget a user: sessions, roles and links go, events keep the id."""
    _ask_about(ledger, user, "DELETE")
    print(f"Removed {user}.")


@app.command(
    epilog=examples("bursar users invite ada@example.com", "bursar users invite ada@example.com --no-mail")
)
@options.naming_ledger
def invite(user: User, *, mail: Mail = None, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Invite a user again who has no password yet: another link, and the one before counts no longer."""
    _hand_link(ledger, user, mail, as_json=as_json)


@app.command(
    epilog=examples("bursar users reset ada@example.com", "bursar users reset ada@example.com --no-mail")
)
@options.naming_ledger
def reset(user: User, *, mail: Mail = None, ledger: options.Ledger, as_json: options.AsJson = False) -> None:
    """Give a user a link to set a new password by; the one they have counts until they do."""
    _hand_link(ledger, user, mail, as_json=as_json)


@app.command(epilog=examples("bursar users logout ada@example.com"))
@options.naming_ledger
def logout(user: User, *, ledger: options.Ledger) -> None:
    """End every session of a user; within 5 seconds everywhere."""
    ended = _ask_about(ledger, user, "POST", below="/logout")["ended"]
    print(f"Ended {ended} sessions of {user}.")


def _hand_link(ledger: options.Ledger, user: str, mail: bool | None, *, as_json: bool) -> None:
    handed = _ask_about(ledger, user, "POST", {"mail": mail}, below="/link")
    if as_json:
        _print_json(handed)
    else:
        _tell_link(handed, user)


def _tell_link(handed: Mapping[str, Any], whom: str) -> None:
    if handed["problem"]:
        _say(f"The link could not be mailed: {handed['problem']}")
    if handed["mailed"]:
        _say(f"A link was mailed to {whom}; it works once, until {handed['expires_at']}.")
        return
    _say(f"Hand this link to {whom}; it works once, until {handed['expires_at']}:")
    print(handed["link"])


def _role_of(text: str, project: str | None) -> dict[str, str | None]:
    role, _, named = text.partition("@")
    return {"role": role, "project_id": named or project}


def _words_of(roles: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{one['role']}@{one['project_id']}" if one["project_id"] else one["role"] for one in roles
    )


def _read_password() -> str:
    """One line of standard input.

    Raises:
        typer.BadParameter: it is empty.
    """
    import sys

    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        message = "nothing came on standard input"
        raise typer.BadParameter(message, param_hint="--password-stdin")
    return password


def _ask_about(
    ledger: options.Ledger, user: str, method: str, body: dict[str, Any] | None = None, *, below: str = ""
) -> Mapping[str, Any]:
    """What is answered about a user, who may be named by their address.

    Raises:
        NotFound: nobody has it.
    """
    from bursar.cli.connection import open_ledger, path_of, whole_list
    from bursar.errors import NotFound

    with open_ledger(ledger) as client:
        if "@" in user:
            listed = whole_list(client, PATH, ledger.params)
            found = [one["id"] for one in listed if one["email"] == user.strip().lower()]
            if not found:
                message = f"There is no user with the address {user}."
                raise NotFound(message)
            user = found[0]
        return client.request(method, path_of(PATH, user) + below, body=body, params=ledger.params)


def _say(text: str) -> None:
    from bursar.cli.printing import say

    say(text)


def _print_json(value: object) -> None:
    from bursar.cli.printing import print_json

    print_json(value)
