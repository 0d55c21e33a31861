"""What every change to the ledger goes through: made to the database and to the model, which have to agree."""

from __future__ import annotations

from datetime import date, timedelta
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition

from .draws import DAYS, MEETINGS, RULES, UNKNOWN, Aim, free, participants, rule_columns
from .driver import HORIZON_DAYS, START, Driver, Statement, columns
from .reference import DAY, Model, Weekly, When, clashes

on_meeting = precondition(lambda self: self.model.state.meetings)
on_rule = precondition(lambda self: self.model.state.rules)
on_override = precondition(lambda self: self.model.state.overrides)


class LedgerBase(RuleBasedStateMachine):
    """One example: a ledger that begins empty, behind the driver of the subclass."""

    driver: ClassVar[Driver]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(START, self.driver.begin(), HORIZON_DAYS)

    def teardown(self) -> None:
        try:
            assert self.driver.findings() == self.model.findings()
        finally:
            self.driver.end()

    def judge(self, got: str | None, expected: set[str]) -> None:
        assert (got in expected) if expected else got is None, (
            f"{got or 'accepted'}, expected {expected or 'to be accepted'}"
        )

    def both(self, expected: set[str], signed_in: bool, *statements: Statement) -> None:
        self.judge(self.driver.run(statements, signed_in=signed_in)[0], expected)

    # What changes are aimed at

    def _aimed(self, when: When, aim: Aim) -> When:
        """Moved to where something is already, on the clock of its own zone."""
        among = [use for use in self.model.state.uses() if use.start < self.model.state.horizons[use.resource]]
        pick, shift = aim
        if shift is None or not among:
            return when
        wall = among[pick * 31 % len(among)].start.astimezone(ZoneInfo(when.zone)) + timedelta(minutes=shift)
        minute = wall.hour * 60 + wall.minute
        return When(wall.date(), minute, minute + when.end - when.start, when.zone)

    def _aimed_weekly(self, weekly: Weekly, aim: Aim) -> Weekly:
        """The same for a rule, also at what another does beyond the horizon, on another side of the clock changes."""
        among = list(self.model.state.uses())
        pick, shift = aim
        if shift is None or not among:
            return weekly
        wall = among[pick * 31 % len(among)].start.astimezone(ZoneInfo(weekly.zone)) + timedelta(minutes=shift)
        minute = wall.hour * 60 + wall.minute
        end = min(minute + weekly.end - weekly.start, DAY)
        return Weekly(wall.isoweekday() % 7, minute, end, weekly.zone, weekly.first, weekly.last)

    def _date_of(self, source: UUID, nth: int) -> date:
        """One of the rule's first dates, often one that a meeting stands in for, or a day on which it is not."""
        rule = self.model.state.rules[source]
        weekly = rule.weekly
        taken = [day for day, exception in rule.exceptions.items() if exception.taken_by]
        if taken and nth % 3 == 0:
            return taken[0]
        held = [day for day in (weekly.first + timedelta(days=n) for n in range(30)) if weekly.has(day)]
        return held[nth % len(held)] if held and nth < 9 else DAYS[nth % len(DAYS)]

    # Changes that several kinds of steps make

    def _schedule(self, when: When, who: frozenset[UUID], takes: tuple[UUID, date] | None, door: bool) -> None:
        day, start, end, ends_on, zone = columns(when)
        rule_id, occurs_on = takes or (None, None)
        if door:
            code, source = self.driver.run(
                [(
                    "select id from public.schedule_meeting('Meeting', %s, %s, %s, %s::uuid[], %s, p_ends_on => %s, "
                    "p_rule_id => %s, p_occurs_on => %s)",
                    [day, start, end, sorted(who), zone, ends_on, rule_id, occurs_on],
                )],
                signed_in=True,
            )  # fmt: skip
            self.judge(code, self.model.make_meeting(source or UNKNOWN, when, who, takes))
            return
        source = free(MEETINGS, self.model.state.meetings)
        self.both(
            self.model.make_meeting(source, when, who, takes),
            False,
            (
                "insert into public.meetings (id, title, date, start_time, end_time, ends_on, time_zone, rule_id, occurs_on) "
                "values (%s, 'Meeting', %s, %s, %s, %s, %s, %s, %s)",
                [source, *columns(when), rule_id, occurs_on],
            ),
            participants(source, who),
        )

    def _repeat(self, weekly: Weekly, who: frozenset[UUID], door: bool) -> None:
        if door:
            code, source = self.driver.run(
                [(
                    "select id from public.create_weekly_rule('Rule', %s::uuid[], %s, %s, %s, %s, %s, %s)",
                    [sorted(who), *rule_columns(weekly)[:4], weekly.first, weekly.last],
                )],
                signed_in=True,
            )  # fmt: skip
            self.judge(code, self.model.make_rule(source or UNKNOWN, weekly, who))
            return
        source = free(RULES, self.model.state.rules)
        expected = self.model.make_rule(source, weekly, who)
        self.both(
            {"start_is_before_end"} if expected == {"invalid_input"} else expected,
            False,
            (
                "insert into public.weekly_rules (id, title, weekday, start_time, end_time, time_zone, effective) "
                "values (%s, 'Rule', %s, %s, %s, %s, %s)",
                [source, *rule_columns(weekly)],
            ),
            (
                "insert into public.weekly_rule_resources (rule_id, resource_id) select %s, u from unnest(%s::uuid[]) u",
                [source, sorted(who)],
            ),
        )

    # What must hold

    @invariant()
    def the_ledger_is_what_was_promised(self) -> None:
        claimed, promised = self.driver.claims(), self.model.state.claims()
        assert len(claimed) == len(set(claimed)), "claimed twice"
        assert set(claimed) == promised, f"too much: {set(claimed) - promised}, missing: {promised - set(claimed)}"
        assert clashes(claimed) == [], "somebody is in two places"
        assert self.driver.horizons() == self.model.state.horizons
        assert self.driver.difference() == [], "the ledger does not agree with itself"
