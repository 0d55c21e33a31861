"""What every route of the gateway shares: JSON answers, cross-origin headers, and the API key."""

from __future__ import annotations

from typing import Any

import jwt
from aiohttp import web

from classbase.embedded import tokens

EXPOSED_HEADERS = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Preference-Applied, "
    "Range-Unit, Retry-After, X-Total-Count, Link, Server, Transfer-Encoding, X-Supabase-Api-Version"
)
_METHODS = "GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS"


class Refusal(Exception):
    """An answer of the gateway itself, in the shape PostgREST gives its errors."""

    def __init__(self, status: int, code: str | int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.document = {"code": code, "message": message, "hint": hint, "details": None}

    def response(self) -> web.Response:
        """The answer, with cross-origin headers so that a browser shows it to the page."""
        return web.json_response(self.document, status=self.status, headers=cors_headers())


def cors_headers() -> dict[str, str]:
    """Any page may call, since it is the key and the token, never a cookie, that says who calls."""
    return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED_HEADERS}


def preflight(request: web.Request) -> web.Response:
    """The answer to a browser's question whether it may call."""
    wanted = request.headers.get("Access-Control-Request-Headers", "authorization, apikey, content-type, prefer")
    return web.Response(
        status=200,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": wanted,
            "Access-Control-Max-Age": "3600",
        },
    )


def bearer(request: web.Request) -> str | None:
    """The token of the Authorization header, or None."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if kind.lower() == "bearer" else None


def api_key(request: web.Request, secret: str) -> str | None:
    """The caller's API key, from the header `apikey` or the query; None when only an Authorization header came.

    Raises:
        Refusal: there is neither, or the key is not one of this installation.
    """
    key = request.headers.get("apikey") or request.query.get("apikey")
    if key is None:
        if bearer(request) is None:
            hint = "No `apikey` request header or url param was found."
            raise Refusal(401, "no_api_key", "No API key found in request", hint)
        return None
    try:
        tokens.verify(key, secret)
    except jwt.InvalidTokenError:
        hint = "Double check your Supabase `anon` or `service_role` API key: `classbase status` prints them."
        raise Refusal(401, "invalid_api_key", "Invalid API key", hint) from None
    return key


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's body as a JSON object; `{}` when it is empty.

    Raises:
        ValueError: it is something else.
    """
    if not request.body_exists:
        return {}
    text = await request.text()
    if not text.strip():
        return {}
    document = await request.json()
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    return document
