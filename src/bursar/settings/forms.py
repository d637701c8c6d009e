"""Forms of single settings that no plain type tells: database URLs, sizes of memory.

A value of another form is refused here; the words that tell which form is allowed are with the fields.
Secrets are in `secret_values.py`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import ByteSize, TypeAdapter

URL_FORM = "a URL such as https://bursar.example.com"
SMALLEST_DUCKDB_MEMORY_BYTES = 256_000_000


def to_psycopg(url: str) -> str:
    """The same database through psycopg, whichever driver the URL was written for."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgres", "postgresql"} or not rest:
        message = "not a PostgreSQL URL"
        raise ValueError(message)
    return f"postgresql+psycopg://{rest}"


def check_memory(size: str) -> str:
    """A new usage store is derived within a quarter of it: batch, buffers and rollups need some 40 MB."""
    if TypeAdapter(ByteSize).validate_python(size) < SMALLEST_DUCKDB_MEMORY_BYTES:
        message = "too little memory to derive a usage store in"
        raise ValueError(message)
    return size


def check_public_url(url: str) -> str:
    """Scheme and host, perhaps a port: what the server's own paths are put behind."""
    parts = urlsplit(url)
    host = parts.netloc if parts.hostname and "@" not in parts.netloc else ""
    if parts.scheme not in {"http", "https"} or not host or url.rstrip("/") != f"{parts.scheme}://{host}":
        message = "not the URL of a server"
        raise ValueError(message)
    return url.rstrip("/")
