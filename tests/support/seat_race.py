"""The race for the seats of one session, over REST."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

from psycopg.types.json import Jsonb

from tests.support.rest import Rest
from tests.support.training import Training


def race_over_rest(
    training: Training, rest: Rest, *, callers: int, rounds: int, retries: int = 1
) -> Iterator[Counter[str]]:
    """In each round so many people book one new session of twelve seats at the same moment, each over a connection of
    their own; what they were told, by code ("" for a seat).

    With `retries` each asks so often with one idempotency key. Fails when somebody is told anything else than JSON, or
    hears nothing within a minute.
    """
    url = urlsplit(rest.url)
    training.db.execute("update public.settings set value = %s where key = 'calls_per_minute'", [Jsonb(100_000)])
    tokens = [rest.token(training.world.user()) for _ in range(callers)]
    connections = [HTTPConnection(url.hostname or "", url.port, timeout=60) for _ in range(callers)]
    for _ in range(rounds):
        session = training.session(session_date=training.day)
        start = threading.Barrier(callers)
        said: list[str] = []

        def ask(
            number: int, session: object = session, start: threading.Barrier = start, said: list[str] = said
        ) -> None:
            body = {"p_session_id": str(session)} | ({"p_idempotency_key": f"{session}"} if retries > 1 else {})
            headers = {"Authorization": f"Bearer {tokens[number]}", "Content-Type": "application/json"}
            start.wait()
            for _ in range(retries):
                connections[number].request("POST", "/rpc/book_session", json.dumps(body), headers)
                answer = connections[number].getresponse()
                text = json.loads(answer.read())
                said.append("" if answer.status == 200 else str(text["code"]))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(said) == callers * retries, "somebody never got an answer"
        yield Counter(said)
    for connection in connections:
        connection.close()
