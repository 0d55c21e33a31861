"""PostgREST in front of a test's database, and calls to it as somebody."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import jwt
import pytest

from classbase.embedded.errors import Missing
from classbase.embedded.postgrest import PostgrestServer
from tests.support.identity import User
from tests.support.server import Database

Caller = User | str | None


class Rest:
    """The REST API of one test database.

    A caller is a `User`, the name of an API role ("service_role"), or None for somebody without a token.
    """

    def __init__(self, process: PostgrestServer) -> None:
        self.process = process
        self._client = httpx.Client(base_url=process.url, timeout=60, trust_env=False)

    @classmethod
    @contextmanager
    def serve(cls, database: Database, **options: Any) -> Iterator[Rest]:
        """Starts PostgREST on `database` (`options` as PostgrestServer takes them); stops it at the end."""
        process = PostgrestServer(database.server.dsn(database.name, "authenticator"), secrets.token_hex(32), **options)
        try:
            process.start()
        except Missing as missing:
            pytest.skip(f"{missing.message} {missing.hint}")
        rest = cls(process)
        try:
            yield rest
        finally:
            rest._client.close()
            process.stop()

    @property
    def url(self) -> str:
        """Its address; tables are right below it."""
        return self.process.url

    def token(self, user: User | str, **claims: Any) -> str:
        """A token for `user` (a person, or a role's name), good for an hour; `claims` replace its claims."""
        of_user = user.claims() if isinstance(user, User) else {"role": user}
        body = {**of_user, "exp": int(time.time()) + 3600, **claims}
        return jwt.encode(body, self.process.jwt_secret, algorithm="HS256")

    def headers(self, user: Caller) -> dict[str, str]:
        """The headers that make a request the caller's."""
        return {} if user is None else {"Authorization": f"Bearer {self.token(user)}"}

    def request(self, method: str, path: str, *, user: Caller = None, **options: Any) -> httpx.Response:
        """Any request; `options` as httpx takes them (`json`, `params`, `headers`, …)."""
        headers = {**self.headers(user), **options.pop("headers", {})}
        return self._client.request(method, path, headers=headers, **options)

    def get(self, path: str, *, user: Caller = None, **options: Any) -> httpx.Response:
        """Reads; `path` may carry the query."""
        return self.request("GET", path, user=user, **options)

    def post(self, path: str, json: Any = None, *, user: Caller = None, **options: Any) -> httpx.Response:
        """Inserts rows, or calls a function at `/rpc/<name>` with `json` as its arguments."""
        return self.request("POST", path, user=user, json={} if json is None else json, **options)

    def patch(self, path: str, json: Any, *, user: Caller = None, **options: Any) -> httpx.Response:
        """Updates the rows that the query in `path` selects; answers with them."""
        return self.request("PATCH", path, user=user, json=json, **_represented(options))

    def delete(self, path: str, *, user: Caller = None, **options: Any) -> httpx.Response:
        """Deletes the rows that the query in `path` selects; answers with them."""
        return self.request("DELETE", path, user=user, **_represented(options))


def _represented(options: dict[str, Any]) -> dict[str, Any]:
    # Without it an update that row level security reduced to nothing looks like a success.
    headers = {"Prefer": "return=representation", **options.pop("headers", {})}
    return {**options, "headers": headers}
