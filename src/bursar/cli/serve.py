"""`bursar serve`: runs the server of a data folder until SIGTERM or Ctrl-C stops it in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bursar.cli import options
from bursar.cli.options import examples

EXAMPLES = examples(
    "bursar serve",
    "bursar serve --host 0.0.0.0 --port 8080 --data /srv/bursar",
    "bursar serve --host 0.0.0.0 --port 8443 --ssl-certfile fullchain.pem --ssl-keyfile privkey.pem",
    "BURSAR_LOG_FORMAT=json bursar serve 2>> bursar.log",
)

_Certificate = Annotated[
    Path | None,
    typer.Option(help="Certificate (PEM, with its chain): serves HTTPS. [default: BURSAR_SSL_CERTFILE]"),
]
_PrivateKey = Annotated[
    Path | None, typer.Option(help="Its private key (PEM). [default: BURSAR_SSL_KEYFILE]")
]
_Authorities = Annotated[
    Path | None,
    typer.Option(help="Let in only clients certified by one of these. [default: BURSAR_SSL_CA_CERTS]"),
]


def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [default: BURSAR_HOST, else 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on; 0 picks a free one. [default: BURSAR_PORT, else 8000]"),
    ] = None,
    data: options.Data = None,
    ssl_certfile: _Certificate = None,
    ssl_keyfile: _PrivateKey = None,
    ssl_ca_certs: _Authorities = None,
) -> None:
    """Run the server on a data folder, which is made if it is absent.

    The first start prints an admin key, once, and a link by which the first admin chooses a password. All
    other settings come from the environment or `.env`; `bursar doctor` shows what is in force. One server at
    a time holds a data folder.
    """
    from bursar.app.server import run_server
    from bursar.settings import load_settings

    settings = load_settings(
        host=host,
        port=port,
        data_dir=data,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        ssl_ca_certs=ssl_ca_certs,
    )
    code = run_server(settings, announce=lambda line: print(line, flush=True))
    print("Stopped. Everything that was acknowledged is on disk.", flush=True)
    raise typer.Exit(code)
