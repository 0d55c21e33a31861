"""Changes to the ledger in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from .draws import crowds, doors, weeklies, whens
from .driver import START
from .meetings import MeetingSteps
from .overrides import OverrideSteps
from .weekly_rules import WeeklyRuleSteps


class LedgerMachine(MeetingSteps, WeeklyRuleSteps, OverrideSteps):
    """Every kind of step, and those of the clock and the horizon."""

    @initialize(
        weekly=st.lists(st.tuples(weeklies, crowds), min_size=1, max_size=2),
        meetings=st.lists(st.tuples(whens, crowds), min_size=1, max_size=2),
    )
    def begin(self, weekly: list[Any], meetings: list[Any]) -> None:
        for each, who in weekly:
            self._repeat(each, who, False)
        for when, who in meetings:
            self._schedule(when, who, None, False)

    @rule(who=crowds, days=st.sampled_from((1, 10, 22, 40, 40, 800)))
    def extend(self, who: frozenset[UUID], days: int) -> None:
        until = START + timedelta(days=days)
        self.both(
            self.model.extend(who, until),
            True,
            ("select from public.extend_horizon(%s::uuid[], %s)", [sorted(who), until]),
        )

    @precondition(lambda self: self.model.now < START + timedelta(days=12))
    @rule(hours=st.sampled_from((24, 36, 96)), runs_job=doors)
    def wait(self, hours: int, runs_job: bool) -> None:
        self.model.now += timedelta(hours=hours)
        self.driver.set_clock(self.model.now)
        if runs_job:
            self.both(self.model.run_horizon_job(), False, ("select private.extend_horizons()", []))
