"""What the change feed tells: the values that `subscribe` hands out, the same over every transport."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from classbase.transport.function import Function
from classbase.values import Instant, Json

State = Literal["connecting", "live", "polling", "closed"]
"""How changes arrive: pushed at once (`live`), asked for every few seconds (`polling`), not just now (`connecting`), or
not any more (`closed`)."""


@dataclass(frozen=True)
class Change:
    """Something that was published.

    Attributes:
        id: its number; larger is later for changes of one row.
        topic: what it is about, such as `session:<id>`.
        event: what happened, such as `session-update`.
        payload: ids and versions, nothing personal.
        created_at: when the transaction that published it began.
        cursor: where to go on after it: `subscribe(topics, cursor=change.cursor)`.
    """

    id: int
    topic: str
    event: str
    payload: dict[str, Any]
    created_at: datetime
    cursor: str


@dataclass(frozen=True)
class Told:
    """One thing a transport's push says: a change, that the cursor moved, how things stand, or only "look"."""

    change: Change | None = None
    cursor: str | None = None
    state: State | None = None


@dataclass
class Row:
    """A row of `changes_since`: a change with the cursor after it, or a cursor alone."""

    cursor: str
    more: bool
    id: int | None
    topic: str | None
    event: str | None
    payload: Json
    created_at: Instant | None

    def change(self) -> Change | None:
        """The change, where the row has one."""
        if self.id is None or self.topic is None or self.event is None or self.created_at is None:
            return None
        return Change(self.id, self.topic, self.event, self.payload, self.created_at, self.cursor)


CHANGES_SINCE: Function[list[Row]] = Function(
    name="changes_since",
    parameters={"p_cursor": "text", "p_topics": "text[]", "p_limit": "integer"},
    shape="rows",
    answer=list[Row],
    read_only=True,
)

_instant: TypeAdapter[datetime] = TypeAdapter(Instant)


def read_change(data: dict[str, Any], cursor: str) -> Change:
    """The change that a server-sent event carries.

    Raises:
        KeyError, ValueError: it is none.
    """
    instant = _instant.validate_python(data["created_at"])
    return Change(data["id"], data["topic"], data["event"], data["payload"], instant, cursor)


class AsyncPause:
    """A wait that can be cut short, once and for all."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether `end` was called."""
        return self._over.is_set()

    async def wait(self, seconds: float) -> None:
        """Returns after so many seconds, or when `end` is called."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return

    def end(self) -> None:
        """No wait from now on."""
        self._over.set()


class Pause:
    """A wait that can be cut short, once and for all, also by another thread."""

    def __init__(self) -> None:
        self._over = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether `end` was called."""
        return self._over.is_set()

    def wait(self, seconds: float) -> None:
        """Returns after so many seconds, or when `end` is called."""
        self._over.wait(seconds)

    def end(self) -> None:
        """No wait from now on."""
        self._over.set()
