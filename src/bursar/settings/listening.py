"""Where the server listens, and whom it believes: addresses, TLS, proxies, hosts, origins.

Also which networks it may itself ask on behalf of users. Who is let in with what is `access.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, SecretStr

from bursar.settings.forms import URL_FORM, check_public_url
from bursar.settings.networks import HOSTS_FORM, NETWORKS_FORM, ORIGINS_FORM, Hosts, Networks, Origins
from bursar.settings.spelling import Group, Spelling, UserPath, clash

if TYPE_CHECKING:
    from bursar.errors import Reason


class Listening(Group):
    """The server towards the network."""

    host: Annotated[str, Spelling("a host name or address, such as 127.0.0.1", ("HOST",))] = Field(
        default="127.0.0.1", pattern=r"^[^\s/]+$"
    )
    """Address to listen on. Set it to 0.0.0.0 to be reachable from other machines."""
    port: Annotated[int, Spelling(aliases=("PORT",))] = Field(default=8000, ge=0, le=65535)
    """Port to listen on. 0 picks a free one."""
    ssl_certfile: Annotated[UserPath | None, Spelling("a file")] = None
    """Certificate in PEM form, with the chain behind it. With it the server speaks HTTPS (TLS 1.2+)."""
    ssl_keyfile: Annotated[UserPath | None, Spelling("a file")] = None
    """The certificate's private key in PEM form. Without it the key is in the certificate's file."""
    ssl_keyfile_password: Annotated[SecretStr | None, Spelling("any text")] = None
    """What the private key is encrypted with, if it is."""
    ssl_ca_certs: Annotated[UserPath | None, Spelling("a file")] = None
    """Authorities in PEM form. With it only clients with a certificate signed by one of them get in."""
    public_url: Annotated[Annotated[str, AfterValidator(check_public_url)] | None, Spelling(URL_FORM)] = None
    """Where people reach this server: what links in letters begin with. Without it host and port above."""
    trusted_proxies: Annotated[Networks, Spelling(NETWORKS_FORM)] = ()
    """Proxies in front of Bursar, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. From anybody
    else these headers count for nothing."""
    allowed_hosts: Annotated[Hosts, Spelling(HOSTS_FORM, ("ALLOWED_HOSTS",))] = ()
    """Names that requests may give as `Host`; others are refused. Without it every name is taken."""
    cors_origins: Annotated[Origins, Spelling(ORIGINS_FORM, ("CORS_ORIGINS", "ALLOWED_ORIGINS"))] = ()
    """Web pages of other origins whose scripts may call the API with a key. Without it none may."""
    outgoing_networks: Annotated[Networks, Spelling(NETWORKS_FORM)] = ()
    """Networks of your own that URLs of users may lead to. Without it only public addresses are asked."""


def incomplete_tls(settings: Listening) -> list[Reason]:
    """What is given for TLS without its certificate."""
    beside = ("ssl_keyfile", "ssl_keyfile_password", "ssl_ca_certs")
    given = (
        [] if settings.ssl_certfile else [field for field in beside if getattr(settings, field) is not None]
    )
    return [clash(field, "needs BURSAR_SSL_CERTFILE beside it") for field in given]
