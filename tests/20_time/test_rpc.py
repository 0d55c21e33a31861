"""Every public function of this module, given nothing and given the extremes of each type: a code of ours, or an answer.

What a caller gets is never an error that Postgres words, and never half of the work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from classbase.database.loader import modules
from tests.support.calls import read_refusal
from tests.support.identity import User, as_user
from tests.support.ledger import Connection, Ledger
from tests.support.world import World

MODULE = next(module for module in modules() if module.name == "20_time")
FUNCTIONS = sorted(file.stem for file in (MODULE / "rpc").glob("*.sql"))

NOWHERE = "00000000-0000-4000-8000-000000000000"
EXTREMES: dict[str, list[Any]] = {
    "uuid": [NOWHERE],
    "uuid[]": [[], [None], [NOWHERE], [NOWHERE] * 2000],
    "text": ["", "   ", "x" * 20_000, "\n\t", "Robert'); drop table meetings;--", "%s %I", "\u202e\U0001f600"],
    "text[]": [[], [None], ["x"] * 2000],
    "integer": [-2147483648, -1, 0, 2147483647],
    "boolean": [True, False],
    "date": ["infinity", "-infinity", "1969-12-31", "2200-01-01", "5874897-12-31", "4713-01-01 BC", "2028-02-29"],
    "time without time zone": ["00:00", "24:00", "23:59:59.999999"],
    "timestamp with time zone": ["infinity", "-infinity", "1969-12-31Z", "294276-12-31Z", "4713-01-01Z BC", "2200-01-01Z"],
    "interval": ["0", "-1 hour", "1 microsecond", "10000 years", "1 month", "-178000000 years"],
    "jsonb": [Jsonb(one) for one in (None, [], {}, 1, "x", [None], [{}], [[]], {"a": [1]}, [{"source_table": 1}], ["x"] * 5000)],
}  # fmt: skip
PARAMETERS = """
select a.name, a.type::regtype::text
from pg_proc p
cross join lateral unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) as a(name, type)
where p.pronamespace = 'public'::regnamespace and p.proname = %s
"""


def outcome(db: Connection, caller: User, function: str, arguments: dict[str, Any], types: dict[str, str]) -> str:
    """The code of a refusal, "" for an answer; what it did is undone."""
    statement = sql.SQL("select * from public.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(
            sql.SQL("{} => {}::{}").format(sql.Identifier(name), sql.Placeholder(name), sql.SQL(types[name]))
            for name in arguments
        ),
    )
    try:
        with db.transaction(force_rollback=True), as_user(db, caller):
            db.execute(statement, arguments)
    except psycopg.Error as error:
        return read_refusal(error).code if error.sqlstate == "PGRST" else f"{error.sqlstate} {error}"
    return ""


def sensible(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """For each function a call that is answered: only then do the extremes get as far as they can."""
    person, room, day = ledger.person(), ledger.place(), ledger.day
    rule = ledger.rule("Yoga", room, start_time="18:00", end_time="19:00")
    one, other = ledger.meeting("One"), ledger.meeting("Other")
    override = ledger.override(one, ledger.meeting("Third"))
    away = ledger.one(
        "select id from public.request_time_off(%s, %s, p_reason => 'Rest')", person, day + timedelta(days=40)
    )
    occurrence = {"p_rule_id": rule, "p_occurs_on": day}
    hours = {"p_start_time": "09:00", "p_end_time": "10:00"}
    weekly = {
        "p_resource_ids": [room],
        "p_weekday": 1,
        **hours,
        "p_time_zone": "UTC",
        "p_from": day,
        "p_until": day + timedelta(days=99),
    }
    span = {"p_from": f"{day} 00:00Z", "p_to": f"{day + timedelta(days=1)} 00:00Z", "p_resource_ids": [room]}
    return {
        "add_closure": {"p_name": "Fair", "p_starts_on": day, "p_ends_on": day, "p_location_id": room, "p_cancel_occurrences": True},
        "busy_times": span,
        "calendar": {**span, "p_kinds": ["class"]},
        "cancel_occurrence": {**occurrence, "p_reason": "Strike"},
        "cancel_time_off": {"p_id": away, "p_note": "Came back"},
        "create_weekly_rule": {**weekly, "p_title": "Choir", "p_kind": "class"},
        "decide_time_off": {"p_id": away, "p_decision": "approved", "p_note": "Enjoy", "p_claims": "keep"},
        "extend_horizon": {"p_resource_ids": [room], "p_until": ledger.horizon(room) + timedelta(days=3)},
        "find_conflicts": {
            "p_resource_ids": [room], "p_starts_at": f"{day} 00:00Z", "p_ends_at": f"{day} 12:00Z", "p_exclude_source": one,
        },
        "find_resources": {"p_name": "Room", "p_kinds": ["place"], "p_limit": 5},
        "find_weekly_conflicts": {**weekly, "p_limit": 5},
        "free_slots": {
            **span, "p_duration": "1 hour", "p_step": "15 minutes", "p_respect_availability": True, "p_limit": 5,
        },
        "grant_override": {
            "p_members": Jsonb([{"source_table": "meetings", "source_id": str(member)} for member in (other, NOWHERE)]),
            "p_reason": "Shared", "p_expires_at": f"{day} 00:00Z",
        },
        "import_meetings": {
            "p_rows": Jsonb([{"crn": "1", "course": "Math", "section": "1", "title": "Algebra", "instructor": "Noether",
                              "location": "B1", "date": str(day), "start_time": "09:00", "end_time": "10:00"}]),
            "p_time_zone": "UTC", "p_on_conflict": "skip", "p_dry_run": True, "p_label": "Fall",
        },
        "move_occurrence": {**occurrence, "p_to_date": day + timedelta(days=1), **hours, "p_reason": "Fair"},
        "request_time_off": {
            "p_resource_id": person, "p_starts_on": day, "p_ends_on": day, **hours, "p_time_zone": "UTC", "p_reason": "Rest",
        },
        "restore_occurrence": occurrence,
        "revoke_override": {"p_override_id": override},
        "schedule_meeting": {
            "p_title": "Yoga", "p_date": day, **hours, "p_resource_ids": [person, room], "p_time_zone": "UTC",
            "p_ends_on": day + timedelta(days=1), "p_kind": "class", "p_notes": "Mats", **occurrence,
        },
        "set_availability": {
            "p_resource_id": person, "p_hours": Jsonb([{"weekday": 1, **{name[2:]: value for name, value in hours.items()}}]), "p_from": day,
        },
    }  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_extremes(ledger: Ledger, function: str) -> None:
    admin = World(ledger.db).user("admin")
    types = dict(ledger.db.execute(PARAMETERS, [function]).fetchall())
    usual = {**dict.fromkeys(types), **sensible(ledger)[function]}
    assert usual.keys() == types.keys()
    assert outcome(ledger.db, admin, function, usual, types) == ""
    said = {"nothing": outcome(ledger.db, admin, function, dict.fromkeys(types), types)}
    for name, type_ in types.items():
        for value in [*EXTREMES[type_], None]:
            said[f"{name} = {str(value)[:40]}"] = outcome(ledger.db, admin, function, {**usual, name: value}, types)
    ours = {code for (code,) in ledger.db.execute("select code from private.error_codes")} | {""}
    assert {what: code for what, code in said.items() if code not in ours} == {}
    # Nothing asked for is nothing done.
    assert said["nothing"] in ("invalid_input", "not_found")
