"""Reading server-sent events, line by line as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class Event:
    """One event; `id` is the last one that was sent, which a later stream may go on from."""

    name: str
    data: Any
    id: str


class Stream:
    """What a function sends; events are read with `next`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_id = ""
        self._lines = response.iter_lines()

    def next(self) -> Event:
        """The next event; fails where the stream ends."""
        name, data = "message", None
        for line in self._lines:
            key, _, value = line.partition(": ")
            if key == "id":
                self.last_id = value
            elif key == "event":
                name = value
            elif key == "data":
                data = json.loads(value)
            elif line == "" and data is not None:
                return Event(name, data, self.last_id)
        raise AssertionError("the stream ended")

    def of(self, name: str) -> Event:
        """The next event of that name."""
        while (event := self.next()).name != name:
            assert event.name != "end", event
        return event

    def numbers(self, how_many: int) -> list[int]:
        """The numbers of so many changes."""
        return [self.of("change").data["payload"]["number"] for _ in range(how_many)]


@contextmanager
def following(
    client: httpx.Client, topics: str, *, token: str | None = None, last_id: str | None = None, path: str = "/changes"
) -> Iterator[Stream]:
    """Follows topics (comma between them) as the bearer of a token, or as nobody."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    with client.stream("GET", path, params={"topics": topics}, headers=headers) as response:
        if response.status_code == 200:
            yield Stream(response)
        else:
            response.read()
            raise AssertionError(f"{response.status_code} {response.text}")
