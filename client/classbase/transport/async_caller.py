"""From a method of a generated module to the database and back: encode, send, repeat, decode."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from tenacity import AsyncRetrying

from classbase.changes import Told
from classbase.errors import NetworkError
from classbase.retry import RetryPolicy
from classbase.transport.function import IDEMPOTENCY_KEY, Function

Answer = TypeVar("Answer")


class AsyncTransport(Protocol):
    """What carries a call: one attempt, plain values in, plain values out."""

    async def send(self, function: Function[Any], arguments: Mapping[str, Any]) -> Any:
        """Calls the function once.

        Raises:
            ClassbaseError: already translated, with the original exception as its cause.
        """

    def watch(self, topics: Sequence[str], cursor: str, every: float) -> AsyncGenerator[Told, None]:
        """What is pushed of the change feed from a cursor on, until the push breaks.

        Args:
            topics: what is followed.
            cursor: where to begin.
            every: seconds after which it says "look" although nothing woke it, where it can only wake.

        Raises:
            ClassbaseError: there is no push, it broke, or it was refused.
        """

    async def close(self) -> None:
        """Lets go of the connections."""


class AsyncCaller:
    """Makes calls over a transport, repeating those that may be repeated."""

    def __init__(self, transport: AsyncTransport, retry: RetryPolicy) -> None:
        self._transport = transport
        self._retry = retry

    async def call(self, function: Function[Answer], arguments: Mapping[str, Any]) -> Answer:
        """Calls a function; arguments that are `UNSET` are left to the database's defaults.

        A function that takes an idempotency key gets a fresh one, unless one was given or it was given as None; it
        stays the same over all attempts, and a `NetworkError` names it, so that the caller may ask again later.

        Raises:
            ClassbaseError: what the last attempt ended with.
        """
        given = function.encode(arguments)
        if function.takes_key:
            given.setdefault(IDEMPOTENCY_KEY, str(uuid.uuid4()))
        key = given.get(IDEMPOTENCY_KEY)
        retrying = AsyncRetrying(**self._retry.options(repeatable=function.read_only or key is not None))
        try:
            answer: Any = await retrying(self._transport.send, function, given)
        except NetworkError as error:
            if key is not None:
                error.context["idempotency_key"] = key
            raise
        return function.decode(answer)
