"""Steps that grant, change and withdraw overrides."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from psycopg.types.json import Jsonb

from .base import LedgerBase, on_override
from .draws import ENDS_OF_OVERRIDES, HAPPENINGS, MEETINGS, UNKNOWN, chosen, doors, free, picks
from .reference import Happening


class OverrideSteps(LedgerBase):
    """Groups whose members may overlap: before, while and after they do."""

    @rule(
        picked=st.lists(picks, min_size=2, max_size=4, unique=True),
        planned=st.lists(st.sampled_from(HAPPENINGS), max_size=1),
        expires_at=st.sampled_from(ENDS_OF_OVERRIDES),
    )
    def grant(self, picked: list[int], planned: list[Happening], expires_at: datetime | None) -> None:
        """Of happenings that are there, and perhaps one that is still to be written."""
        there = [*(("meetings", one) for one in self.model.state.meetings),
                 *(("weekly_rules", one) for one in self.model.state.rules)]  # fmt: skip
        members = list(dict.fromkeys([*(chosen(there or HAPPENINGS, pick) for pick in picked), *planned]))
        if len(members) < 2:
            return
        self._grant(members, expires_at)

    @precondition(lambda self: 0 < len(self.model.state.meetings) < len(MEETINGS))
    @rule(pick=picks, expires_at=st.sampled_from(ENDS_OF_OVERRIDES))
    def cross_list(self, pick: int, expires_at: datetime | None) -> None:
        """A second meeting at the very time of another, allowed before it is written."""
        source = chosen(self.model.state.meetings, pick)
        self._grant([("meetings", source), ("meetings", free(MEETINGS, self.model.state.meetings))], expires_at)
        meeting = self.model.state.meetings[source]
        self._schedule(meeting.when, meeting.who, None, False)

    def _grant(self, members: list[Happening], expires_at: datetime | None) -> None:
        named = Jsonb([{"source_table": table, "source_id": str(source)} for table, source in members])
        code, override = self.driver.run(
            [("select id from public.grant_override(%s, 'Cross-listed', %s)", [named, expires_at])], signed_in=True
        )
        self.judge(code, self.model.grant(override or UNKNOWN, members, expires_at))

    @on_override
    @rule(pick=picks, expires_at=st.sampled_from(ENDS_OF_OVERRIDES), door=doors)
    def change_expiry(self, pick: int, expires_at: datetime | None, door: bool) -> None:
        override = chosen(self.model.state.overrides, pick)
        self.both(
            self.model.set_expiry(override, expires_at),
            door,
            ("update public.overrides set expires_at = %s where id = %s", [expires_at, override]),
        )

    @on_override
    @rule(pick=picks)
    def revoke(self, pick: int) -> None:
        override = chosen(self.model.state.overrides, pick)
        self.both(self.model.revoke(override), True, ("select from public.revoke_override(%s)", [override]))

    @on_override
    @rule(pick=picks)
    def delete_override(self, pick: int) -> None:
        override = chosen(self.model.state.overrides, pick)
        self.both(
            self.model.delete_override(override), False, ("delete from public.overrides where id = %s", [override])
        )

    @on_override
    @rule(pick=picks, member=st.sampled_from(HAPPENINGS))
    def put_into_override(self, pick: int, member: Happening) -> None:
        override = chosen(self.model.state.overrides, pick)
        self.both(
            self.model.set_membership(member, override),
            False,
            (
                "insert into public.override_members (override_id, source_table, source_id) values (%s, %s, %s) "
                "on conflict (source_id, source_table) do update set override_id = excluded.override_id",
                [override, *member],
            ),
        )

    @precondition(lambda self: self.model.state.members)
    @rule(pick=picks)
    def take_out_of_override(self, pick: int) -> None:
        member = chosen(self.model.state.members, pick)
        self.both(
            self.model.set_membership(member, None),
            False,
            ("delete from public.override_members where source_table = %s and source_id = %s", [*member]),
        )
