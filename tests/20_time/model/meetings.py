"""Steps that make, change and delete meetings."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .base import LedgerBase, on_meeting, on_rule
from .draws import MEETINGS, UNKNOWN, Aim, aims, chosen, crowds, doors, participants, picks, whens
from .driver import RESOURCES, columns
from .reference import When


class MeetingSteps(LedgerBase):
    """Meetings: one-off times, alone or instead of a date of a rule."""

    @precondition(lambda self: len(self.model.state.meetings) < len(MEETINGS))
    @rule(when=whens, aim=aims, who=crowds, door=doors)
    def schedule(self, when: When, aim: Aim, who: frozenset[UUID], door: bool) -> None:
        self._schedule(self._aimed(when, aim), who, None, door)

    @precondition(lambda self: len(self.model.state.meetings) < len(MEETINGS) and self.model.state.rules)
    @rule(pick=picks, nth=picks, when=whens, own_time=doors, who=crowds, door=doors)
    def schedule_instead_of_a_date(
        self, pick: int, nth: int, when: When, own_time: bool, who: frozenset[UUID], door: bool
    ) -> None:
        if door and pick == 9:
            self._schedule(when, who, (UNKNOWN, when.day), door)
            return
        source = chosen(self.model.state.rules, pick)
        weekly = self.model.state.rules[source].weekly
        day = self._date_of(source, nth)
        self._schedule(when if own_time else When(day, weekly.start, weekly.end, weekly.zone), who, (source, day), door)

    @on_meeting
    @rule(pick=picks, when=whens, aim=aims, door=doors)
    def move(self, pick: int, when: When, aim: Aim, door: bool) -> None:
        source = chosen(self.model.state.meetings, pick)
        when = self._aimed(when, aim)
        self.both(
            self.model.move_meetings({source: when}),
            door,
            (
                "update public.meetings set date = %s, start_time = %s, end_time = %s, ends_on = %s, time_zone = %s "
                "where id = %s",
                [*columns(when), source],
            ),
        )

    @precondition(lambda self: len(self.model.state.meetings) > 1)
    @rule(pick=picks, door=doors)
    def change_places(self, pick: int, door: bool) -> None:
        one, other = chosen(self.model.state.meetings, pick), chosen(self.model.state.meetings, pick + 1)
        meetings = self.model.state.meetings
        self.both(
            self.model.move_meetings({one: meetings[other].when, other: meetings[one].when}),
            door,
            (
                "update public.meetings m set date = o.date, start_time = o.start_time, end_time = o.end_time, "
                "ends_on = o.ends_on, time_zone = o.time_zone "
                "from public.meetings o where m.id = any(%s) and o.id = any(%s) and o.id <> m.id",
                [[one, other], [one, other]],
            ),
        )

    @on_meeting
    @rule(pick=picks, door=doors)
    def cancel_or_bring_back(self, pick: int, door: bool) -> None:
        source = chosen(self.model.state.meetings, pick)
        is_cancelled = not self.model.state.meetings[source].is_cancelled
        status = "cancelled" if is_cancelled else "scheduled"
        self.both(
            self.model.set_cancelled(source, is_cancelled),
            door,
            ("update public.meetings set status = %s, notes = 'Changed.' where id = %s", [status, source]),
        )

    @on_meeting
    @rule(pick=picks, resource=st.sampled_from(RESOURCES), door=doors)
    def join_or_leave(self, pick: int, resource: UUID, door: bool) -> None:
        source = chosen(self.model.state.meetings, pick)
        who = self.model.state.meetings[source].who
        leave = "delete from public.meeting_participants where meeting_id = %s and resource_id = %s"
        self.both(
            self.model.set_participants(source, who ^ {resource}),
            door,
            (leave, [source, resource]) if resource in who else participants(source, frozenset({resource})),
        )

    @on_meeting
    @rule(pick=picks, door=doors)
    def delete_meeting(self, pick: int, door: bool) -> None:
        source = chosen(self.model.state.meetings, pick)
        self.both(self.model.delete_meeting(source), door, ("delete from public.meetings where id = %s", [source]))

    @on_meeting
    @on_rule
    @rule(pick=picks, rule_pick=picks, nth=picks, gives_back=doors, door=doors)
    def take_over_or_give_back(self, pick: int, rule_pick: int, nth: int, gives_back: bool, door: bool) -> None:
        source = chosen(self.model.state.meetings, pick)
        rule_id = chosen(self.model.state.rules, rule_pick)
        takes = None if gives_back else (rule_id, self._date_of(rule_id, nth))
        self.both(
            self.model.take_over(source, takes),
            door,
            (
                "update public.meetings set rule_id = %s, occurs_on = %s where id = %s",
                [*(takes or (None, None)), source],
            ),
        )
