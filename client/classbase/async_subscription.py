"""Following the change feed, asynchronous: pushed while that works, asked for every few seconds while it does not.

Whichever way a change arrives, the cursor after it is the truth: after a break the next way goes on from there, so that
nothing is missed and nothing is handed out twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from classbase.changes import CHANGES_SINCE, AsyncPause, Change, State
from classbase.errors import ClassbaseError, CursorExpired, Forbidden, InvalidInput, LimitExceeded
from classbase.transport.async_caller import AsyncCaller, AsyncTransport

# Asking again, in whichever way, would be answered the same.
_FINAL = (CursorExpired, InvalidInput, LimitExceeded)
_PAGE = 200


class AsyncSubscription:
    """The changes of some topics, one after another; made by `subscribe`.

        async with cb.subscribe(["session:" + session_id]) as changes:
            async for change in changes:
                ...

    Entered (or first asked for a change) it takes its place in the feed; everything published from then on is handed
    out once, in order, until the subscription is closed.

    Attributes:
        topics: what is followed.
        cursor: the place in the feed after the last change that was handed out; None before the first call.
        state: "connecting", "live", "polling" or "closed".
    """

    def __init__(
        self,
        transport: AsyncTransport,
        caller: AsyncCaller,
        topics: Sequence[str],
        *,
        cursor: str | None = None,
        poll_every: float = 5.0,
        on_state: Callable[[State], None] | None = None,
    ) -> None:
        self.topics = list(topics)
        self.cursor = cursor
        self.state: State = "connecting"
        self._transport = transport
        self._caller = caller
        self._poll_every = poll_every
        self._on_state = on_state
        self._pause = AsyncPause()
        self._changes: AsyncGenerator[Change, None] | None = None

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._changes is not None:
            await self._changes.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """The next change; waits for it as long as it takes.

        Raises:
            CursorExpired: what followed the cursor is no longer known: read the rows, and subscribe anew.
            Forbidden: the caller may not (or no longer) read one of the topics.
            InvalidInput, LimitExceeded: topics or cursor are not such.
        """
        if self._pause.is_over:
            raise StopAsyncIteration
        if self._changes is None:
            self._changes = self._follow()
        return await self._changes.__anext__()

    def close(self) -> None:
        """Ends the subscription: whoever waits for a change gets none any more, at the latest after a heartbeat."""
        self._pause.end()
        self._be("closed")

    # -- how -----------------------------------------------------------------------------------------------------

    def _be(self, state: State) -> None:
        if self._pause.is_over:
            state = "closed"
        if state != self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)

    async def _begin(self) -> None:
        if self.cursor is None:
            rows = await self._caller.call(CHANGES_SINCE, {"p_topics": self.topics})
            self.cursor = rows[-1].cursor

    async def _follow(self) -> AsyncGenerator[Change, None]:
        """Push while it works; between two attempts at it, a look of one's own."""
        await self._begin()
        while not self._pause.is_over:
            try:
                async with aclosing(self._pushed()) as pushed:
                    async for change in pushed:
                        yield change
            except _FINAL:
                self.close()
                raise
            except ClassbaseError:
                # Whether it is only the push that is down, or the token that is no longer good, asking will tell.
                self._be("connecting")
            if self._pause.is_over:
                return
            try:
                async with aclosing(self._news()) as news:
                    async for change in news:
                        self.cursor = change.cursor
                        yield change
                self._be("polling")
            except (*_FINAL, Forbidden):
                self.close()
                raise
            except ClassbaseError:
                self._be("connecting")
            await self._pause.wait(self._poll_every)

    async def _pushed(self) -> AsyncGenerator[Change, None]:
        """What arrives by push, until it breaks."""
        async with aclosing(self._transport.watch(self.topics, self.cursor or "", self._poll_every)) as said:
            async for told in said:
                if self._pause.is_over:
                    return
                if told.state is not None:
                    self._be(told.state)
                elif told.change is not None:
                    self.cursor = told.change.cursor
                    yield told.change
                elif told.cursor is not None:
                    self.cursor = told.cursor
                else:
                    async with aclosing(self._news()) as news:
                        async for change in news:
                            self.cursor = change.cursor
                            yield change

    async def _news(self) -> AsyncGenerator[Change, None]:
        """What is new, asked for page by page; who takes a change moves the cursor behind it."""
        more = True
        while more and not self._pause.is_over:
            rows = await self._caller.call(
                CHANGES_SINCE, {"p_cursor": self.cursor, "p_topics": self.topics, "p_limit": _PAGE}
            )
            for row in rows:
                change = row.change()
                if change is not None:
                    yield change
                else:
                    self.cursor = row.cursor
            more = rows[-1].more
