"""Steps that make, change and delete weekly rules and single dates of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .base import LedgerBase, on_rule
from .draws import RULES, Aim, aims, chosen, crowds, doors, picks, rule_columns, weeklies, whens
from .driver import RESOURCES, clock
from .reference import DAY, OtherDate, Weekly, When


class WeeklyRuleSteps(LedgerBase):
    """Weekly rules, and dates of theirs that are cancelled, moved or put back."""

    @precondition(lambda self: len(self.model.state.rules) < len(RULES))
    @rule(weekly=weeklies, aim=aims, who=crowds, door=doors)
    def repeat(self, weekly: Weekly, aim: Aim, who: frozenset[UUID], door: bool) -> None:
        self._repeat(self._aimed_weekly(weekly, aim), who, door)

    @on_rule
    @rule(pick=picks, to=weeklies, aim=aims, what=st.sampled_from(("times", "dates", "zone", "all")), door=doors)
    def change_rule(
        self, pick: int, to: Weekly, aim: Aim, what: Literal["times", "dates", "zone", "all"], door: bool
    ) -> None:
        to = self._aimed_weekly(to, aim)
        source = chosen(self.model.state.rules, pick)
        is_, was = to, self.model.state.rules[source].weekly
        if what == "times":
            is_ = Weekly(was.weekday, to.start, to.end, was.zone, was.first, was.last)
        elif what == "dates":
            is_ = Weekly(was.weekday, was.start, was.end, was.zone, to.first, to.last)
        elif what == "zone":
            is_ = Weekly(was.weekday, was.start, was.end, to.zone, was.first, was.last)
        self.both(
            self.model.change_rule(source, is_),
            door,
            (
                "update public.weekly_rules set weekday = %s, start_time = %s, end_time = %s, time_zone = %s, "
                "effective = %s where id = %s",
                [*rule_columns(is_), source],
            ),
        )

    @on_rule
    @rule(pick=picks, resource=st.sampled_from(RESOURCES), door=doors)
    def add_or_drop_resource(self, pick: int, resource: UUID, door: bool) -> None:
        source = chosen(self.model.state.rules, pick)
        who = self.model.state.rules[source].who
        if resource in who:
            statement = "delete from public.weekly_rule_resources where rule_id = %s and resource_id = %s"
        else:
            statement = "insert into public.weekly_rule_resources (rule_id, resource_id) values (%s, %s)"
        self.both(self.model.set_rule_resources(source, who ^ {resource}), door, (statement, [source, resource]))

    @on_rule
    @rule(pick=picks, door=doors)
    def delete_rule(self, pick: int, door: bool) -> None:
        source = chosen(self.model.state.rules, pick)
        self.both(self.model.delete_rule(source), door, ("delete from public.weekly_rules where id = %s", [source]))

    @on_rule
    @rule(pick=picks, nth=picks)
    def cancel_date(self, pick: int, nth: int) -> None:
        source = chosen(self.model.state.rules, pick)
        day = self._date_of(source, nth)
        self.both(
            self.model.change_date(source, day, OtherDate()),
            True,
            ("select from public.cancel_occurrence(%s, %s)", [source, day]),
        )

    @on_rule
    @rule(pick=picks, nth=picks, to=whens, aim=aims)
    def move_date(self, pick: int, nth: int, to: When, aim: Aim) -> None:
        source = chosen(self.model.state.rules, pick)
        day = self._date_of(source, nth)
        to = self._aimed(replace(to, zone=self.model.state.rules[source].weekly.zone), aim)
        to = replace(to, end=min(to.end, DAY))
        self.both(
            self.model.change_date(source, day, OtherDate(moved_to=to)),
            True,
            (
                "select from public.move_occurrence(%s, %s, %s, %s, %s)",
                [source, day, to.day, clock(to.start), clock(to.end)],
            ),
        )

    @precondition(lambda self: any(rule.exceptions for rule in self.model.state.rules.values()))
    @rule(pick=picks)
    def restore_date(self, pick: int) -> None:
        rules = self.model.state.rules
        source, day = chosen([(source, day) for source, rule in rules.items() for day in rule.exceptions], pick)
        self.both(
            self.model.change_date(source, day, None),
            True,
            ("select public.restore_occurrence(%s, %s)", [source, day]),
        )
