"""The local auth through supabase-py, unchanged, and in detail over HTTP."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from supabase import Client, ClientOptions, create_client
from tests.embedded.conftest import Origin

PASSWORD = "a long enough password"  # noqa: S105


def new_address() -> str:
    return f"somebody-{uuid.uuid4().hex[:12]}@example.org"


def visitor(origin: Origin) -> Client:
    return create_client(origin.url, origin.anon, ClientOptions(auto_refresh_token=False))


def administrator(origin: Origin) -> Client:
    return create_client(origin.url, origin.service, ClientOptions(auto_refresh_token=False))


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def code_of(error: pytest.ExceptionInfo[AuthApiError]) -> tuple[int, str | None]:
    return error.value.status, error.value.code


# -- signing up and in -------------------------------------------------------------------------------------------------


def test_signing_up_signs_in_and_makes_a_profile(origin: Origin) -> None:
    client, address = visitor(origin), new_address()
    options = {"data": {"full_name": "Asha Rao"}}
    answer = client.auth.sign_up({"email": address.upper(), "password": PASSWORD, "options": options})  # type: ignore[typeddict-item]
    assert answer.user is not None
    assert answer.session is not None
    assert answer.user.email == address
    assert answer.user.user_metadata["full_name"] == "Asha Rao"
    assert answer.user.app_metadata["provider"] == "email"
    assert answer.user.identities is not None
    assert [identity.provider for identity in answer.user.identities] == ["email"]
    assert answer.user.email_confirmed_at is not None

    claims = claims_of(answer.session.access_token)
    assert claims["sub"] == answer.user.id
    assert claims["iss"] == f"{origin.url}/auth/v1"
    assert (claims["aud"], claims["role"], claims["aal"]) == ("authenticated", "authenticated", "aal1")
    assert claims["app_metadata"]["roles"] == ["member"]  # the hook of config.toml was asked
    assert claims["exp"] - claims["iat"] == answer.session.expires_in == 3600

    # The same client now calls the database as this person.
    rows = client.table("user_profiles").select("full_name, email").execute().data
    assert rows == [{"full_name": "Asha Rao", "email": address}]
    assert client.rpc("current_access", {}).execute().data


def test_the_password_is_kept_as_a_hash_only(origin: Origin) -> None:
    address = new_address()
    visitor(origin).auth.sign_up({"email": address, "password": PASSWORD})
    with origin.connect() as conn:
        row = conn.execute("select * from auth.users where email = %s", [address]).fetchone()
    assert row is not None
    assert PASSWORD not in str(row)
    assert any(str(value).startswith("$2b$10$") for value in row)


def test_signing_in_with_the_password(origin: Origin) -> None:
    address = new_address()
    visitor(origin).auth.sign_up({"email": address, "password": PASSWORD})
    client = visitor(origin)
    answer = client.auth.sign_in_with_password({"email": address.title(), "password": PASSWORD})
    assert answer.user.email == address
    found = client.auth.get_user()
    assert found is not None
    assert found.user.id == answer.user.id
    for wrong in ({"email": address, "password": "not the password"}, {"email": new_address(), "password": PASSWORD}):
        with pytest.raises(AuthApiError) as error:
            visitor(origin).auth.sign_in_with_password(wrong)  # type: ignore[arg-type]
        assert code_of(error) == (400, "invalid_credentials")


def test_what_sign_up_refuses(origin: Origin) -> None:
    address = new_address()
    visitor(origin).auth.sign_up({"email": address, "password": PASSWORD})
    with pytest.raises(AuthApiError) as taken:
        visitor(origin).auth.sign_up({"email": address.upper(), "password": PASSWORD})
    assert code_of(taken) == (422, "user_already_exists")
    with pytest.raises(AuthWeakPasswordError) as weak:
        visitor(origin).auth.sign_up({"email": new_address(), "password": "short"})
    assert weak.value.reasons == ["length"]
    for bad in ("nobody", "a@b", "two words@example.org", "@example.org"):
        with pytest.raises(AuthApiError) as invalid:
            visitor(origin).auth.sign_up({"email": bad, "password": PASSWORD})
        assert code_of(invalid) == (400, "validation_failed")
    with pytest.raises(AuthApiError) as too_long:
        visitor(origin).auth.sign_up({"email": new_address(), "password": "é" * 40})
    assert code_of(too_long) == (400, "validation_failed")
    with pytest.raises(AuthApiError) as nobody:
        visitor(origin).auth.sign_in_anonymously()
    assert code_of(nobody) == (422, "anonymous_provider_disabled")


def test_of_many_sign_ups_with_one_address_one_wins(origin: Origin) -> None:
    body = {"email": new_address(), "password": PASSWORD}
    with origin.client(apikey=origin.anon) as client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post("/auth/v1/signup", json=body), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 11
    codes = {answer.json().get("error_code") for answer in answers if answer.status_code == 422}
    assert codes == {"user_already_exists"}


# -- sessions ------------------------------------------------------------------------------------------------------------


def test_refreshing_replaces_the_token(origin: Origin) -> None:
    client = visitor(origin)
    first = client.auth.sign_up({"email": new_address(), "password": PASSWORD}).session
    assert first is not None
    second = client.auth.refresh_session().session
    assert second is not None
    assert second.refresh_token != first.refresh_token
    assert claims_of(second.access_token)["session_id"] == claims_of(first.access_token)["session_id"]
    # Two tabs that refresh at the same moment both go on with the same new token.
    again = visitor(origin).auth.refresh_session(first.refresh_token).session
    assert again is not None
    assert again.refresh_token == second.refresh_token


def test_a_token_used_again_later_ends_the_session(origin: Origin) -> None:
    client = visitor(origin)
    stolen = client.auth.sign_up({"email": new_address(), "password": PASSWORD}).session
    assert stolen is not None
    current = client.auth.refresh_session().session
    assert current is not None
    with origin.connect() as conn:  # the ten seconds of grace have passed
        conn.execute(
            "update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds' where token = %s",
            [stolen.refresh_token],
        )
    for token in (stolen.refresh_token, current.refresh_token):
        with pytest.raises(AuthApiError) as error:
            visitor(origin).auth.refresh_session(token)
        assert code_of(error) == (400, "refresh_token_already_used")
    with pytest.raises(AuthApiError) as unknown:
        visitor(origin).auth.refresh_session("no such token")
    assert code_of(unknown) == (400, "refresh_token_not_found")


def test_a_crowd_that_refreshes_one_token_gets_one_successor(origin: Origin) -> None:
    session = visitor(origin).auth.sign_up({"email": new_address(), "password": PASSWORD}).session
    assert session is not None
    with origin.client(apikey=origin.anon) as client, ThreadPoolExecutor(12) as pool:
        body = {"refresh_token": session.refresh_token}
        url = "/auth/v1/token?grant_type=refresh_token"
        answers = list(pool.map(lambda _: client.post(url, json=body), range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@pytest.mark.parametrize(("scope", "this_ends", "other_ends"), [
    ("local", True, False), ("others", False, True), ("global", True, True),
])  # fmt: skip
def test_signing_out(origin: Origin, scope: str, this_ends: bool, other_ends: bool) -> None:
    address = new_address()
    here, there = visitor(origin), visitor(origin)
    here.auth.sign_up({"email": address, "password": PASSWORD})
    there.auth.sign_in_with_password({"email": address, "password": PASSWORD})
    tokens = [one.auth.get_session() for one in (here, there)]
    here.auth.sign_out({"scope": scope})  # type: ignore[typeddict-item]
    for session, ended in zip(tokens, (this_ends, other_ends), strict=True):
        assert session is not None
        headers = {"apikey": origin.anon, "Authorization": f"Bearer {session.access_token}"}
        answer = httpx.get(f"{origin.url}/auth/v1/user", headers=headers, trust_env=False)
        assert answer.status_code == (403 if ended else 200)
        if ended:
            assert answer.json()["error_code"] == "session_not_found"
            with pytest.raises(AuthApiError) as error:
                visitor(origin).auth.refresh_session(session.refresh_token)
            assert code_of(error) == (400, "refresh_token_not_found")


def test_changing_oneself(origin: Origin) -> None:
    client, address, moved = visitor(origin), new_address(), new_address()
    client.auth.sign_up({"email": address, "password": PASSWORD, "options": {"data": {"a": 1, "b": 2}}})
    changed = client.auth.update_user({"email": moved, "password": "another password", "data": {"b": None, "c": 3}})
    assert changed.user.email == moved
    metadata = changed.user.user_metadata
    assert (metadata.get("a"), "b" in metadata, metadata.get("c")) == (1, False, 3)
    assert visitor(origin).auth.sign_in_with_password({"email": moved, "password": "another password"}).session
    with pytest.raises(AuthApiError) as same:
        client.auth.update_user({"password": "another password"})
    assert code_of(same) == (422, "same_password")
    other = new_address()
    visitor(origin).auth.sign_up({"email": other, "password": PASSWORD})
    with pytest.raises(AuthApiError) as taken:
        client.auth.update_user({"email": other})
    assert code_of(taken) == (422, "email_exists")


# -- administration ------------------------------------------------------------------------------------------------------


def test_administering_users(origin: Origin) -> None:
    admin, address = administrator(origin).auth.admin, new_address()
    made = admin.create_user(
        {"email": address, "password": PASSWORD, "email_confirm": True, "app_metadata": {"team": "front desk"}}
    ).user
    assert made.app_metadata["team"] == "front desk"
    assert visitor(origin).auth.sign_in_with_password({"email": address, "password": PASSWORD}).session
    assert admin.get_user_by_id(made.id).user.email == address
    assert made.id in [user.id for user in admin.list_users(page=1, per_page=1000)]

    with pytest.raises(AuthApiError) as taken:
        admin.create_user({"email": address, "password": PASSWORD})
    assert code_of(taken) == (422, "email_exists")

    admin.update_user_by_id(made.id, {"ban_duration": "24h"})
    with pytest.raises(AuthApiError) as banned:
        visitor(origin).auth.sign_in_with_password({"email": address, "password": PASSWORD})
    assert code_of(banned) == (400, "user_banned")
    admin.update_user_by_id(made.id, {"ban_duration": "none", "password": "a new password", "user_metadata": {"x": 1}})
    assert visitor(origin).auth.sign_in_with_password({"email": address, "password": "a new password"}).session

    admin.delete_user(made.id)
    with pytest.raises(AuthApiError) as gone:
        admin.get_user_by_id(made.id)
    assert code_of(gone) == (404, "user_not_found")
    with origin.connect() as conn:
        for table, column in (("identities", "user_id"), ("sessions", "user_id"), ("refresh_tokens", "user_id")):
            query = f"select count(*) from auth.{table} where {column}::text = %s"
            assert conn.execute(query, [made.id]).fetchone() == (0,)


def test_users_that_are_not_confirmed_cannot_sign_in(origin: Origin) -> None:
    admin, address = administrator(origin).auth.admin, new_address()
    made = admin.create_user({"email": address, "password": PASSWORD}).user
    with pytest.raises(AuthApiError) as error:
        visitor(origin).auth.sign_in_with_password({"email": address, "password": PASSWORD})
    assert code_of(error) == (400, "email_not_confirmed")
    admin.update_user_by_id(made.id, {"email_confirm": True})
    assert visitor(origin).auth.sign_in_with_password({"email": address, "password": PASSWORD}).session


def test_administration_is_for_the_service_key(origin: Origin) -> None:
    client = visitor(origin)
    client.auth.sign_up({"email": new_address(), "password": PASSWORD})
    session = client.auth.get_session()
    assert session is not None
    for token in (origin.anon, session.access_token):
        with origin.client(apikey=origin.anon, Authorization=f"Bearer {token}") as http:
            for method, path in (
                ("GET", "/admin/users"),
                ("POST", "/admin/users"),
                ("DELETE", f"/admin/users/{uuid.uuid4()}"),
            ):
                answer = http.request(method, f"/auth/v1{path}")
                assert (answer.status_code, answer.json()["error_code"]) == (403, "not_admin")


def test_pages_of_users(origin: Origin) -> None:
    admin = administrator(origin).auth.admin
    for _ in range(3):
        admin.create_user({"email": new_address(), "password": PASSWORD})
    with origin.client(apikey=origin.service, Authorization=f"Bearer {origin.service}") as client:
        first = client.get("/auth/v1/admin/users?page=1&per_page=2")
        second = client.get("/auth/v1/admin/users?page=2&per_page=2")
        assert len(first.json()["users"]) == 2
        assert int(first.headers["X-Total-Count"]) >= 3
        assert 'rel="next"' in first.headers["Link"]
        ids = [user["id"] for answer in (first, second) for user in answer.json()["users"]]
        assert len(set(ids)) == len(ids)
        for bad in ("page=0", "page=x", "per_page=-1"):
            assert client.get(f"/auth/v1/admin/users?{bad}").status_code == 400


# -- what it says about itself, and what it is not ---------------------------------------------------------------------------


def test_it_says_that_it_is_for_development(origin: Origin) -> None:
    with origin.client() as client:
        health = client.get("/auth/v1/health")
        assert health.status_code == 200
        assert "development" in health.json()["description"]
        assert health.headers["X-Classbase-Auth"] == "development"
        assert client.get("/auth/v1/settings").json()["external"]["email"] is True
        assert client.get("/auth/v1/.well-known/jwks.json").json() == {"keys": []}
    with origin.client(apikey=origin.anon) as client:
        other = client.post("/auth/v1/otp", json={"email": "a@example.org"})
        assert (other.status_code, other.json()["error_code"]) == (501, "not_implemented")


def test_codes_are_where_each_version_of_the_clients_looks(origin: Origin) -> None:
    body = {"email": new_address(), "password": "wrong password"}
    with origin.client(apikey=origin.anon) as client:
        url = "/auth/v1/token?grant_type=password"
        old = client.post(url, json=body)
        assert old.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
        new = client.post(url, json=body, headers={"X-Supabase-Api-Version": "2024-01-01"})
        assert new.json() == {"code": "invalid_credentials", "message": "Invalid login credentials"}
        assert new.headers["X-Supabase-Api-Version"] == "2024-01-01"


# -- tokens from the command line --------------------------------------------------------------------------------------------


def test_a_token_for_a_person(origin: Origin) -> None:
    address = new_address()
    user = visitor(origin).auth.sign_up({"email": address, "password": PASSWORD}).user
    assert user is not None
    for who in (address.upper(), user.id):
        minted = origin.backend.json("token", "--user", who, "--expires", "2h30m")
        claims = minted["claims"]
        assert claims["sub"] == user.id
        assert claims["exp"] - claims["iat"] == 9000
        assert claims["app_metadata"]["roles"] == ["member"]
        with origin.client(apikey=origin.anon, Authorization=f"Bearer {minted['token']}") as client:
            assert client.get("/auth/v1/user").json()["id"] == user.id
            assert [row["email"] for row in client.get("/rest/v1/user_profiles?select=email").json()] == [address]
    plain = origin.backend.run("token", "--user", address)
    assert plain.stdout.count("\n") == 1
    assert claims_of(plain.stdout.strip())["sub"] == user.id


def test_a_token_for_nobody_in_particular(origin: Origin) -> None:
    token = origin.backend.run("token", "--role", "service_role", "--expires", "5m").stdout.strip()
    with origin.client(apikey=token) as client:
        assert client.get("/rest/v1/settings?limit=1").status_code == 200
    for arguments, words in (
        (("--role", "authenticated"), "--user"),
        (("--role", "postgres"), "no role"),
        (("--role", "anon", "--user", "x@example.org"), "nobody in particular"),
        (("--user", "x@example.org", "--expires", "soon"), "not a duration"),
        (("--user", "x@example.org", "--expires", "0h"), "not between"),
    ):
        done = origin.backend.run("token", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
    unknown = origin.backend.run("token", "--user", new_address(), "--json")
    assert unknown.returncode == 3
    assert json.loads(unknown.stderr)["error"]["hint"]


def test_an_expired_token_is_refused(origin: Origin) -> None:
    token = origin.backend.run("token", "--role", "service_role", "--expires", "1s").stdout.strip()
    with origin.client(Authorization=f"Bearer {token}", apikey=origin.anon) as client:
        deadline = time.time() + 60  # PostgREST allows clocks to differ by half a minute
        while client.get("/rest/v1/settings?limit=1").status_code != 401:
            assert time.time() < deadline
            time.sleep(0.5)
        assert client.get("/auth/v1/admin/users").json()["error_code"] == "bad_jwt"
