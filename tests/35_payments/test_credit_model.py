"""Credits against a model of them: lots bought, used, moved, given back, paused and refunded in any order, day after day.

`CLASSBASE_MODEL_EXAMPLES=500` looks further, along other ways each time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.calls import read_refusal
from tests.support.till import Till

EXAMPLES = int(os.environ.get("CLASSBASE_MODEL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=30,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NUMBERS = count(1)
THINGS = st.integers(0, 2)
LOTS = st.integers(0, 3)


@dataclass
class Lot:
    """What a purchase should be."""

    id: UUID
    starts_on: date
    ends_on: date
    left: int
    status: str = "active"
    paused_on: date | None = None
    pauses: list[tuple[date, date]] = field(default_factory=list)

    def is_good_on(self, day: date) -> bool:
        in_a_pause = any(start <= day < end for start, end in self.pauses)
        return self.status == "active" and self.starts_on <= day <= self.ends_on and not in_a_pause and self.left > 0


@dataclass
class Use:
    """The credit a thing has."""

    lot: Lot
    day: date
    is_forfeited: bool = False


class CreditMachine(RuleBasedStateMachine):
    """One person, some things that use credits, and days that pass."""

    till: Till
    seen: Counter[str]

    @initialize()
    def begin(self) -> None:
        self.days, self.lots = 0, list[Lot]()
        self.uses: dict[int, Use] = {}
        self.things = [uuid4() for _ in range(3)]
        self.wait(0)
        self.person = self.till.person()
        self.package = self.till.package(late_cancel_hours=24)
        self.sell(4, 10, 0)
        self.sell(2, 20, -1)
        self.sell(2, 8, 2)

    @property
    def today(self) -> date:
        return self.till.today + timedelta(days=self.days)

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.days += days
        self.till.db.execute(
            "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
            f"return pg_catalog.now() + interval '{self.days} days'".encode()
        )

    @rule(credits=st.integers(1, 3), days=st.integers(1, 10), ahead=st.integers(-3, 2))
    def sell(self, credits: int, days: int, ahead: int) -> None:
        starts_on = self.today + timedelta(days=ahead)
        lot = Lot(UUID(int=next(NUMBERS)), starts_on, starts_on + timedelta(days=days), credits)
        self.till.sell(
            self.person, self.package, id=lot.id, credits=credits, validity_days=days, purchased_on=starts_on
        )
        self.lots.append(lot)
        self.compare()

    @rule(thing=THINGS, ahead=st.integers(-3, 9))
    def use(self, thing: int, ahead: int) -> None:
        day = self.today + timedelta(days=ahead)
        expected = self.model_use(thing, day)
        self.expect(expected, lambda: self.till.use(self.person, self.things[thing], on=day))

    def model_use(self, thing: int, day: date) -> str:
        has = self.uses.get(thing)
        if has and (has.is_forfeited or has.day == day):
            return "accepted"
        if has and has.lot.status == "refunded":
            return "illegal_transition"
        if has:
            has.lot.left += 1
        good = [lot for lot in self.lots if lot.is_good_on(day)]
        if not good:
            if has:
                has.lot.left -= 1
            return "limit_exceeded"
        lot = min(good, key=lambda lot: (lot.ends_on, lot.starts_on, lot.id))
        lot.left -= 1
        self.uses[thing] = Use(lot, day)
        return "moved" if has else "accepted"

    @rule(thing=THINGS, is_late=st.booleans())
    def give_back(self, thing: int, is_late: bool) -> None:
        has = self.uses.get(thing)
        expected = None
        if has and not has.is_forfeited:
            if is_late or has.lot.status == "refunded":
                expected, has.is_forfeited = "forfeited", True
            else:
                expected = "returned"
                has.lot.left += 1
                del self.uses[thing]
        starts_at = self.till.one("select private.now() + %s * interval '1 hour'", 23 if is_late else 25)
        assert self.till.give_back(self.things[thing], starts_at) == expected
        self.seen[str(expected)] += 1
        self.compare()

    @rule(number=LOTS)
    def pause(self, number: int) -> None:
        for lot in self.lots[number : number + 1]:
            if lot.status != "active" or lot.ends_on < self.today:
                expected = "illegal_transition"
            elif self.today < lot.starts_on:
                expected = "invalid_input"
            else:
                expected = "accepted"
                lot.status, lot.paused_on = "paused", self.today
            self.expect(expected, lambda lot=lot: self.till.enter(lot.id, "paused", reason="Away."))  # type: ignore[misc]

    @rule(number=LOTS)
    def resume(self, number: int) -> None:
        for lot in self.lots[number : number + 1]:
            expected = "illegal_transition"
            if lot.paused_on is not None:
                expected = "accepted"
                lot.pauses.append((lot.paused_on, self.today))
                lot.ends_on += self.today - lot.paused_on
                lot.status, lot.paused_on = "active", None
            self.expect(expected, lambda lot=lot: self.till.enter(lot.id, "resumed"))  # type: ignore[misc]

    @rule(number=LOTS, days=st.integers(1, 3), thing=THINGS)
    def stay_away(self, number: int, days: int, thing: int) -> None:
        self.pause(number)
        self.wait(days)
        self.resume(number)
        self.use(thing, -1)

    @rule(number=LOTS, really=st.integers(0, 3))
    def refund(self, number: int, really: int) -> None:
        for lot in self.lots[number : number + 1] if not really else []:
            expected = "illegal_transition" if lot.status == "refunded" else "accepted"
            lot.status, lot.paused_on, lot.left = "refunded", None, 0
            self.expect(
                expected,
                lambda lot=lot: self.till.db.execute("select from public.refund_package(%s, 'Moved.')", [lot.id]),  # type: ignore[misc]
            )

    def expect(self, expected: str, change: Callable[[], object]) -> None:
        told = "accepted"
        try:
            change()
        except psycopg.Error as error:
            told = read_refusal(error).code
        assert told == ("accepted" if expected == "moved" else expected)
        self.seen[expected] += 1
        self.compare()

    def compare(self) -> None:
        rows = self.till.db.execute(
            "select purchase_id, status, paused_on, expires_on, credits_left from public.package_balances "
            "where profile_id = %s order by 1",
            [self.person],
        ).fetchall()
        assert rows == [(lot.id, lot.status, lot.paused_on, lot.ends_on, lot.left) for lot in self.lots]

    def teardown(self) -> None:
        assert self.till.findings() == []


def run(made: Till) -> Counter[str]:
    seen = Counter[str]()
    run_state_machine_as_test(type("Machine", (CreditMachine,), {"till": made, "seen": seen}), settings=SETTINGS)
    return seen


@pytest.mark.timeout(300 + 10 * EXAMPLES)
def test_credits_do_what_the_model_says(till: Till) -> None:
    seen = run(till)
    assert seen.keys() >= {
        "accepted", "moved", "returned", "forfeited", "None", "limit_exceeded", "illegal_transition", "invalid_input",
    }, seen  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        ("private.is_paused_on(uuid,date)", "'resumed'", "'never'"),
        ("private.follow_credit_entry()", "coalesce(new.extends_days, 0)", "0"),
        ("private.use_credit(uuid,uuid,date,text,uuid)", "order by p.expires_on, p.purchased_on", "order by p.purchased_on, p.expires_on"),
        ("private.use_credit(uuid,uuid,date,text,uuid)", "v_entry.occurs_on = p_used_on or", "true or"),
        ("private.return_credit(text,uuid,timestamptz)", "v_is_late or", ""),
    ],
)  # fmt: skip
def test_the_model_sees_what_is_broken(till: Till, function: str, old: str, new: str) -> None:
    till.rewrite(function, old, new)
    with pytest.raises(AssertionError):
        run(till)
