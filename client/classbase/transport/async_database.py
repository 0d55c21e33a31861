"""Calls over psycopg: the database itself, as a chosen role with chosen claims.

A transaction a call, with the settings PostgREST would make, and the answer built as JSON by Postgres, as PostgREST
would. Nothing outlives the transaction (no session state, no prepared statements), so a pooler may be in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncClientCursor, AsyncConnection, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from classbase.changes import Told
from classbase.errors import InternalError
from classbase.transport.context import ROLE_SETTINGS, RequestContext
from classbase.transport.function import Function, Shape
from classbase.transport.translation import from_psycopg, typed_errors
from classbase.values import dumps, loads

Link = AsyncConnection[TupleRow]

# Of those who commit at once only one notifies. When it is heard, the others may still be about to be seen: so many
# seconds after it, and so many after that, one looks again.
_AFTER_A_WAKE_UP = (0.05, 0.95)


class AsyncDatabaseTransport:
    """Keeps a few connections and makes each call in a transaction of its own.

    psycopg's own pool connects in the background, so that a server that is down is noticed only by waiting, and
    without the reason; here the caller that needs a connection makes it and hears at once what is wrong.

    Args:
        dsn: a libpq connection string or URL; its user must be allowed to become the role.
        context: the role, claims and headers of every call.
        max_connections: how many calls may be under way at once; further ones wait.
        connect_timeout: seconds to wait for a connection.
    """

    def __init__(
        self, dsn: str, context: RequestContext, *, max_connections: int = 10, connect_timeout: int = 10
    ) -> None:
        self._dsn = dsn
        self._context = context
        self._connect_timeout = connect_timeout
        self._idle: deque[Link] = deque()
        self._places = asyncio.BoundedSemaphore(max_connections)
        self._role_settings: dict[str, str] = {}
        self._closed = False

    async def send(self, function: Function[Any], arguments: Mapping[str, Any]) -> Any:
        """Calls the function once.

        Raises:
            ClassbaseError: translated.
        """
        query = _query(function, arguments)
        async with self.transaction(path=f"/rpc/{function.name}", read_only=function.read_only) as connection:
            cursor = await connection.execute(query, [dumps(arguments)] if arguments else None)
            row = await cursor.fetchone()
        if function.shape == "nothing" or row is None or row[0] is None:
            return None
        return loads(row[0])

    @asynccontextmanager
    async def transaction(self, *, path: str = "/", read_only: bool = False) -> AsyncIterator[Link]:
        """A transaction as the role with its claims: committed when the block ends, undone when it raises.

        Args:
            path: what the database sees as the request's path.
            read_only: whether writing is refused.

        Raises:
            ClassbaseError: whatever psycopg raised inside, translated.
        """
        async with self._places:
            connection = await self._begin(path, read_only)
            try:
                with typed_errors():
                    yield connection
                    if connection.info.transaction_status == TransactionStatus.INERROR:
                        raise InternalError("An error inside the transaction was ignored, so nothing of it was kept.")
                    await connection.commit()
            except BaseException:
                # Also when the task was cancelled: the connection is given back clean or not at all.
                with suppress(psycopg.Error):
                    await connection.rollback()
                raise
            finally:
                await self._give_back(connection)

    async def _begin(self, path: str, read_only: bool) -> Link:
        """A connection with its transaction begun; nothing of the call itself has been sent when this fails."""
        while self._idle:
            with suppress(IndexError):
                connection = self._idle.pop()
                try:
                    await self._prepare(connection, path, read_only)
                except psycopg.OperationalError:
                    await connection.close()  # the server went away while it lay idle
                except BaseException:
                    await connection.close()
                    raise
                else:
                    return connection
        try:
            connection = await self._connect()
            try:
                await self._prepare(connection, path, read_only)
            except BaseException:
                await connection.close()
                raise
        except psycopg.Error as error:
            translated = from_psycopg(error)
            translated.outcome_unknown = False
            raise translated from error
        return connection

    async def _connect(self) -> Link:
        if self._closed:
            raise InternalError("This client has been closed.")
        connection = await AsyncConnection.connect(
            self._dsn,
            autocommit=True,  # transactions are begun and ended in so many words
            prepare_threshold=None,
            connect_timeout=self._connect_timeout,
            fallback_application_name="classbase",
        )
        try:
            cursor = await connection.execute(ROLE_SETTINGS, [self._context.role])
            self._role_settings = dict(await cursor.fetchall())
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _prepare(self, connection: Link, path: str, read_only: bool) -> None:
        settings = self._context.settings(path, self._role_settings)
        # One round trip for both, which only a cursor that fills in the values itself can make.
        await AsyncClientCursor(connection).execute(
            ("begin read only; select " if read_only else "begin; select ")
            + ", ".join(["set_config(%s, %s, true)"] * len(settings)),
            [part for setting in settings.items() for part in setting],
        )

    async def _give_back(self, connection: Link) -> None:
        if self._closed or connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            await connection.close()
        else:
            self._idle.append(connection)

    async def watch(self, topics: Sequence[str] | None, cursor: str, every: float) -> AsyncGenerator[Told, None]:
        """Wakes when something was published, by a connection of its own that listens.

        It also says "look" a moment after each wake-up, for what was committed together with what woke, and every so
        many seconds: behind a pooler in transaction mode one may listen, but never hears.

        Raises:
            ClassbaseError: the connection cannot be made, or broke.
        """
        with typed_errors():
            connection = await AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=self._connect_timeout,
                fallback_application_name="classbase",
            )
            try:
                await connection.execute("listen classbase_changes")
                yield Told(state="live")
                pauses: list[float] = []
                while not self._closed:
                    yield Told()
                    pause = pauses.pop(0) if pauses else every
                    async for _ in connection.notifies(timeout=pause, stop_after=1):
                        pauses = list(_AFTER_A_WAKE_UP)
            finally:
                await connection.close()

    async def close(self) -> None:
        """Closes the connections; those in use are closed when their call ends."""
        self._closed = True
        while self._idle:
            with suppress(IndexError):
                await self._idle.pop().close()


_ANSWERS: Mapping[Shape, sql.SQL] = {
    "rows": sql.SQL("select coalesce(json_agg(answer), '[]')::text from answer"),
    "row": sql.SQL("select (json_agg(answer) -> 0)::text from answer"),
    "values": sql.SQL("select coalesce(json_agg(answer.value), '[]')::text from answer"),
    "value": sql.SQL("select (json_agg(answer.value) -> 0)::text from answer"),
    "nothing": sql.SQL("select value from answer"),
}


def _query(function: Function[Any], arguments: Mapping[str, Any]) -> sql.Composed:
    """The call as PostgREST writes it: arguments out of one JSON object, the answer as JSON text."""
    name = sql.Identifier("public", function.name)
    types = [(sql.Identifier(each), sql.SQL(function.parameters[each])) for each in arguments]
    columns = sql.SQL(", ").join(sql.SQL("{} {}").format(column, kind) for column, kind in types)
    values = sql.SQL(", ").join(sql.SQL("{0} => (select {0} from given)").format(column) for column, _ in types)
    given = sql.SQL("given as (select * from json_to_record(%s::json) as _({})), ").format(columns)
    call = sql.SQL("select * from {}({})" if function.shape in ("rows", "row") else "select {}({}) as value")
    return sql.Composed(
        [
            sql.SQL("with "),
            *([given] if types else []),
            sql.SQL("answer as ("),
            call.format(name, values),
            sql.SQL(") "),
            _ANSWERS[function.shape],
        ]
    )
