"""What fails once a guard of the audit trail is gone."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import Scenario, guards
from tests.support.stage import Stage


def _months() -> list[tuple[str, str]]:
    """The partitions of this month and the three to come, each with an instant in it; and that of all others."""
    now = datetime.now(UTC)
    months = [divmod(now.year * 12 + now.month - 1 + ahead, 12) for ahead in range(4)]
    return [
        ("private.audit_log_rest", "2001-01-01"),
        *((f"private.audit_log_{year}_{month + 1:02}", f"{year}-{month + 1:02}-02") for year, month in months),
    ]


_INSERT = "insert into {} (at, table_name, row_key, operation) values ('{}', 'locations', '1', 'insert')"

REFUSED = {
    "public.audit_log.t00_only_triggers_write": _INSERT.format("public.audit_log", "2001-01-01"),
    **{f"{partition}.t00_only_triggers_write": _INSERT.format(partition, at) for partition, at in _months()},
    "private.audit_rules.only_what_is_audited_leaves_columns_out": (
        "update private.audit_rules set left_out = '{id}' where table_name = 'claims'"
    ),
    "private.audit_rules.a_reason_has_words": (
        "update private.audit_rules set not_audited_because = ' ' where table_name = 'claims'"
    ),
}

_TAMPER = """
create function private.tamper() returns trigger language plpgsql set search_path = '' as $$
begin
  {} where table_name = 'user_profiles';
  return null;
end $$;
create trigger t97_tamper after update on public.settings for each row execute function private.tamper();
"""


def _tampering(statement: str) -> Scenario:
    @guards("public.audit_log.t10_only_forgets")
    def a_trigger_of_somebodys_own_changes_nothing(stage: Stage) -> None:
        stage.db.execute(_TAMPER.format(statement).encode())
        with refused("forbidden"), stage.db.transaction():
            stage.db.execute("update public.settings set value = '60' where key = 'page_size'")

    return a_trigger_of_somebodys_own_changes_nothing


SCENARIOS = [
    _tampering("delete from public.audit_log"),
    _tampering("update public.audit_log set actor_role = 'nobody'"),
]


@guards("public.user_profiles.t61_forget_audited")
def the_erased_are_forgotten(stage: Stage) -> None:
    """What the log says about somebody goes with them."""
    person = stage.people["member"]

    def said() -> bool:
        row = stage.db.execute(
            "select exists (select from public.audit_log a where strpos(a::text, %s) > 0)", [person.full_name]
        ).fetchone()
        assert row is not None
        return bool(row[0])

    assert said()
    stage.db.execute("select public.erase_person(%s, 'Asked for it.')", [person.profile_id])
    assert not said()


@guards("public.audit_log.audit_log_pkey")
def no_change_is_there_twice(stage: Stage) -> None:
    """Refused by the partition's part of the key, which has a name of its own."""
    stage.db.execute("alter table public.audit_log disable trigger user")
    with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
        stage.db.execute("insert into public.audit_log select * from public.audit_log limit 1")
