"""Profiles: who sees them, who changes what of them, and what is well-formed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.identity import User, as_user
from tests.support.rest import Rest
from tests.support.world import World


@pytest.fixture
def people(db: psycopg.Connection[Any], world: World) -> dict[str, User]:
    made = {
        role: world.user(role, phone="+919876543210") for role in ("admin", "manager", "instructor", "staff", "member")
    }
    db.execute(
        "insert into public.user_profiles (full_name, email, phone) "
        "values ('Imported', 'imported@demo.com', '+14155550123')"
    )
    return made


@pytest.mark.parametrize(
    ("role", "sees"), [("admin", 6), ("manager", 6), ("staff", 6), ("instructor", 1), ("member", 1)]
)
def test_contact_data_is_for_those_who_need_it(rest: Rest, people: dict[str, User], role: str, sees: int) -> None:
    found = rest.get("/user_profiles?select=*", user=people[role]).json()
    assert len(found) == sees
    assert str(people[role].profile_id) in {row["id"] for row in found}
    assert all(row["email"] for row in found), "a visible row is visible whole"
    assert rest.get("/user_profiles?email=eq.imported@demo.com", user=people[role]).json() == [
        row for row in found if row["email"] == "imported@demo.com"
    ]


def test_without_signing_in_there_is_nobody(rest: Rest, people: dict[str, User]) -> None:
    assert people
    for path in ("/user_profiles", "/people_directory"):
        assert rest.get(path).status_code == 401
    assert rest.get("/user_profiles", user="authenticated").json() == []
    assert len(rest.get("/user_profiles", user="service_role").json()) == 6


@pytest.mark.parametrize("role", ["admin", "manager", "staff", "instructor", "member"])
def test_the_directory_masks(rest: Rest, people: dict[str, User], role: str) -> None:
    me = people[role]
    listed = {row["id"]: row for row in rest.get("/people_directory", user=me).json()}
    assert len(listed) == 6
    mine = listed.pop(str(me.profile_id))
    assert (mine["email"], mine["phone"]) == (me.email, "+919876543210")
    others = {(row["full_name"], row["email"], row["phone"]) for row in listed.values()}
    if role in ("admin", "manager", "staff"):
        assert ("Imported", "imported@demo.com", "+14155550123") in others
    else:
        assert ("Imported", "i***@d***.com", "+14******123") in others
        assert all("***" in email and "******" in phone for _, email, phone in others)


def test_the_directory_does_not_answer_guesses(rest: Rest, people: dict[str, User]) -> None:
    for guess in ("email=eq.imported@demo.com", "phone=eq.%2B14155550123", "email=like.imported*", "phone=like.*5550*"):
        assert rest.get(f"/people_directory?{guess}", user=people["member"]).json() == []
        assert len(rest.get(f"/people_directory?{guess}", user=people["staff"]).json()) == 1


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("asha@demo.com", "a***@d***.com"),
        ("a@b.co.in", "a***@b***.in"),
        ("first.last+tag@mail.example.org", "f***@m***.org"),
        ("nonsense", "***"),
        ("a@b", "***"),
        ("@.", "***"),
        ("", "***"),
        (None, None),
    ],
)
def test_masked_addresses(rows: Callable[..., Any], email: str | None, masked: str | None) -> None:
    assert rows("select private.mask_email(%s)", email) == [(masked,)]


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("+919876543210", "+91******210"),
        ("+14155550123", "+14******123"),
        ("+1234567", "+1******"),
        ("+123456789", "+1******"),
        ("+1234567890", "+12******890"),
        ("12", "12******"),
        (None, None),
    ],
)
def test_masked_numbers(rows: Callable[..., Any], phone: str | None, masked: str | None) -> None:
    assert rows("select private.mask_phone(%s)", phone) == [(masked,)]


def test_a_person_changes_their_own(people: dict[str, User], call: Callable[..., Any]) -> None:
    me = people["member"]
    [changed] = call(me, "update_my_profile", p_full_name=" Asha  Rao ", p_time_zone="Asia/Kolkata", p_version=2)
    assert (changed["id"], changed["full_name"], changed["time_zone"], changed["phone"], changed["version"]) == (
        me.profile_id,
        "Asha Rao",
        "Asia/Kolkata",
        "+919876543210",
        3,
    )
    [emptied] = call(me, "update_my_profile", p_phone="", p_time_zone="")
    assert (emptied["phone"], emptied["time_zone"], emptied["full_name"]) == (None, None, "Asha Rao")


def test_a_repeated_change_happens_once(people: dict[str, User], call: Callable[..., Any], refused: Any) -> None:
    me = people["member"]
    [first] = call(me, "update_my_profile", p_full_name="One", p_idempotency_key="k")
    call(me, "update_my_profile", p_full_name="Two")
    assert call(me, "update_my_profile", p_full_name="One", p_idempotency_key="k") == [first]
    with refused("idempotency_mismatch"):
        call(me, "update_my_profile", p_full_name="Three", p_idempotency_key="k")


def test_a_stale_change_is_refused_by_function_and_by_patch(
    people: dict[str, User], call: Callable[..., Any], refused: Any, rest: Rest
) -> None:
    me = people["member"]
    with refused("stale_version") as refusal:
        call(me, "update_my_profile", p_full_name="Late", p_version=1)
    assert refusal.details["current"]["version"] == 2
    answer = rest.patch(f"/user_profiles?id=eq.{me.profile_id}", {"full_name": "Late", "version": 1}, user=me)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_version")
    assert rest.patch(f"/user_profiles?id=eq.{me.profile_id}", {"full_name": "In time", "version": 2}, user=me).json()


def test_every_malformed_field_is_named(
    people: dict[str, User], call: Callable[..., Any], refused: Any, rest: Rest, db: psycopg.Connection[Any]
) -> None:
    wrong = {"full_name": " \t ", "phone": "0800 CALL ME", "time_zone": "Mars/Olympus"}
    with refused("invalid_input") as refusal:
        call(people["member"], "update_my_profile", **{f"p_{name}": value for name, value in wrong.items()})
    assert refusal.fields == set(wrong)
    answer = rest.patch("/user_profiles?full_name=eq.Imported", {**wrong, "email": "x@"}, user=people["admin"])
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    with refused("invalid_input") as refusal:
        db.execute("insert into public.user_profiles (full_name, email) values (%s, 'a b@c.de')", ["x" * 201])
    assert refusal.fields == {"full_name", "email"}


def test_what_is_written_is_tidied(people: dict[str, User], rest: Rest) -> None:
    row = {"full_name": " New\u0007\nPerson ", "email": " New@Example.ORG ", "phone": " +14155550123", "time_zone": ""}
    answer = rest.post("/user_profiles", row, user=people["admin"], headers={"Prefer": "return=representation"})
    assert answer.status_code == 201, answer.text
    [made] = answer.json()
    assert (made["full_name"], made["email"], made["phone"], made["time_zone"]) == (
        "New Person",
        "new@example.org",
        "+14155550123",
        None,
    )


@pytest.mark.parametrize("change", [{"email": "other@example.org"}, {"is_active": False}])
def test_what_is_not_the_persons_to_change(people: dict[str, User], rest: Rest, change: dict[str, Any]) -> None:
    for role in ("manager", "member"):
        me = people[role]
        answer = rest.patch(f"/user_profiles?id=eq.{me.profile_id}", change, user=me)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    changed = rest.patch(f"/user_profiles?id=eq.{people['member'].profile_id}", change, user=people["admin"]).json()
    assert {name: changed[0][name] for name in change} == change


@pytest.mark.parametrize(
    "change", [{"user_id": None}, {"id": None}, {"erased_at": "2020-01-01"}, {"created_at": "2020-01-01"}]
)
def test_what_is_nobodys_to_change_over_rest(people: dict[str, User], rest: Rest, change: dict[str, Any]) -> None:
    for role in ("admin", "member"):
        me = people[role]
        answer = rest.patch(f"/user_profiles?id=eq.{me.profile_id}", change, user=me)
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] == "42501"


def test_other_people_are_out_of_reach(people: dict[str, User], rest: Rest) -> None:
    row = {"full_name": "X"}
    for role in ("manager", "staff", "instructor", "member"):
        assert rest.patch("/user_profiles?full_name=eq.Imported", row, user=people[role]).json() == []
        assert rest.post("/user_profiles", row, user=people[role]).status_code == 403
        assert rest.delete("/user_profiles?full_name=eq.Imported", user=people[role]).status_code == 403
    assert rest.delete("/user_profiles?full_name=eq.Imported", user=people["admin"]).status_code == 403


def test_a_profile_cannot_be_made_for_somebody_elses_login(people: dict[str, User], rest: Rest) -> None:
    row = {"full_name": "Me too", "user_id": str(people["member"].id)}
    assert rest.post("/user_profiles", row, user=people["admin"]).status_code == 403


def test_the_guard_holds_where_columns_are_granted_by_mistake(
    db: psycopg.Connection[Any], people: dict[str, User], refused: Any
) -> None:
    db.execute("grant update on public.user_profiles to authenticated")
    me = people["member"]
    for change in ("user_id = null", "id = gen_random_uuid()", "created_at = '2020-01-01'", "is_active = false"):
        with refused("forbidden"), as_user(db, me):
            db.execute(f"update public.user_profiles set {change} where user_id = private.caller_id()".encode())


def test_a_server_has_no_profile_to_update(rest: Rest) -> None:
    for caller in (None, "service_role"):
        assert rest.post("/rpc/update_my_profile", {"p_full_name": "X"}, user=caller).status_code in (401, 403)
    answer = rest.post("/rpc/update_my_profile", {"p_full_name": "X"}, user="authenticated")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_login_without_a_profile_is_told(
    db: psycopg.Connection[Any], world: World, call: Callable[..., Any], refused: Any
) -> None:
    me = world.user("member")
    db.execute("delete from public.user_profiles where user_id = %s", [me.id])
    with refused("not_found"):
        call(me, "update_my_profile", p_full_name="X")
    [access] = call(me, "current_access")
    assert (access["profile_id"], access["roles"]) == (None, ["member"])


def test_a_filter_on_the_directory_uses_the_index(db: psycopg.Connection[Any], people: dict[str, User]) -> None:
    db.execute("insert into public.user_profiles (full_name) select 'Person ' || i from generate_series(1, 5000) i")
    db.execute("analyze public.user_profiles")
    mine = people["member"].profile_id
    for query in (f"where id = '{mine}'", "where full_name = 'Person 7'", "order by full_name limit 20"):
        with as_user(db, people["member"]):
            plan = db.execute(f"explain select * from public.people_directory {query}".encode()).fetchall()
        assert "Seq Scan" not in str(plan), query
