"""What goes wrong without each guard of the change feed."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.stage import Stage

SAY = "insert into public.changes (topic, event, payload) values ({})"

REFUSED = {
    "public.changes.topic_is_prefix_and_id": SAY.format("'sample:a b', 'sample-made', '{}'"),
    "public.changes.event_is_kebab_case": SAY.format("'sample', 'Sample made', '{}'"),
    "public.changes.payload_is_an_object": SAY.format("'sample', 'sample-made', '[]'"),
    "public.changes.payload_is_small": SAY.format(
        "'sample', 'sample-made', jsonb_build_object('text', repeat('x', 8000))"
    ),
    "public.changes.t30_never_updated": "update public.changes set event = 'another'",
    "public.changes.t40_note_forgotten": "delete from public.changes",
    "public.changes.t50_announce": SAY.format("'nobody_knows', 'sample-made', '{}'"),
    "private.feed_topics.prefix_is_snake_case": (
        "insert into private.feed_topics (prefix, module, description, is_public) values ('A b', '00_platform', 'x', true)"
    ),
    "private.feed_topics.somebody_may_read": "update private.feed_topics set is_public = false where prefix = 'sample'",
    "private.feed_topics.t20_check": "update private.feed_topics set may_read = 'private.nothing' where prefix = 'sample'",
    "private.feed_state.is_the_only_one": "insert into private.feed_state (is_only) values (false)",
}


@guards("private.feed_topics.may_read_is_private")
def who_may_read_is_not_said_by_what_anybody_may_write(stage: Stage) -> None:
    stage.db.execute("alter table private.feed_topics disable trigger t20_check")
    with pytest.raises(psycopg.errors.CheckViolation), stage.db.transaction():
        stage.db.execute("update private.feed_topics set may_read = 'pg_sleep(1), x' where prefix = 'sample'")


@guards("public.changes.t20_stamp", "public.changes.changes_pkey")
def nobody_chooses_a_number(stage: Stage) -> None:
    """The trigger numbers a change whatever the insert says, and the key holds even when its sequence goes back."""
    stage.db.execute(
        "insert into public.changes (id, topic, event, transaction_id, created_at, history) "
        "values (0, 'sample', 'chosen', '3', '2000-01-01Z', 'of another server')"
    )
    chosen = (
        "select id > 1 and transaction_id = pg_current_xact_id() and created_at = private.now() "
        "and history = private.feed_history() from public.changes "
    )
    assert stage.db.execute(f"{chosen} where event = 'chosen'".encode()).fetchone() == (True,)
    stage.db.execute("select setval('private.changes_id', (select max(id) from public.changes), false)")
    with pytest.raises(psycopg.errors.UniqueViolation), stage.db.transaction():
        stage.db.execute(SAY.format("'sample', 'sample-made', '{}'").encode())


@guards("public.changes.t40_note_forgotten")
def what_was_deleted_is_remembered(stage: Stage) -> None:
    stage.db.execute("alter table public.changes disable trigger t20_stamp")
    stage.db.execute(
        "insert into public.changes (id, topic, event, transaction_id, created_at, history) "
        "values (nextval('private.changes_id'), 'sample', 'old', '999999999', '2000-01-01Z', private.feed_history())"
    )
    stage.db.execute("select private.forget_old_changes()")
    state = stage.db.execute("select forgotten_transaction_id::text from private.feed_state").fetchone()
    assert state == ("999999999",)


@guards("public.changes.t50_announce")
def a_topic_has_to_be_registered(stage: Stage) -> None:
    with refused("invalid_input"), stage.db.transaction():
        stage.db.execute(SAY.format("'nobody_knows:1', 'sample-made', '{}'").encode())


@guards("public.changes.t60_wake")
def whoever_listens_is_woken(stage: Stage) -> None:
    """What is done at the end of a transaction is done now; the setting says which transaction woke."""
    stage.db.execute(SAY.format("'sample', 'heard', '{}'").encode())
    stage.db.execute("set constraints all immediate")
    woke = stage.db.execute("select current_setting('classbase.woke', true) = pg_current_xact_id()::text").fetchone()
    assert woke == (True,)
