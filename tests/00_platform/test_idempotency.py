"""Remembered answers: kept with the work, for the caller, the function and the arguments they belong to."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import as_role, as_user
from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.world import World

Db = psycopg.Connection[Any]

# One call: asks, and keeps an answer when it is the first.
CALL = """
create function public.work(p_key text, p_request jsonb, p_answer jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb := private.answered_before('work', p_key, p_request);
begin
  if v_answer is null then
    perform private.remember_answer('work', p_key, p_request, p_answer);
    return p_answer;
  end if;
  return v_answer;
end;
$$
"""


@pytest.fixture(autouse=True)
def _work(db: Db) -> None:
    db.execute(CALL)
    db.execute("grant execute on function public.work to authenticated, service_role")


def work(db: Db, key: str | None, request: Any, answer: Any) -> Any:
    row = db.execute("select public.work(%s, %s, %s)", [key, Jsonb(request), Jsonb(answer)]).fetchone()
    assert row is not None
    return row[0]


def test_the_first_answer_stays(db: Db) -> None:
    assert [work(db, "k", {"a": 1}, answer) for answer in (1, 2, 3)] == [1, 1, 1]
    # How the arguments are ordered does not matter.
    assert work(db, "l", {"a": 1, "b": 2}, 1) == work(db, "l", {"b": 2, "a": 1}, 5) == 1


def test_without_a_key_nothing_is_kept(db: Db) -> None:
    assert [work(db, None, {}, answer) for answer in (1, 2)] == [1, 2]
    assert db.execute("select count(*) from private.idempotency_keys").fetchone() == (0,)


def test_an_answer_of_nothing_is_an_answer(db: Db) -> None:
    assert db.execute("select public.work('k', '{}', null)").fetchone() == (None,)
    assert db.execute("select public.work('k', '{}', '5') = 'null'").fetchone() == (True,)


def test_other_arguments_are_refused(db: Db) -> None:
    work(db, "k", {"a": 1}, 1)
    with refused("idempotency_mismatch"):
        work(db, "k", {"a": 2}, 2)


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_keys_have_a_length(db: Db, key: str) -> None:
    with refused("invalid_input") as refusal:
        work(db, key, {}, 1)
    assert refusal.details["field"] == "idempotency_key"


def test_a_key_is_its_callers(db: Db, world: World) -> None:
    ann, bob = world.user("member"), world.user("member")
    answers = []
    for number, user in enumerate((ann, bob, ann)):
        with as_user(db, user):
            answers.append(work(db, "k", {}, number))
    with as_role(db, "service_role"):
        answers.append(work(db, "k", {}, 3))
    assert answers == [0, 1, 0, 3]


def test_it_is_undone_with_the_work(db: Db) -> None:
    with db.transaction(force_rollback=True):
        work(db, "k", {}, 1)
    assert work(db, "k", {}, 2) == 2


def test_a_twin_still_running_is_not_waited_for(database: Database, db: Db) -> None:
    ledger = Ledger(database)
    outcome = ledger.collide(lambda by: work(by, "k", {}, 1), lambda by: work(by, "k", {}, 2))
    assert not outcome.waited
    assert outcome.code == "in_progress"
    assert work(db, "k", {}, 3) == 1


def test_old_answers_are_forgotten(db: Db) -> None:
    work(db, "k", {}, 1)
    assert db.execute("select private.forget_old_calls()").fetchone() == (0,)
    db.execute(
        "create or replace function private.now() returns timestamptz language sql stable as "
        "$$ select pg_catalog.now() + interval '31 days' $$"
    )
    assert db.execute("select private.forget_old_calls()").fetchone() == (1,)
    assert work(db, "k", {"other": True}, 2) == 2
