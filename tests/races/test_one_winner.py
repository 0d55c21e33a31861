"""Fifty connections want one person at overlapping times, over every door at once: one wins, the others are told who."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests.support.calls import read_refusal
from tests.support.ledger import Ledger, add_participants
from tests.support.rest import Rest
from tests.support.world import World

CONTENDERS = 50
ROUNDS = 200
BLIND_ROUNDS = 8


@dataclass(frozen=True)
class Said:
    """What one contender was told: the code ("" for the winner), the sentence, and what the details say stands there."""

    door: str
    code: str
    message: str
    stands_there: frozenset[str]


Placing = Callable[[int], Said]


class Race:
    """Who wants whom, and the doors to come through. Every contender's hour shares some minutes with every other's."""

    def __init__(self, ledger: Ledger, rest: Rest, rounds: int) -> None:
        self.ledger, self.rest, self.rounds = ledger, rest, rounds
        self.person = ledger.person("Ann")
        self.url = urlsplit(rest.url)
        self.token = rest.token(World(ledger.db).user("manager"))
        # One manager asks more often here than any person does.
        ledger.db.execute("update public.settings set value = %s where key = 'calls_per_minute'", [Jsonb(100_000)])
        # For the door of the tables the meetings are there before, and nobody takes part yet.
        self.waiting: dict[tuple[int, int], UUID] = {
            (round_, contender): meeting
            for meeting, round_, contender in ledger.db.execute(
                "insert into public.meetings (title, date, start_time, end_time, capacity, enrolled) "
                "select 'Meeting ' || c, %s::date + r, time '09:00' + c * interval '1 minute', "
                "time '10:00' + c * interval '1 minute', r, c "
                "from generate_series(0, %s - 1) r, generate_series(0, %s - 1, 3) c returning id, capacity, enrolled",
                [ledger.day, rounds, CONTENDERS],
            ).fetchall()
        }

    def on(self, round_: int) -> date:
        return self.ledger.day + timedelta(days=round_)

    def hours(self, contender: int) -> dict[str, str]:
        return {"start_time": f"09:{contender:02}", "end_time": f"10:{contender:02}"}

    def door(self, contender: int) -> Placing:
        """One of the three doors, with a connection of its own."""
        return (self._tables, self._function, self._sql)[contender % 3](contender)

    def _tables(self, contender: int) -> Placing:
        post = self._poster("/meeting_participants", "tables")
        return lambda round_: post(
            {"meeting_id": str(self.waiting[round_, contender]), "resource_id": str(self.person)}
        )

    def _function(self, contender: int) -> Placing:
        post = self._poster("/rpc/schedule_meeting", "function")
        times = {f"p_{name}": value for name, value in self.hours(contender).items()}
        return lambda round_: post(
            {
                "p_title": f"Meeting {contender}",
                "p_date": str(self.on(round_)),
                "p_resource_ids": [str(self.person)],
                **times,
            }
        )

    def _poster(self, path: str, door: str) -> Callable[[dict[str, Any]], Said]:
        connection = HTTPConnection(self.url.hostname or "", self.url.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}

        def post(body: dict[str, Any]) -> Said:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status < 300:
                return Said(door, "", "", frozenset())
            said = json.loads(text)
            assert answer.status == 409, (answer.status, said)
            return Said(door, said["code"], said["message"], standing(json.loads(said["details"])))

        return post

    def _sql(self, contender: int) -> Placing:
        connection = self.ledger.database.connect()

        def place(round_: int) -> Said:
            try:
                with connection.transaction():
                    meeting = self.ledger.meeting(
                        f"Meeting {contender}", by=connection, date=self.on(round_), **self.hours(contender)
                    )
                    add_participants(connection, meeting, self.person)
            except psycopg.Error as error:
                refusal = read_refusal(error)
                return Said("sql", refusal.code, refusal.message, standing(refusal.details))
            return Said("sql", "", "", frozenset())

        return place

    def run(self) -> list[list[Said]]:
        """All rounds, each begun by everybody together; what everybody was told, by round."""
        start = threading.Barrier(CONTENDERS)
        told: list[list[Said]] = [[] for _ in range(self.rounds)]
        broken: list[BaseException] = []

        def contend(contender: int) -> None:
            try:
                place = self.door(contender)
                for round_ in range(self.rounds):
                    start.wait()
                    told[round_].append(place(round_))
            except BaseException as error:
                broken.append(error)
                start.abort()

        threads = [threading.Thread(target=contend, args=(contender,)) for contender in range(CONTENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in broken:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        return told


def standing(details: dict[str, Any]) -> frozenset[str]:
    """The ids of what stands in the way."""
    return frozenset(conflict["conflicts_with"]["source_id"] for conflict in details["conflicts"])


def test_one_wins_each_round(ledger: Ledger, rest: Rest) -> None:
    race = Race(ledger, rest, ROUNDS)
    told = race.run()
    winners = {
        day: (source, title)
        for day, source, title in ledger.db.execute(
            "select occurs_on, source_id, title from public.claims where resource_id = %s", [race.person]
        )
    }
    assert len(winners) == ROUNDS
    won_through = Counter[str]()
    for round_, said in enumerate(told):
        assert len(said) == CONTENDERS
        source, title = winners[race.on(round_)]
        [winner] = [one for one in said if one.code == ""]
        won_through[winner.door] += 1
        losers = [one for one in said if one.code != ""]
        assert {one.code for one in losers} == {"time_conflict"}
        assert {one.stands_there for one in losers} == {frozenset({str(source)})}
        assert all(one.message.startswith(f"Ann is already in {title}, {race.on(round_)} ") for one in losers)
    assert ledger.one("select count(*) from public.claims where resource_id = %s", race.person) == ROUNDS
    assert len(won_through) > 1, "only one door was ever first, so the doors did not race"
    assert ledger.faults() == []


def test_without_the_constraint_many_win(ledger: Ledger, rest: Rest) -> None:
    ledger.weaken("alter table public.claims drop constraint nobody_is_in_two_places")
    told = Race(ledger, rest, BLIND_ROUNDS).run()
    assert max(sum(one.code == "" for one in said) for said in told) > 1
    assert "overlap" in {kind for kind, _ in ledger.faults()}
