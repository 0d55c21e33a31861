"""The one origin: keys, cross-origin headers, what is passed on and how."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest

from classbase.embedded.processes import LOOPBACK
from tests.embedded.conftest import Backend, Origin
from tests.support.waiting import until


def foreign_token(role: str = "service_role") -> str:
    claims = {"role": role, "iss": "supabase", "exp": int(time.time()) + 3600}
    return jwt.encode(claims, "a secret of somebody else entirely", algorithm="HS256")


# -- keys ------------------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_answers(origin: Origin) -> None:
    with origin.client() as client:
        for path in ("/rest/v1/settings", "/auth/v1/user", "/rest/v1/"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.json()["message"] == "No API key found in request"


def test_a_key_of_another_installation_is_refused(origin: Origin) -> None:
    for headers in ({"apikey": foreign_token()}, {"apikey": "nonsense"}):
        with origin.client(**headers) as client:
            answer = client.get("/rest/v1/settings")
            assert answer.status_code == 401
            assert answer.json()["message"] == "Invalid API key"
    with origin.client(apikey=origin.anon, Authorization=f"Bearer {foreign_token()}") as client:
        assert client.get("/rest/v1/settings").status_code == 401
        assert client.get("/auth/v1/admin/users").status_code == 403


def test_the_key_alone_says_who_calls(origin: Origin) -> None:
    with origin.client() as client:
        as_service = client.get("/rest/v1/settings?select=key&limit=1", headers={"apikey": origin.service})
        assert (as_service.status_code, len(as_service.json())) == (200, 1)
        as_anon = client.get("/rest/v1/settings?select=key&limit=1", headers={"apikey": origin.anon})
        assert as_anon.status_code == 401  # anon has no right on the table
        assert as_anon.json()["code"] == "42501"
        in_the_query = client.get("/rest/v1/settings", params={"apikey": origin.service, "select": "key", "limit": "1"})
        assert in_the_query.status_code == 200
        bearer_only = client.get("/rest/v1/settings?limit=1", headers={"Authorization": f"Bearer {origin.service}"})
        assert bearer_only.status_code == 200


def test_the_token_wins_over_the_key(origin: Origin) -> None:
    with origin.client(apikey=origin.anon, Authorization=f"Bearer {origin.service}") as client:
        assert client.get("/rest/v1/settings?limit=1").status_code == 200
    with origin.client(apikey=origin.service, Authorization=f"Bearer {origin.anon}") as client:
        assert client.get("/rest/v1/settings?limit=1").status_code == 401


# -- what is passed on -------------------------------------------------------------------------------------------------


def test_rest_is_the_whole_of_postgrest(origin: Origin) -> None:
    with origin.client(apikey=origin.service) as client:
        counted = client.get("/rest/v1/settings?select=key", headers={"Prefer": "count=exact", "Range": "0-0"})
        assert counted.status_code == 206
        assert counted.headers["Content-Range"].startswith("0-0/")
        assert client.get("/rest/v1/").json()["swagger"] == "2.0"
        values = ",".join(f"no_such_key_{number}" for number in range(2000))  # a URL of more than 30 kB
        assert client.get(f"/rest/v1/settings?key=in.({values})").json() == []
        odd = client.get("/rest/v1/settings?key=eq.%C3%A9%20%2B%26%2F%3F")
        assert (odd.status_code, odd.json()) == (200, [])
        missing = client.post("/rest/v1/rpc/no_such_function", json={})
        assert (missing.status_code, missing.json()["code"]) == (404, "PGRST202")
        packed = client.get("/rest/v1/settings", headers={"Accept-Encoding": "gzip"})
        assert packed.json()


def test_no_more_rows_than_the_configuration_allows(origin: Origin) -> None:
    with origin.connect() as conn:
        conn.execute("create table public.many as select generate_series(1, 1200) as n")
        conn.execute("grant select on public.many to service_role")
    try:
        with origin.client(apikey=origin.service) as client:
            # PostgREST learns of the table by itself, from the event trigger.
            until(lambda: client.get("/rest/v1/many?select=n").status_code == 200, "the new table's being served")
            assert len(client.get("/rest/v1/many?select=n").json()) == 1000
    finally:
        with origin.connect() as conn:
            conn.execute("drop table public.many")


def test_a_large_body_passes(origin: Origin) -> None:
    document = {"p_text": "x" * (12 * 1024 * 1024)}
    with origin.client(apikey=origin.anon) as client:
        answer = client.post("/rest/v1/rpc/no_such_function", json=document)
        assert answer.json()["code"] == "PGRST202"  # it was PostgREST that answered


def test_many_calls_at_once(origin: Origin) -> None:
    with origin.client(apikey=origin.anon) as client, ThreadPoolExecutor(24) as pool:
        statuses = list(pool.map(lambda _: client.post("/rest/v1/rpc/app_config", json={}).status_code, range(240)))
    assert set(statuses) == {200}


# -- browsers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/rest/v1/settings", "/auth/v1/token", "/auth/v1/admin/users"])
def test_a_browser_may_call_from_any_page(origin: Origin, path: str) -> None:
    asked = "authorization,apikey,x-client-info,content-profile,x-supabase-api-version"
    question = {
        "Origin": "http://127.0.0.1:3000", "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": asked,
    }  # fmt: skip
    with origin.client(**question) as client:
        answer = client.options(path)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == asked
    with origin.client(Origin="http://127.0.0.1:3000", apikey=origin.anon) as client:
        for answer in (client.get(path), httpx.get(origin.url + path, trust_env=False)):  # refusals too
            assert answer.headers.get_list("Access-Control-Allow-Origin") == ["*"]
            assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", ["/functions/v1/nothing", "/storage/v1/bucket"])
def test_a_page_is_told_what_is_not_there(origin: Origin, path: str) -> None:
    # Were its question refused, the browser would only tell it that something is wrong.
    question = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "apikey,last-event-id"}
    with origin.client(Origin="http://127.0.0.1:3000") as client:
        answer = client.options(path, headers=question)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Headers"]) == (200, "apikey,last-event-id")
        refused = client.get(path, headers={"Authorization": f"Bearer {origin.anon}"})
        assert refused.status_code in (404, 501)
        assert refused.headers["Access-Control-Allow-Origin"] == "*"


# -- functions -----------------------------------------------------------------------------------------------------------


def test_health_answers_anyone(origin: Origin) -> None:
    with origin.client() as client:
        answer = client.get("/functions/v1/health")
        assert answer.status_code == 200
        document = answer.json()
        assert document["healthy"]
        assert document["version"]
        assert {"rest", "database"} == document["checks"].keys()
        for check in document["checks"].values():
            assert check["healthy"]
            assert check["latency_ms"] >= 0
        refused = client.delete("/functions/v1/health")
        assert (refused.status_code, refused.json()["code"]) == (405, "invalid_input")
        assert refused.headers["Allow"] == "GET, POST, OPTIONS"
        assert client.options("/functions/v1/health").headers["Access-Control-Allow-Origin"] == "*"


def test_a_calendar_program_need_not_sign_in(origin: Origin) -> None:
    with origin.client() as client:
        answer = client.get(f"/functions/v1/calendar-feed/{'0' * 63}.ics")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_function_has_the_secrets_of_the_project(new_backend: Callable[..., Backend]) -> None:
    backend = new_backend()
    functions = backend.directory / "supabase" / "functions"
    functions.mkdir(parents=True)
    (functions / ".env").write_text(
        "# ours\n\nCLASS_GENERATION_SECRET = 'local = secret'\nSUPABASE_ANON_KEY=no\nno line\n"
    )
    address = backend.up()["functions_url"] + "/class-generation/generate-weekly"
    for secret, status in (("local = secret", 200), ("'local = secret'", 403), ("", 403)):
        answer = httpx.post(address, json={}, headers={"x-webhook-secret": secret}, timeout=60, trust_env=False)
        assert answer.status_code == status, answer.text
    assert httpx.get(backend.status()["functions_url"] + "/health", timeout=60, trust_env=False).json()["healthy"]


def test_a_function_sees_the_call_as_the_platform_shows_it(origin: Origin) -> None:
    with origin.client(Authorization=f"Bearer {origin.anon}", apikey=origin.anon) as client:
        answer = client.post("/functions/v1/echo/a%20b/c?x=1&y=%26", content=b"\xc3\xa9", headers={"X-Mine": "yes"})
    assert answer.status_code == 201
    assert answer.headers["X-Echo"] == "yes"
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["path"] == "/echo/a%20b/c?x=1&y=%26"
    assert seen["body"] == "é"
    assert seen["headers"]["x-mine"] == "yes"
    assert seen["headers"]["authorization"] == f"Bearer {origin.anon}"
    environment = seen["environment"]
    assert environment["SUPABASE_URL"] == origin.url
    assert environment["SUPABASE_ANON_KEY"] == origin.anon
    assert environment["SUPABASE_SERVICE_ROLE_KEY"] == origin.service
    assert environment["SUPABASE_DB_URL"] == origin.up["db_url"]
    assert {seen[name] for name in ("can_reach_out", "can_write", "can_run")} <= {"denied", "prompt"}


def test_a_function_asks_for_a_token_unless_told_otherwise(origin: Origin) -> None:
    with origin.client(apikey=origin.anon) as client:
        missing = client.get("/functions/v1/echo")
        assert (missing.status_code, missing.json()["message"]) == (401, "Missing authorization header")
        wrong = client.get("/functions/v1/echo", headers={"Authorization": f"Bearer {foreign_token()}"})
        assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid JWT")


def test_a_function_that_is_not_there_or_does_not_start(origin: Origin) -> None:
    with origin.client(Authorization=f"Bearer {origin.anon}") as client:
        for name in ("nowhere", "_shared", "..%2Fclient"):
            assert client.get(f"/functions/v1/{name}").status_code == 404
        broken = client.get("/functions/v1/broken")
        assert (broken.status_code, broken.json()["code"]) == (503, "BOOT_ERROR")
    log = origin.backend.directory / ".classbase" / "logs" / "function-broken.log"
    assert "never gets as far" in log.read_text()


def test_a_changed_function_is_started_again(origin: Origin) -> None:
    source = origin.checkout / "functions" / "changing" / "index.ts"
    source.parent.mkdir()
    with origin.client(Authorization=f"Bearer {origin.anon}") as client:
        for text in ("one", "two"):
            time.sleep(0.01)  # another modification time
            source.write_text(f'Deno.serve(() => new Response("{text}"));\n')
            assert client.get("/functions/v1/changing").text == text


def test_events_pass_one_by_one(origin: Origin) -> None:
    """The second event is sent only after the first was received, so a proxy that collects would wait for ever."""
    with origin.client() as client, client.stream("GET", "/functions/v1/events") as events:
        assert events.headers["Content-Type"] == "text/event-stream"
        pieces = events.iter_text()
        assert next(pieces) == "data: first\n\n"
        assert client.get("/functions/v1/events/go").text == "went"
        assert next(pieces) == "data: second\n\n"


def test_a_body_is_passed_on_as_it_comes(origin: Origin) -> None:
    """The function answers each piece; the next piece is sent only after that answer was received."""
    port = int(origin.url.rsplit(":", 1)[1])
    with socket.create_connection((LOOPBACK, port), timeout=120) as conversation:
        conversation.sendall(
            b"POST /functions/v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        received = b""
        for piece in (b"first", b"second"):
            conversation.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            while piece not in received:
                part = conversation.recv(4096)
                assert part, received
                received += part
        conversation.sendall(b"0\r\n\r\n")


def test_the_one_behind_learns_that_the_caller_is_gone(origin: Origin) -> None:
    with origin.client() as client:
        before = int(client.get("/functions/v1/events/left").text)
        with client.stream("GET", "/functions/v1/events") as events:
            assert next(events.iter_text()) == "data: first\n\n"
        until(lambda: int(client.get("/functions/v1/events/left").text) == before + 1, "the function's being told")


# -- what is not here ----------------------------------------------------------------------------------------------------


def test_services_that_are_not_part_of_it_say_so(origin: Origin) -> None:
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    with origin.client(apikey=origin.anon) as client:
        answer = client.get("/realtime/v1/websocket", headers=upgrade)
        assert (answer.status_code, answer.json()["code"]) == (501, "not_implemented")
        assert "changes_since" in answer.json()["hint"]
        assert client.get("/storage/v1/bucket").status_code == 501
        assert client.get("/nowhere").status_code == 404
        assert client.get("/").json()["rest_url"] == f"{origin.url}/rest/v1"


def test_health_of_the_gateway_is_for_the_service_key(origin: Origin) -> None:
    with origin.client() as client:
        assert client.get("/classbase/health").status_code == 401
        assert client.get("/classbase/health", headers={"apikey": origin.anon}).status_code == 403
        told = client.get("/classbase/health", headers={"apikey": origin.service}).json()
        assert told["healthy"]
        assert told["pid"] == origin.up["pid"]
        assert {"health", "echo"} <= set(told["functions"]["names"])


def test_bad_json_is_the_callers_fault(origin: Origin) -> None:
    with origin.client(apikey=origin.anon) as client:
        for content in (b"{", b"[]", b'"text"', b"\xff"):
            answer = client.post("/auth/v1/signup", content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, json.loads(answer.text)["error_code"]) == (400, "bad_json")
