"""The page that links for a password lead to, and the very first admin's link.

The page is one file; what it does goes through `POST /api/v1/auth/accept` like everybody else's requests. The
secret of a link stands behind its `#`, which browsers send to no server: only the page's script reads it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from bursar import clock
from bursar.app.safety_headers import page_policy
from bursar.identity.audit.deed import BURSAR, Deed, Outcome
from bursar.identity.users.links import PAGE

if TYPE_CHECKING:
    from bursar.app.platform import Platform


def make_router() -> APIRouter:
    """`GET /welcome`."""
    router = APIRouter(include_in_schema=False)
    page = Path(__file__).with_name("welcome.html").read_bytes()
    policy = page_policy(re.findall(rb"<script>(.*?)</script>", page, re.DOTALL))

    @router.get(PAGE)
    async def welcome() -> HTMLResponse:
        """Choose a password."""
        return HTMLResponse(page, headers={"content-security-policy": policy, "cache-control": "no-store"})

    return router


def invite_first_admin(platform: Platform) -> str | None:
    """The link by which the first admin of a new ledger makes themselves known; it counts for a day, once.

    None where this start isn't the ledger's first one, or somebody is there already.
    """
    if not platform.first_start.is_first or platform.enrolment.links.has_users():
        return None
    asked = {"kind": "first_admin"}
    number = platform.audit.record_own(Deed("user.link", Outcome.BEGUN, BURSAR, asked=asked))
    address = platform.enrolment.invite_first_admin(clock.now())
    platform.audit.record_own(Deed("user.link", Outcome.DONE, BURSAR, begun=number))
    return address
