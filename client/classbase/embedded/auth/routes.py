"""The routes of the local `/auth/v1`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import jwt
import psycopg
from aiohttp import web
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from classbase.embedded import tokens
from classbase.embedded.auth.errors import AuthError, validation
from classbase.embedded.auth.service import AuthService
from classbase.embedded.auth.store import Conn
from classbase.embedded.web import api_key, bearer, cors_headers, json_body

NOTE = "Local auth for development; hosted projects use Supabase Auth."
_OPEN = ("/health", "/settings", "/.well-known/jwks.json")
_ADMINS = ("service_role", "supabase_admin")


class AuthRoutes:
    """Hands requests below `/auth/v1` to the service."""

    def __init__(self, service: AuthService, pool: AsyncConnectionPool[Conn], version: str) -> None:
        self.service = service
        self.pool = pool
        self.version = version

    def add_to(self, app: web.Application, prefix: str) -> None:
        """Adds the routes below `prefix`; what Supabase Auth has and this has not is answered with 501."""
        for method, path, handler in (
            ("GET", "/health", self.health),
            ("GET", "/settings", self.settings),
            ("GET", "/.well-known/jwks.json", self.keys),
            ("POST", "/signup", self.sign_up),
            ("POST", "/token", self.token),
            ("POST", "/logout", self.sign_out),
            ("GET", "/user", self.user),
            ("PUT", "/user", self.update_user),
            ("POST", "/admin/users", self.admin_create),
            ("GET", "/admin/users", self.admin_list),
            ("GET", "/admin/users/{id}", self.admin_get),
            ("PUT", "/admin/users/{id}", self.admin_update),
            ("DELETE", "/admin/users/{id}", self.admin_delete),
        ):
            app.router.add_route(method, prefix + path, self._answering(handler, path))
        app.router.add_route("*", prefix + "/{rest:.*}", self._answering(self.unknown, "/"))

    # -- about itself ------------------------------------------------------------------------------------------

    async def health(self, request: web.Request) -> web.Response:
        """Says that it runs, and what it is not."""
        return web.json_response({"version": self.version, "name": "classbase local auth", "description": NOTE})

    async def settings(self, request: web.Request) -> web.Response:
        """What a frontend may offer."""
        config = self.service.config
        return web.json_response(
            {
                "external": {"email": config.enable_email_signup, "phone": False, "anonymous_users": False},
                "disable_signup": not config.enable_signup,
                "mailer_autoconfirm": not config.enable_confirmations,
                "phone_autoconfirm": False,
                "sms_provider": "",
                "saml_enabled": False,
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        """No public keys: the tokens are signed with the installation's secret."""
        return web.json_response({"keys": []})

    async def unknown(self, request: web.Request) -> web.Response:
        """Everything that only the hosted service does."""
        raise AuthError(501, "not_implemented", f"{request.method} {request.path} is not part of this. {NOTE}")

    # -- people ------------------------------------------------------------------------------------------------

    async def sign_up(self, request: web.Request) -> web.Response:
        """Makes a user."""
        body = await _body(request)
        async with self._connection() as conn:
            return web.json_response(await self.service.sign_up(conn, body, *_caller(request)))

    async def token(self, request: web.Request) -> web.Response:
        """Signs in with a password, or renews a session."""
        body = await _body(request)
        grant = request.query.get("grant_type", "")
        async with self._connection() as conn:
            if grant == "password":
                return web.json_response(await self.service.sign_in(conn, body, *_caller(request)))
            if grant == "refresh_token":
                return web.json_response(await self.service.refresh(conn, body))
        raise AuthError(400, "validation_failed", f"grant_type {grant!r} is not part of this. {NOTE}")

    async def sign_out(self, request: web.Request) -> web.Response:
        """Ends sessions."""
        claims = self._claims(request)
        async with self._connection() as conn:
            await self.service.sign_out(conn, claims, request.query.get("scope", "global"))
        return web.Response(status=204)

    async def user(self, request: web.Request) -> web.Response:
        """Who the caller is."""
        claims = self._claims(request)
        async with self._connection() as conn:
            row = await self.service.signed_in(conn, claims)
            return web.json_response(await self.service.user_document(conn, row))

    async def update_user(self, request: web.Request) -> web.Response:
        """Changes the caller's address, password or data."""
        claims = self._claims(request)
        body = await _body(request)
        async with self._connection() as conn:
            return web.json_response(await self.service.update_self(conn, claims, body))

    # -- administration ----------------------------------------------------------------------------------------

    async def admin_create(self, request: web.Request) -> web.Response:
        """Makes a user for somebody else."""
        self._admin(request)
        body = await _body(request)
        async with self._connection() as conn:
            return web.json_response(await self.service.admin_create(conn, body))

    async def admin_list(self, request: web.Request) -> web.Response:
        """Lists users, a page at a time (50 unless `per_page` says otherwise)."""
        self._admin(request)
        page, per_page = _number(request, "page", 1), _number(request, "per_page", 50)
        async with self._connection() as conn:
            users, total = await self.service.admin_list(conn, page, per_page)
        last = max(1, -(-total // per_page))
        links = [f'<{request.path}?page={last}&per_page={per_page}>; rel="last"']
        if page < last:
            links.insert(0, f'<{request.path}?page={page + 1}&per_page={per_page}>; rel="next"')
        headers = {"X-Total-Count": str(total), "Link": ", ".join(links)}
        return web.json_response({"users": users, "aud": "authenticated"}, headers=headers)

    async def admin_get(self, request: web.Request) -> web.Response:
        """One user."""
        self._admin(request)
        async with self._connection() as conn:
            return web.json_response(await self.service.admin_get(conn, _user_id(request)))

    async def admin_update(self, request: web.Request) -> web.Response:
        """Changes a user."""
        self._admin(request)
        body = await _body(request)
        async with self._connection() as conn:
            return web.json_response(await self.service.admin_update(conn, _user_id(request), body))

    async def admin_delete(self, request: web.Request) -> web.Response:
        """Removes a user."""
        self._admin(request)
        async with self._connection() as conn:
            await self.service.admin_delete(conn, _user_id(request))
        return web.json_response({})

    # -- shared ------------------------------------------------------------------------------------------------

    def _answering(
        self, handler: Callable[[web.Request], Awaitable[web.Response]], path: str
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                if path not in _OPEN:
                    api_key(request, self.service.jwt_secret)
                response = await handler(request)
            except AuthError as error:
                document, headers = error.document(request)
                response = web.json_response(document, status=error.status, headers=headers)
            response.headers.update(cors_headers())
            response.headers["X-Classbase-Auth"] = "development"
            return response

        return answer

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Conn]:
        try:
            async with self.pool.connection(timeout=10) as conn:
                yield conn
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise AuthError(503, "unexpected_failure", f"The database does not answer: {error}") from error

    def _claims(self, request: web.Request) -> dict[str, Any]:
        token = bearer(request)
        if token is None:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            return tokens.verify(token, self.service.jwt_secret)
        except jwt.InvalidTokenError as error:
            message = f"invalid JWT: unable to parse or verify signature, {error}"
            raise AuthError(403, "bad_jwt", message) from error

    def _admin(self, request: web.Request) -> None:
        if self._claims(request).get("role") not in _ADMINS:
            raise AuthError(403, "not_admin", "User not allowed")


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        return await json_body(request)
    except ValueError as error:
        raise AuthError(400, "bad_json", "Could not parse request body as JSON") from error


def _caller(request: web.Request) -> tuple[str | None, str | None]:
    return request.headers.get("User-Agent"), request.remote


def _number(request: web.Request, name: str, otherwise: int) -> int:
    text = request.query.get(name) or str(otherwise)
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise validation(f"Bad pagination parameters: {name} is {text!r}")
    return min(int(text), 1000) if name == "per_page" else int(text)


def _user_id(request: web.Request) -> uuid.UUID:
    try:
        return uuid.UUID(request.match_info["id"])
    except ValueError:
        raise AuthError(404, "validation_failed", "user_id must be an UUID") from None
