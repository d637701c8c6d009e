"""The pages that show the API to people, with scripts from our own wheel: they work without the internet.

`/docs` is Swagger UI, `/redoc` is ReDoc; both read `/openapi.json`. Their files come with the package
fastapi-offline, of which nothing else is used.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from bursar.app.safety_headers import page_policy
from bursar.errors import NotFound

ASSETS_PATH = "/docs/assets"
_SCHEMA = "/openapi.json"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
_CACHE = {"cache-control": "public, max-age=86400"}


def make_router() -> APIRouter:
    """The pages, their files, and the way there from the address alone."""
    router = APIRouter(include_in_schema=False)
    folder = _folder()

    @router.get("/")
    async def root() -> RedirectResponse:
        """To the documentation."""
        return RedirectResponse("/docs")

    @router.get("/docs")
    async def swagger() -> HTMLResponse:
        """The API to look at and to try."""
        return _with_policy(_swagger())

    @router.get("/redoc")
    async def redoc() -> HTMLResponse:
        """The API to read."""
        return _with_policy(_redoc())

    @router.get(ASSETS_PATH + "/{name}")
    async def asset(name: str) -> FileResponse:
        """One of the pages' files."""
        if name not in _FILES:
            raise NotFound
        return FileResponse(folder / name, media_type=_FILES[name], headers=_CACHE)

    return router


def _swagger() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url=_SCHEMA,
        title="Bursar",
        swagger_js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS_PATH}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS_PATH}/favicon.png",
    )


def _redoc() -> HTMLResponse:
    return get_redoc_html(
        openapi_url=_SCHEMA,
        title="Bursar",
        redoc_js_url=f"{ASSETS_PATH}/redoc.standalone.js",
        redoc_favicon_url=f"{ASSETS_PATH}/favicon.png",
        with_google_fonts=False,
    )


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    """The page with a policy that lets the script that stands in it run, and no other but its files."""
    inline = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    page.headers["content-security-policy"] = page_policy(inline)
    return page


def _folder() -> Path:
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        message = "fastapi-offline isn't installed"
        raise ModuleNotFoundError(message)
    return Path(spec.origin).parent / "static"
