"""Every error that Bursar raises on purpose, as one tree with stable codes.

    BursarError
    ├── BadRequest            the caller's input is wrong (bad_request)
    │   ├── Malformed         the body can't be read at all (malformed_body)
    │   ├── UnsupportedMedia  a content type or encoding we don't take (unsupported_media_type)
    │   ├── OutgoingRefused   a URL that leads to where nothing may be asked (outgoing_refused)
    │   ├── WrongHost         meant for a host that this isn't (wrong_host)
    │   ├── TooLarge          over a size limit (body_too_large)
    │   ├── TargetTooLong, TooManyParameters
    │   └── Invalid           readable, but refused with every reason (invalid)
    ├── Unauthenticated       no usable credential (unauthenticated)
    │   ├── MissingKey, UnknownKey, ExpiredKey, RevokedKey
    │   ├── WrongLogin, BadToken, ExpiredToken, EndedSession, BadLink, SignOnFailed
    ├── Forbidden             a credential that may not do this (forbidden)
    │   ├── MissingScope, TenantMismatch, TenantSuspended, WrongNetwork, SignOnRefused, ForgedRequest
    ├── NotFound              no such thing for this caller (not_found)
    ├── Conflict              it clashes with what is there (conflict)
    │   ├── BookMoved         the price book was updated meanwhile (price_book_moved)
    │   └── NoEncryptionKey, SecretUnreadable
    ├── Unavailable           try again later; `retry_after_seconds` says when (unavailable)
    │   ├── Overloaded, DiskFull, TimedOut
    │   ├── OutgoingFailed    another server gave no usable answer (outgoing_failed)
    │   ├── MailFailed        a letter wasn't sent, as far as can be told (mail_failed)
    │   └── RateLimited       this caller asked too often (rate_limited)
    ├── QuotaExceeded         nothing is left of a tenant's or project's month (quota_exceeded)
    └── ConfigurationError    a setting or a data folder is wrong (configuration)
        └── FolderInUse, NewerFormat

No HTTP numbers here: `app/problems.py` maps the tree to RFC 9457 problem documents.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why an input was refused: the place, a stable code, and what to do about it."""

    field: str
    """Dotted path of the offending field, `$` for the whole item."""
    code: str
    """Stable machine-readable word, such as `unknown_field` or `out_of_range`."""
    message: str
    """One sentence for a person: what is wrong and which form is allowed."""


class BursarError(Exception):
    """The root of the tree; `code` is stable and part of the public contract."""

    code = "error"
    title = "Something went wrong"

    def __init__(self, detail: str = "", *, reasons: tuple[Reason, ...] = ()) -> None:
        """Keep a sentence for the reader and every reason found."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.reasons = reasons


class BadRequest(BursarError):
    """The caller's input is wrong."""

    code = "bad_request"
    title = "The request can't be carried out as sent"


class Malformed(BadRequest):
    """The body can't be read at all."""

    code = "malformed_body"
    title = "The body can't be read"


class UnsupportedMedia(BadRequest):
    """A content type or encoding that this endpoint doesn't take."""

    code = "unsupported_media_type"
    title = "This content type or encoding is not accepted here"


class TooLarge(BadRequest):
    """Over a size limit; nothing of it was accepted."""

    code = "body_too_large"
    title = "The body is larger than the limit"


class OutgoingRefused(BadRequest):
    """A URL that leads to where nothing may be asked; `BURSAR_OUTGOING_NETWORKS` allows networks."""

    code = "outgoing_refused"
    title = "This URL may not be asked from here"


class WrongHost(BadRequest):
    """Meant for a host that this server isn't."""

    code = "wrong_host"
    title = "This server doesn't go by the name in the Host header; BURSAR_ALLOWED_HOSTS has its names"


class TargetTooLong(BadRequest):
    """The request's path and query are over their limit; nothing was done."""

    code = "target_too_long"
    title = "Path and query are longer than the limit"


class TooManyParameters(BadRequest):
    """The query has more parameters than are read; nothing was done."""

    code = "too_many_parameters"
    title = "The query has more parameters than the limit"


class Invalid(BadRequest):
    """Readable, but refused; `reasons` has every reason found."""

    code = "invalid"
    title = "The input was refused"


class Unauthenticated(BursarError):
    """No usable credential."""

    code = "unauthenticated"
    title = "A valid API key is needed"


class MissingKey(Unauthenticated):
    """The request carries no credential."""

    code = "missing_key"
    title = "Send an API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'"


class UnknownKey(Unauthenticated):
    """The credential is not one of ours."""

    code = "unknown_key"
    title = "This API key is not known here"


class ExpiredKey(Unauthenticated):
    """The credential has passed its expiry."""

    code = "expired_key"
    title = "This API key has expired"


class RevokedKey(Unauthenticated):
    """The credential was revoked."""

    code = "revoked_key"
    title = "This API key has been revoked"


class WrongLogin(Unauthenticated):
    """The address, the password or the moment is wrong; which of them is not said."""

    code = "wrong_login"
    title = (
        "The e-mail address or the password is wrong, or there were too many wrong ones lately; after five,"
        " wait a minute or more"
    )


class BadToken(Unauthenticated):
    """The access or refresh token was not made here, or was changed."""

    code = "bad_token"
    title = "This access token is not one of ours"


class ExpiredToken(Unauthenticated):
    """The access token's minutes are over; its refresh token brings the next."""

    code = "expired_token"
    title = "This access token has expired; get the next with its refresh token"


class EndedSession(Unauthenticated):
    """The session was ended, or is too old."""

    code = "session_ended"
    title = "This session has ended; log in again"


class BadLink(Unauthenticated):
    """The link for setting a password counts no longer, or never did."""

    code = "bad_link"
    title = "This link is unknown, was used, or is too old; ask for another"


class SignOnFailed(Unauthenticated):
    """What came back from the OpenID provider doesn't prove who somebody is."""

    code = "sign_on_failed"
    title = "Single sign-on did not succeed; begin the login again"


class Forbidden(BursarError):
    """A known caller that may not do this."""

    code = "forbidden"
    title = "This credential may not do that"


class MissingScope(Forbidden):
    """The key's scopes, or the person's roles, don't grant the permission that the endpoint needs."""

    code = "missing_scope"
    title = "The permission that is needed is not granted to this caller"


class TenantMismatch(Forbidden):
    """The request names another tenant than the credential's."""

    code = "tenant_mismatch"
    title = "tenant_id must be the credential's own tenant"


class TenantSuspended(Forbidden):
    """The tenant takes no usage: it was suspended, or is being deleted."""

    code = "tenant_suspended"
    title = "This tenant is suspended and takes no usage"


class WrongNetwork(Forbidden):
    """The credential doesn't count from where the request comes."""

    code = "wrong_network"
    title = "This API key may not be used from this network address"


class SignOnRefused(Forbidden):
    """The OpenID provider has vouched for somebody who may not come in here."""

    code = "sign_on_refused"
    title = "You are known at the provider, but may not come in here"


class ForgedRequest(Forbidden):
    """A change by a cookie alone, without what shows that our own page asks for it."""

    code = "forged_request"
    title = "Who is known by a cookie sends what bursar_csrf holds as X-CSRF-Token to change anything"


class NotFound(BursarError):
    """No such thing for this caller."""

    code = "not_found"
    title = "Not found"


class Conflict(BursarError):
    """It clashes with what is there already."""

    code = "conflict"
    title = "It clashes with what is already there"


class BookMoved(Conflict):
    """Another update of the price book came first; this one would have to be made anew on top of it."""

    code = "price_book_moved"
    title = "The price book was updated by somebody else meanwhile"


class NoEncryptionKey(Conflict):
    """A secret can't be sealed: the operator has chosen no encryption key. Nothing was kept."""

    code = "no_encryption_key"
    title = (
        "Secrets are kept only once the operator has set BURSAR_ENCRYPTION_KEY or BURSAR_ENCRYPTION_KEY_FILE"
    )


class SecretUnreadable(Conflict):
    """A kept secret can't be opened: its encryption key isn't at hand, or it was damaged."""

    code = "secret_unreadable"
    title = "A kept secret can't be opened"


class Unavailable(BursarError):
    """Not now; nothing was accepted, and a retry after `retry_after_seconds` is safe."""

    code = "unavailable"
    title = "Not available right now; try again later"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1) -> None:
        """Say when a retry is worth it."""
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Overloaded(Unavailable):
    """More work is waiting than memory is reserved for."""

    code = "overloaded"
    title = "Too much work is waiting; try again shortly"


class DiskFull(Unavailable):
    """The data folder's disk has no room left."""

    code = "disk_full"
    title = "The disk is full; nothing was accepted"


class TimedOut(Unavailable):
    """A question took longer than its limit and was interrupted."""

    code = "timed_out"
    title = "The query took too long and was interrupted"


class OutgoingFailed(Unavailable):
    """Somebody else's server gave no answer that could be used."""

    code = "outgoing_failed"
    title = "The other server did not answer as it should"


class MailFailed(Unavailable):
    """The letter wasn't sent, as far as can be told."""

    code = "mail_failed"
    title = "The mail could not be sent"


class RateLimited(Unavailable):
    """This caller asked more often than it may; nothing was done, and others are served."""

    code = "rate_limited"
    title = "Too many requests; slow down and try again"


class QuotaExceeded(BursarError):
    """A quota of the tenant or project is used up; a retry is worth it next month, or once it was raised."""

    code = "quota_exceeded"
    title = "A quota of this month is used up"


class ConfigurationError(BursarError):
    """A setting or a data folder is wrong; the program can't start like this."""

    code = "configuration"
    title = "The configuration is wrong"


class FolderInUse(ConfigurationError):
    """Another process holds the data folder."""

    code = "folder_in_use"
    title = "Another Bursar process holds this data folder"


class NewerFormat(ConfigurationError):
    """The data folder was written by a newer Bursar."""

    code = "newer_format"
    title = "This data folder was written by a newer Bursar"
