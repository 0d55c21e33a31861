"""The four ways to make a call (REST or psycopg, synchronous or not), behind one form, for tests that must hold for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from types import ModuleType
from typing import Any

import classbase
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.server import Database

Who = User | str

# What the fixture `door` is parametrised with: (transport, asynchronous).
REST = [("rest", True), ("rest", False)]
DATABASE = [("database", True), ("database", False)]
ASYNCHRONOUS = [("rest", True), ("database", True)]
EVERY = [*REST, *DATABASE]


def door_id(kind: tuple[str, bool]) -> str:
    """How a door is called in a test's name."""
    return f"{kind[0]}-{'async' if kind[1] else 'sync'}"


@dataclass
class Sample:
    """A database with sql/ and the sample module, PostgREST in front of it, and the client generated for it.

    `member` is somebody who is signed in.
    """

    database: Database
    rest: Rest
    package: ModuleType
    member: User


@dataclass
class Door:
    """One way in. `open(...)` gives the sample module's methods, all of them awaitable."""

    sample: Sample
    transport: str
    asynchronous: bool
    _opened: list[Any] = field(default_factory=list)

    def client(self, who: Who = "service_role", *, address: str | None = None, **options: Any) -> Any:
        """A client acting as `who` (a person or a role); `address` replaces the URL or the connection string."""
        if self.transport == "rest":
            connect: Any = classbase.connect_async if self.asynchronous else classbase.connect
            token = options.pop("token", None) or self.sample.rest.token(who)
            made = connect(address or self.sample.rest.url, token, rest_path="", **options)
        else:
            connect = classbase.connect_database_async if self.asynchronous else classbase.connect_database
            role, claims = ("authenticated", who.claims()) if isinstance(who, User) else (who, {})
            made = connect(address or self.sample.database.dsn, role=role, claims=claims, **options)
        self._opened.append(made)
        return made

    def open(self, who: Who = "service_role", **options: Any) -> Any:
        """The methods of 97_sample as `who`; a synchronous client's run in a thread."""
        return self.methods(self.client(who, **options))

    def methods(self, client: Any) -> Any:
        """The methods of 97_sample of a client that `client()` made."""
        package = self.sample.package
        modules = package.AsyncModules(client.caller) if self.asynchronous else package.Modules(client.caller)
        return modules.sample if self.asynchronous else Awaitable(modules.sample)

    async def close(self) -> None:
        """Closes every client that was made."""
        for client in self._opened:
            if self.asynchronous:
                await client.close()
            else:
                client.close()


class Awaitable:
    """A synchronous object whose methods can be awaited."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._wrapped, name)

        @wraps(method)
        async def awaitable(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(method, *args, **kwargs)

        return awaitable
