"""TLS of the server's own: the certificate of the settings, and nothing older than TLS 1.2.

Reading it is the first thing that a start does, so that a wrong file ends it with a clear line before the
data folder is touched. A renewed certificate is read at the next start. Where a proxy speaks TLS instead,
nothing of this is needed: see docs/how-to/harden.md.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from bursar.errors import ConfigurationError

if TYPE_CHECKING:
    from bursar.settings import Settings


def make_tls(settings: Settings) -> ssl.SSLContext | None:
    """What encrypts the server's connections; None where no certificate is set.

    Raises:
        ConfigurationError: a file can't be read, or certificate, key and password don't fit.
    """
    if settings.ssl_certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # One protocol is spoken; naming it keeps bytes meant for another one out.
    context.set_alpn_protocols(["http/1.1"])
    # Without it the library asks at the terminal, where a server has nobody.
    password = settings.ssl_keyfile_password.get_secret_value() if settings.ssl_keyfile_password else ""
    try:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, lambda: password)
    except (OSError, ValueError) as error:
        files = " and ".join(str(file) for file in (settings.ssl_certfile, settings.ssl_keyfile) if file)
        raise ConfigurationError(f"TLS can't be served with {files}: {_cause(error)}.") from error
    if settings.ssl_ca_certs is not None:
        try:
            context.load_verify_locations(settings.ssl_ca_certs)
        except OSError as error:
            message = f"BURSAR_SSL_CA_CERTS {settings.ssl_ca_certs} can't be read: {_cause(error)}."
            raise ConfigurationError(message) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reasons = {
            "KEY_VALUES_MISMATCH": "the private key isn't the certificate's",
            "NO_START_LINE": "there is no PEM text of the kind that is wanted in it",
        }
        return reasons.get(error.reason or "", f"{error.reason or 'unreadable'}; is the password right?")
    return getattr(error, "strerror", None) or str(error)
