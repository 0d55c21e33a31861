"""What people are told: by their preferences it leaves the house as well, and only they read it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User, as_role, as_user
from tests.support.outbox import Outbox
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World

CHOICES = "select kind, channel, is_wanted from public.notification_preferences order by kind, channel"


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    made = Outbox(db)
    db.execute(
        "insert into public.notification_kinds (name, module, description, default_channels) "
        "values ('news', 'test', 'There is news.', '{email}'), ('gossip', 'test', 'They say.', '{}')"
    )
    return made


@pytest.fixture
def mia(world: World, outbox: Outbox) -> User:
    return world.user("member", full_name="Mia", phone="+4915123456789")


def tell(db: psycopg.Connection[Any], *people: User, kind: str = "news", title: str = "Hear") -> None:
    db.execute(
        "insert into public.notifications (recipient_id, kind, title, body) select unnest(%s::uuid[]), %s, %s, 'It is so.'",
        [[one.profile_id for one in people], kind, title],
    )


def queued(db: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return db.execute(
        "select channel, recipient, subject, kind from public.outbox order by channel, recipient"
    ).fetchall()


def prefer(db: psycopg.Connection[Any], who: User, *choices: tuple[str, str, bool | None]) -> list[dict[str, Any]]:
    said = [{"kind": kind, "channel": channel, "is_wanted": wanted} for kind, channel, wanted in choices]
    return call(db, who, "set_notification_preferences", p_preferences=Jsonb(said))


def test_by_default_and_by_preference(db: psycopg.Connection[Any], outbox: Outbox, world: World, mia: User) -> None:
    leo, ada = world.user("member"), world.user("member")
    prefer(db, mia, ("news", "email", False), ("news", "sms", True), ("gossip", "whatsapp", True))
    prefer(db, leo, ("news", "sms", True))  # has no phone
    tell(db, mia, leo, ada)
    assert queued(db) == [
        ("email", leo.email, "Hear", "news"), ("email", ada.email, "Hear", "news"), ("sms", "+4915123456789", "Hear", "news"),
    ]  # fmt: skip
    body = db.execute("select distinct body from public.outbox").fetchall()
    assert body == [("It is so.\n\nOur organisation",)]
    assert db.execute("select count(*) from public.outbox where profile_id is null").fetchone() == (0,)
    tell(db, mia, leo, kind="gossip")
    assert queued(db)[-1] == ("whatsapp", "+4915123456789", "Hear", "gossip")
    assert db.execute("select count(*) from public.notifications").fetchone() == (5,)


def test_what_is_taken_back_was_never_said(db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    with db.transaction(force_rollback=True):
        tell(db, mia)
        assert len(queued(db)) == 1
    assert queued(db) == []
    assert db.execute("select count(*) from public.notifications").fetchone() == (0,)


def test_channels_that_are_off_and_people_who_left(
    db: psycopg.Connection[Any], outbox: Outbox, world: World, mia: User
) -> None:
    gone = world.user("member")
    db.execute("update public.user_profiles set is_active = false where id = %s", [gone.profile_id])
    tell(db, gone)
    assert queued(db) == []
    for channel in ("email", "sms", "whatsapp"):
        outbox.set(f"send_{channel}", value=False)
    tell(db, mia)
    assert queued(db) == []


def test_line_breaks_in_a_title_stop_nothing(db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    tell(db, mia, title="One\r\nTwo\x07 " + "x" * 400)
    [(_, _, subject, _)] = queued(db)
    assert subject.startswith("One Two x")
    assert len(subject) == 300


def test_what_people_were_told_stays(db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    tell(db, mia)
    with refused("illegal_transition"):
        db.execute("update public.notifications set body = 'It is not so.'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        tell(db, mia, kind="unheard_of")


def test_everyone_reads_and_marks_their_own(
    db: psycopg.Connection[Any], outbox: Outbox, world: World, mia: User
) -> None:
    leo = world.user("admin")
    tell(db, mia, mia, leo)
    with as_user(db, mia) as acting:
        ids = [row[0] for row in acting.execute("select id from public.notifications").fetchall()]
    assert len(ids) == 2
    with as_user(db, leo) as acting:
        [(other,)] = acting.execute("select id from public.notifications").fetchall()
    assert other not in ids
    read = "mark_notifications_read"
    assert call(db, mia, read, p_ids=[ids[0], other]) == [{read: 1}]
    assert call(db, mia, read, p_ids=[ids[0]]) == [{read: 0}]
    unread = db.execute("select id from public.notifications where read_at is null").fetchall()
    assert {row[0] for row in unread} == {ids[1], other}
    assert call(db, mia, read) == [{read: 1}]
    assert call(db, mia, read, p_ids=ids, p_is_read=False, p_idempotency_key="once") == [{read: 2}]
    assert call(db, mia, read, p_ids=ids, p_is_read=False, p_idempotency_key="once") == [{read: 2}]
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(db, mia) as acting:
        acting.execute("update public.notifications set read_at = now()")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(db, mia) as acting:
        tell(acting, leo)
    with refused("forbidden"), as_role(db, "authenticated") as acting:
        acting.execute("select public.mark_notifications_read()")


def test_preferences(db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    before = {(row["kind"], row["channel"]): row for row in prefer(db, mia)}
    assert before["news", "email"]["is_wanted"] is True
    assert before["news", "sms"]["is_wanted"] is False
    assert all(row["is_default"] for row in before.values())
    after = {
        (row["kind"], row["channel"]): (row["is_wanted"], row["is_default"])
        for row in prefer(db, mia, ("news", "email", True), ("news", "email", False), ("gossip", "sms", True))
    }
    assert (after["news", "email"], after["gossip", "sms"]) == ((False, False), (True, False))
    assert after["news", "whatsapp"] == (False, True)
    assert db.execute(CHOICES).fetchall() == [("gossip", "sms", True), ("news", "email", False)]
    prefer(db, mia, ("news", "email", None))
    assert db.execute(CHOICES).fetchall() == [("gossip", "sms", True)]


def test_preferences_that_make_no_sense_are_named_at_once(
    db: psycopg.Connection[Any], outbox: Outbox, mia: User
) -> None:
    with refused("invalid_input") as refusal:
        said = [
            {"kind": "news", "channel": "email", "is_wanted": True},
            {"kind": "weather", "channel": "email", "is_wanted": True},
            {"kind": "news", "channel": "webhook", "is_wanted": True},
            {"kind": "news", "channel": "sms"},
            "news",
        ]
        call(db, mia, "set_notification_preferences", p_preferences=Jsonb(said))
    assert refusal.fields == {f"p_preferences[{number}]" for number in (1, 2, 3, 4)}
    assert db.execute(CHOICES).fetchall() == []
    for said in ({}, "news", [{}] * 1001):
        with refused("invalid_input"):
            call(db, mia, "set_notification_preferences", p_preferences=Jsonb(said))


def test_who_is_erased_is_written_to_no_more(
    db: psycopg.Connection[Any], outbox: Outbox, world: World, mia: User
) -> None:
    leo = world.user("member")
    prefer(db, mia, ("news", "sms", True))
    tell(db, mia, leo)
    # A rule that knew no more than the address.
    outbox.queue(recipient=mia.email)
    outbox.queue("sms", recipient="+4915123456789")
    outbox.queue(recipient="stranger@example.org")
    told = call(db, None, "export_person", p_profile_id=mia.profile_id)
    assert "It is so." in str(told)
    call(db, None, "erase_person", p_profile_id=mia.profile_id, p_reason="They asked.")
    assert {recipient for _, recipient, *_ in queued(db)} == {leo.email, "stranger@example.org"}
    for table in ("notifications", "notification_preferences"):
        of = "recipient_id" if table == "notifications" else "profile_id"
        left = db.execute(f"select count(*) from public.{table} where {of} = %s".encode(), [mia.profile_id]).fetchone()
        assert left == (0,)


def test_old_ones_are_forgotten(db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    tell(db, mia)
    outbox.later(days=365)
    assert outbox.job("forget_old_notifications") == 0
    outbox.later(seconds=1)
    assert outbox.job("forget_old_notifications") == 1


def test_over_rest(database: Database, rest: Rest, db: psycopg.Connection[Any], outbox: Outbox, mia: User) -> None:
    tell(db, mia)
    [row] = rest.get("/notifications?read_at=is.null&select=title,body", user=mia).json()
    assert row == {"title": "Hear", "body": "It is so."}
    assert rest.post("/rpc/mark_notifications_read", {}, user=mia).json() == 1
    assert rest.get("/notifications?read_at=is.null", user=mia).json() == []
    assert rest.get("/outbox", user=mia).json() == []
    assert rest.get("/notifications").status_code in (401, 403)
