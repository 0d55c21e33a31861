"""Following the change feed, and publishing to topics made for a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.support.calls import call
from tests.support.identity import User

Connection = psycopg.Connection[Any]
Change = dict[str, Any]


def open_topic(db: Connection, prefix: str = "demo") -> None:
    """Registers a topic that everybody may read."""
    db.execute(
        "insert into private.feed_topics (prefix, module, description, is_public) values (%s, '00_platform', 'Demo.', true)",
        [prefix],
    )


def say(db: Connection, topic: str, number: int = 0, event: str = "demo-said") -> None:
    """Publishes one change, whose payload is the number."""
    db.execute(
        "insert into public.changes (topic, event, payload) values (%s, %s, jsonb_build_object('number', %s::integer))",
        [topic, event, number],
    )


@dataclass
class Reader:
    """Follows topics from now on; `cursor` is where it is."""

    db: Connection
    topics: Sequence[str] | None = None
    caller: User | str | None = None
    limit: int = 200
    cursor: str = field(init=False)

    def __post_init__(self) -> None:
        self.cursor = call(self.db, self.caller, "changes_since", p_topics=self._topics())[0]["cursor"]

    def page(self) -> list[Change]:
        """What the next call answers, without the row that only carries a cursor; moves on behind it."""
        rows = call(
            self.db, self.caller, "changes_since", p_cursor=self.cursor, p_topics=self._topics(), p_limit=self.limit
        )
        self.cursor = rows[-1]["cursor"]
        return [row for row in rows if row["id"] is not None]

    def news(self) -> list[Change]:
        """Everything new, page by page."""
        return list(self._all())

    def numbers(self) -> list[int]:
        """What `say` said since."""
        return [change["payload"]["number"] for change in self._all()]

    def _all(self) -> Iterator[Change]:
        while True:
            page = self.page()
            yield from page
            if not page or not page[-1]["more"]:
                return

    def _topics(self) -> list[str] | None:
        return None if self.topics is None else list(self.topics)
