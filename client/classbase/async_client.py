"""The client, asynchronous: the generated modules over one of the two transports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from postgrest import AsyncRequestBuilder
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from classbase.async_subscription import AsyncSubscription
from classbase.changes import State
from classbase.generated import AsyncModules
from classbase.retry import RetryPolicy
from classbase.transport.async_caller import AsyncCaller, AsyncTransport
from classbase.transport.async_database import AsyncDatabaseTransport
from classbase.transport.async_rest import AsyncRestTransport, Token
from classbase.transport.context import RequestContext
from classbase.values import plain


class AsyncClassbase(AsyncModules):
    """A backend: one attribute a module (`platform`, `people`, `time`, ...), one method a function.

    Made by `classbase.connect_async` or `classbase.connect_database_async`; used as a context manager, or closed
    with `close()`. Every method raises the errors of `classbase.errors` and nothing else.
    """

    def __init__(self, transport: AsyncTransport, retry: RetryPolicy | None = None) -> None:
        self._transport = transport
        self.caller = AsyncCaller(transport, retry or RetryPolicy())
        super().__init__(self.caller)

    def subscribe(
        self,
        topics: Sequence[str],
        *,
        cursor: str | None = None,
        poll_every: float = 5.0,
        on_state: Callable[[State], None] | None = None,
    ) -> AsyncSubscription:
        """The changes of some topics as they are published: pushed where that works, asked for where it does not.

        Args:
            topics: what to follow, such as `["session:" + session_id]`; docs/live.md lists the topics there are.
            cursor: where an earlier subscription was (its `cursor`, or a change's); from now on when None.
            poll_every: seconds between two looks while push is down.
            on_state: is called with "live", "polling", "connecting" or "closed" whenever that changes.

        Returns:
            an iterator of `classbase.changes.Change`, best used as a context manager. It raises `CursorExpired` when
            what followed the cursor is no longer known, and `Forbidden` for topics the caller may not read.
        """
        return AsyncSubscription(
            self._transport, self.caller, topics, cursor=cursor, poll_every=poll_every, on_state=on_state
        )

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncRestClassbase(AsyncClassbase):
    """A backend over REST, which also gives access to tables and views."""

    def __init__(self, transport: AsyncRestTransport, retry: RetryPolicy | None = None) -> None:
        super().__init__(transport, retry)
        self._rest = transport

    def table(self, name: str) -> AsyncRequestBuilder:
        """The postgrest builder of supabase-py for a table or view: `cb.table("locations").select("*").execute()`.

        It answers plain rows (see `classbase.generated.rows` for their types) and raises postgrest's own errors;
        `with classbase.typed_errors():` turns those into ours.
        """
        return self._rest.table(name)


class AsyncDatabaseClassbase(AsyncClassbase):
    """A backend over psycopg, which also gives access to the database as the same role with the same claims."""

    def __init__(self, transport: AsyncDatabaseTransport, retry: RetryPolicy | None = None) -> None:
        super().__init__(transport, retry)
        self._database = transport

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A psycopg connection inside a transaction with role and claims set, for SQL of one's own.

        Committed when the block ends, undone when it raises. Role and claims last as long as the transaction: use
        `connection.transaction()` for savepoints, and do not commit inside.

        Args:
            read_only: whether writing is refused.

        Raises:
            ClassbaseError: whatever psycopg raised inside, translated.
        """
        async with self._database.transaction(read_only=read_only) as connection:
            yield connection


def connect_async(
    url: str,
    key: str,
    *,
    access_token: Token | None = None,
    rest_path: str = "/rest/v1",
    timeout: float = 60.0,
    headers: Mapping[str, str] | None = None,
    retry: RetryPolicy | None = None,
    functions_url: str | None = None,
) -> AsyncRestClassbase:
    """A client that speaks REST; nothing is sent before the first call.

    Args:
        url: the project's URL, such as `https://ref.supabase.co`.
        key: its anon key (with a user's `access_token`), or its service key (on servers only: it passes row level
            security).
        access_token: a signed-in user's token, or a function that returns a fresh one; the key when None.
        rest_path: where PostgREST is below the URL; "" for a bare PostgREST.
        timeout: seconds to wait for an answer.
        headers: further headers of every request.
        retry: when to repeat a failed call.
        functions_url: where Edge Functions are; `/functions/v1` below the URL when None.
    """
    transport = AsyncRestTransport(
        url.rstrip("/") + rest_path,
        key,
        access_token=access_token,
        timeout=timeout,
        headers=headers,
        functions_url=functions_url or url.rstrip("/") + "/functions/v1",
    )
    return AsyncRestClassbase(transport, retry)


def connect_database_async(
    dsn: str,
    *,
    role: str = "service_role",
    claims: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    max_connections: int = 10,
    connect_timeout: int = 10,
    retry: RetryPolicy | None = None,
) -> AsyncDatabaseClassbase:
    """A client that speaks to Postgres directly; nothing is opened before the first call.

    Args:
        dsn: a libpq connection string or URL; its user must be allowed to become the role.
        role: the role of every call, as PostgREST would take it from the token.
        claims: the token's claims, such as `{"sub": user_id}`.
        headers: request headers for the database to look at, in lower case.
        max_connections: how many calls may be under way at once; further ones wait.
        connect_timeout: seconds to wait for a connection.
        retry: when to repeat a failed call.
    """
    context = RequestContext(role=role, claims=plain(claims or {}), headers=headers or {})
    transport = AsyncDatabaseTransport(dsn, context, max_connections=max_connections, connect_timeout=connect_timeout)
    return AsyncDatabaseClassbase(transport, retry)
