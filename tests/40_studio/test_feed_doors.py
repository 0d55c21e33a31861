"""Who makes, sees, reads and revokes calendar feeds, through every door; and how the address answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.feeds import Feeds, events
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.studio import Studio


@pytest.fixture
def feeds(db: psycopg.Connection[Any], rest: Rest, tmp_path: Path) -> Iterator[Feeds]:
    with Feeds.serve(db, rest, tmp_path) as serving:
        yield serving


def make(rest: Rest, user: User | str | None, resource_id: Any = None, **more: Any) -> Any:
    """The answer of rpc/create_calendar_feed."""
    body = {"p_name": "Mine", "p_resource_id": None if resource_id is None else str(resource_id), **more}
    return rest.post("/rpc/create_calendar_feed", body, user=user)


def read(rest: Rest, token: Any, user: User | str | None = None) -> int:
    """The status that rpc/calendar_feed answers with."""
    return rest.post("/rpc/calendar_feed", {"p_token": token}, user=user).status_code


# -- making ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "own", "all_"),
    [("instructor", 200, 403), ("staff", 200, 200), ("manager", 200, 200), ("admin", 200, 200), ("member", 404, 403)],
)
def test_who_makes_which(rest: Rest, studio: Studio, role: str, own: int, all_: int) -> None:
    caller = studio.world.user(role)
    assert make(rest, caller, caller.profile_id).status_code == own
    for resource in (None, studio.room, studio.teacher.profile_id):
        answer = make(rest, caller, resource)
        assert answer.status_code == all_
        if all_ == 200:
            made = answer.json()[0]
            assert made["path"] == f"/functions/v1/calendar-feed/{made['token']}.ics"
            # The secret is all it takes: nobody signs in.
            assert read(rest, made["token"]) == 200


def test_strangers_make_none(rest: Rest, studio: Studio) -> None:
    assert make(rest, None, studio.room).status_code == 401
    nobody = studio.world.user(None)
    assert make(rest, nobody).status_code == 403
    assert make(rest, "service_role", studio.room).status_code == 200
    gone = studio.teacher
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [gone.profile_id])
    assert make(rest, gone, gone.profile_id).status_code == 403


def test_what_it_asks_for(studio: Studio) -> None:
    for name in (None, " ", "x" * 201):
        with refused("invalid_input") as refusal:
            call(studio.db, "service_role", "create_calendar_feed", p_name=name)
        assert refusal.fields == {"p_name"}
    with refused("not_found"):
        call(studio.db, "service_role", "create_calendar_feed", p_name="Mine", p_resource_id=studio.hatha)


def test_the_same_key_gives_the_same_feed_a_new_secret(rest: Rest, studio: Studio) -> None:
    manager = studio.world.user("manager")
    first, again = (make(rest, manager, p_idempotency_key="once").json()[0] for _ in range(2))
    assert first["feed_id"] == again["feed_id"]
    assert [read(rest, one["token"]) for one in (first, again)] == [404, 200]
    assert make(rest, manager, studio.room, p_idempotency_key="once").status_code == 422
    kept = studio.db.execute(
        "select k::text from private.idempotency_keys k union all select f::text from public.calendar_feeds f"
    ).fetchall()
    assert len(kept) == 2
    assert not any(one["token"] in row[0] for one in (first, again) for row in kept)
    call(studio.db, manager, "revoke_calendar_feed", p_id=first["feed_id"])
    assert make(rest, manager, p_idempotency_key="once").json()["code"] == "illegal_transition"
    # The key is the caller's own.
    other = make(rest, studio.world.user("manager"), p_idempotency_key="once").json()[0]
    assert other["feed_id"] != first["feed_id"]


# -- seeing and changing ------------------------------------------------------------------------------------------------


def test_whose_feeds_one_sees(rest: Rest, studio: Studio) -> None:
    for teacher in (studio.teacher, studio.other):
        assert make(rest, teacher, teacher.profile_id).status_code == 200
    listing = "/calendar_feeds?select=id,name,resource_id,created_by,revoked_at"
    seen = {
        role: len(rest.get(listing, user=studio.world.user(role)).json()) for role in ("staff", "instructor", "member")
    }
    assert seen == {"staff": 2, "instructor": 0, "member": 0}
    mine = rest.get(listing, user=studio.teacher).json()
    assert [one["created_by"] for one in mine] == [str(studio.teacher.id)]
    assert rest.get(listing).status_code == 401
    for caller in (studio.teacher, studio.world.user("admin"), "service_role"):
        assert rest.get("/calendar_feeds?select=token_hash", user=caller).status_code == 403


def test_nobody_writes_them_past_the_functions(rest: Rest, studio: Studio) -> None:
    feed = make(rest, studio.teacher, studio.teacher.profile_id).json()[0]
    row = {"name": "Forged", "token_hash": "a" * 64, "created_by": str(studio.teacher.id)}
    for caller in (
        studio.other,
        studio.teacher,
        studio.world.user("manager"),
        studio.world.user("admin"),
        "service_role",
    ):
        assert rest.post("/calendar_feeds", row, user=caller).status_code == 403
        for change in ({"token_hash": "a" * 64}, {"resource_id": None}, {"name": "Yours"}, {"revoked_at": None}):
            assert rest.patch(f"/calendar_feeds?id=eq.{feed['feed_id']}", change, user=caller).status_code == 403
        assert rest.delete(f"/calendar_feeds?id=eq.{feed['feed_id']}", user=caller).status_code == 403
    assert read(rest, feed["token"]) == 200


def test_who_revokes(rest: Rest, studio: Studio) -> None:
    feed = make(rest, studio.teacher, studio.teacher.profile_id).json()[0]
    body = {"p_id": feed["feed_id"]}
    for caller, status in ((None, 401), (studio.other, 404), (studio.world.user("member"), 404)):
        assert rest.post("/rpc/revoke_calendar_feed", body, user=caller).status_code == status
    assert read(rest, feed["token"]) == 200
    first = rest.post("/rpc/revoke_calendar_feed", {**body, "p_idempotency_key": "off"}, user=studio.teacher).json()
    assert read(rest, feed["token"]) == 404
    for caller in (studio.teacher, studio.world.user("staff"), "service_role"):
        assert rest.post("/rpc/revoke_calendar_feed", body, user=caller).json() == first
    assert (
        rest.post("/rpc/revoke_calendar_feed", {**body, "p_idempotency_key": "off"}, user=studio.teacher).json()
        == first
    )


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        "delete from public.user_roles where user_id = %s",
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, 'read:calendar', false, 'no')",
        "update public.user_profiles set is_active = false where user_id = %s",
        "delete from auth.users where id = %s",
    ],
)
def test_an_address_ends_with_its_makers_rights(rest: Rest, studio: Studio, loss: str) -> None:
    maker = studio.world.user("staff")
    feed, by_server = make(rest, maker).json()[0], make(rest, "service_role").json()[0]
    assert read(rest, feed["token"]) == 200
    studio.db.execute(loss.encode(), [maker.id])
    assert read(rest, feed["token"]) == 404
    assert read(rest, by_server["token"]) == 200


def test_a_grant_of_ones_own_is_enough_while_it_lasts(rest: Rest, studio: Studio) -> None:
    studio.db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason, expires_at) "
        "values (%s, 'read:calendar', true, 'Covers for the office', private.now() + interval '1 day')",
        [studio.other.id],
    )
    feed = make(rest, studio.other, studio.room).json()[0]
    assert read(rest, feed["token"]) == 200
    studio.db.execute(
        "update public.user_permissions set granted_at = granted_at - interval '1 day', expires_at = private.now() - interval '1 second'"
    )
    assert read(rest, feed["token"]) == 404


def test_ones_own_calendar_needs_no_more_than_being_there(rest: Rest, studio: Studio) -> None:
    feed = make(rest, studio.teacher, studio.teacher.profile_id).json()[0]
    assert read(rest, feed["token"]) == 200
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [studio.teacher.profile_id])
    assert read(rest, feed["token"]) == 404


def test_an_erased_person_leaves_no_address(rest: Rest, studio: Studio) -> None:
    own = make(rest, studio.teacher, studio.teacher.profile_id).json()[0]
    by_another = make(rest, "service_role", studio.teacher.profile_id).json()[0]
    call(studio.db, None, "erase_person", p_profile_id=studio.teacher.profile_id, p_reason="Asked for it")
    assert [read(rest, one["token"]) for one in (own, by_another)] == [404, 404]


@pytest.mark.parametrize("token", [None, "", "0" * 64, "x", "é" * 100, "' or true --", "a" * 100_000])
def test_no_other_secret_opens_anything(rest: Rest, studio: Studio, token: str | None) -> None:
    assert make(rest, "service_role").status_code == 200
    for caller in (None, studio.teacher, "service_role"):
        assert read(rest, token, caller) == 404


def test_reading_writes_nothing_and_is_not_counted(rest: Rest, studio: Studio) -> None:
    feed = make(rest, "service_role").json()[0]
    before = studio.db.execute("select count(*) from private.api_calls").fetchone()
    assert {read(rest, feed["token"]) for _ in range(3)} == {200}
    assert studio.db.execute("select count(*) from private.api_calls").fetchone() == before


def test_too_much_for_one_calendar(feeds: Feeds, studio: Studio) -> None:
    studio.db.execute("update public.settings set value = '100' where key = 'calendar_feed_events'")
    for number in range(101):
        studio.world.insert(
            "public.meetings", title=f"Talk {number}", date=studio.monday, start_time="9:00", end_time="9:30"
        )
    everything, room = feeds.make(), feeds.make(studio.room)
    refusal = feeds.get(everything["token"])
    assert (refusal.status_code, refusal.json()["code"]) == (413, "limit_exceeded")
    assert feeds.get(room["token"]).status_code == 200


# -- the address -------------------------------------------------------------------------------------------------------


def test_how_the_address_answers(feeds: Feeds, rest: Rest, studio: Studio) -> None:
    studio.assignment(1)
    feed = feeds.make(studio.teacher.profile_id)
    answer = feeds.get(feed["token"])
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert len(events(answer.text)) == 1
    # The platform's way in, and the other ways to say the secret.
    for path in (
        "/functions/v1/calendar-feed/{}.ics",
        "/calendar-feed/{}",
        "/calendar-feed?token={}",
        "/calendar-feed/?token={}",
    ):
        assert feeds.client.get(path.format(feed["token"])).content == answer.content
    head = feeds.get(feed["token"], method="HEAD")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])
    for known in (answer.headers["ETag"], f'"other", W/{answer.headers["ETag"]}'):
        unchanged = feeds.get(feed["token"], **{"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    studio.assignment(2)
    changed = feeds.get(feed["token"], **{"If-None-Match": answer.headers["ETag"]})
    assert (changed.status_code, len(events(changed.text))) == (200, 2)

    for method in ("POST", "PUT", "DELETE", "PATCH"):
        other = feeds.get(feed["token"], method=method)
        assert (other.status_code, other.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    for wrong in (
        "/calendar-feed",
        "/calendar-feed/",
        "/calendar-feed/.ics",
        "/calendar-feed/" + "0" * 64,
        "/calendar-feed?token=%00",
    ):
        refusal = feeds.client.get(wrong)
        assert (refusal.status_code, refusal.json()["code"]) == (404, "not_found")
        assert refusal.headers["Cache-Control"] == "no-store"
    call(studio.db, None, "revoke_calendar_feed", p_id=feed["feed_id"])
    for headers in ({}, {"If-None-Match": changed.headers["ETag"]}):
        assert feeds.get(feed["token"], **headers).status_code == 404

    rest.process.stop()
    away = feeds.get(feed["token"])
    assert (away.status_code, away.json()["code"]) == (503, "busy")
    assert feed["token"] not in feeds.log.read_text()
