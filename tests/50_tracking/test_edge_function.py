"""functions/class-generation in real Deno, before a real PostgREST: as a webhook calls it, and by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.centre import Centre
from tests.support.edge_functions import serve_function
from tests.support.rest import Rest
from tests.support.world import World

SECRET = "a-secret-of-the-tests"  # noqa: S105
MISSING = "/class-generation/generate-missing"
WEEKLY = "/class-generation/generate-weekly"


class Generation:
    """The function in front of the test's database."""

    def __init__(self, client: httpx.Client, log: Path, centre: Centre) -> None:
        self.client = client
        self.log = log
        self.centre = centre

    def post(self, path: str, body: Any = None, *, secret: str | None = SECRET, **headers: str) -> httpx.Response:
        """Calls it; `body` is sent as JSON, or as it is where it is bytes."""
        if secret is not None:
            headers = {"x-webhook-secret": secret, **headers}
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.client.post(path, content=content, headers={"Content-Type": "application/json", **headers})

    def webhook(self, student_id: UUID, kind: str = "UPDATE", **body: Any) -> dict[str, Any]:
        """What a database webhook on students sends."""
        row = self.centre.one("select to_jsonb(s) from public.students s where s.id = %s", [student_id])
        told = {
            "type": kind,
            "table": "students",
            "schema": "public",
            "record": None if kind == "DELETE" else row,
            "old_record": None if kind == "INSERT" else row,
        }
        return {**told, **body}

    def told(self) -> list[dict[str, Any]]:
        """What it logged, a line a call."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def centre(world: World) -> Centre:
    return Centre(world)


@pytest.fixture
def generation(rest: Rest, centre: Centre, tmp_path: Path) -> Iterator[Generation]:
    with serve_function("class-generation", rest, tmp_path, {"CLASS_GENERATION_SECRET": SECRET}) as client:
        yield Generation(client, tmp_path / "function-class-generation.log", centre)


def _refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json()["message"])


def test_a_webhook_makes_what_is_missing_once_however_often_it_comes(generation: Generation, centre: Centre) -> None:
    student, other = centre.student(), centre.student("Leo Park")
    centre.lose(student, 2)
    centre.lose(other)
    body = generation.webhook(student)
    first = generation.post("/class-generation", body)
    assert first.status_code == 200, first.text
    done = first.json()
    assert (done["operation"], done["student_id"], done["status"]) == ("generate-missing", str(student), "success")
    assert (done["classes_created"], [one["classes_created"] for one in done["students"]]) == (2, [2])
    assert (len(centre.classes(student)), len(centre.classes(other))) == (4, 3)

    # The same again, its keys in another order, answers the same and does nothing, though there is something to do.
    centre.lose(student)
    again = dict(reversed(list({**body, "record": dict(reversed(list(body["record"].items())))}.items())))
    assert generation.post("/class-generation", again).json() == done
    assert generation.post(MISSING, body).json() == done
    assert (len(centre.classes(student)), centre.runs()) == (3, 1)

    # Another event of the same student is another call.
    centre.db.execute("update public.students set notes = 'Moved house' where id = %s", [student])
    assert generation.post("/class-generation", generation.webhook(student)).json()["classes_created"] == 1
    assert (len(centre.classes(student)), centre.runs()) == (4, 2)


@pytest.mark.parametrize("kind", ["INSERT", "UPDATE", "DELETE"])
def test_each_kind_of_event(generation: Generation, centre: Centre, kind: str) -> None:
    student = centre.student()
    answer = generation.post("/class-generation", generation.webhook(student, kind))
    assert (answer.status_code, answer.json()["status"]) == (200, "skipped")
    assert (len(centre.classes(student)), centre.runs()) == (4, 0 if kind == "DELETE" else 1)


def test_a_crowd_with_one_webhook_does_it_once(generation: Generation, centre: Centre) -> None:
    student = centre.student()
    centre.lose(student, 3)
    body = generation.webhook(student)
    with ThreadPoolExecutor(12) as crowd:
        answers = list(crowd.map(lambda _: generation.post("/class-generation", body), range(24)))
    codes = {answer.status_code: answer.json().get("code") for answer in answers}
    assert 200 in codes
    assert set(codes.items()) <= {(200, None), (409, "in_progress")}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert (len(centre.classes(student)), centre.runs()) == (4, 1)
    assert generation.post("/class-generation", body).json()["classes_created"] == 3


def test_a_crowd_by_hand_ends_in_the_same_rows(generation: Generation, centre: Centre) -> None:
    students = [centre.student(f"Student {number}") for number in range(4)]
    for student in students:
        centre.lose(student, 2)
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda no: generation.post(WEEKLY if no % 2 else MISSING), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["classes_created"] for answer in answers) == 8
    assert [len(centre.classes(student)) for student in students] == [4, 4, 4, 4]


def test_by_hand(generation: Generation, centre: Centre) -> None:
    student, other = centre.student(), centre.student("Leo Park")
    for one in (student, other):
        centre.lose(one)
    assert generation.post(MISSING, {"studentId": str(student).upper()}).json()["classes_created"] == 1
    assert (len(centre.classes(student)), len(centre.classes(other))) == (4, 3)
    done = generation.post("/functions/v1" + MISSING).json()
    assert (done["student_id"], done["classes_created"], done["students"][0]["student_id"]) == (None, 1, str(other))
    centre.lose(other)
    centre.db.execute("delete from private.student_generation")  # as if the weekly run had not been there for weeks
    assert generation.post(WEEKLY, b"").json()["classes_created"] == 1
    # Without a key each call is one; with a key the same one is made once.
    centre.lose(other)
    assert generation.post(MISSING, secret=None, Authorization=f"Bearer {SECRET}").json()["classes_created"] == 1
    centre.lose(other)
    key = {"Idempotency-Key": "tonight " + "x" * 500}
    first = generation.post(MISSING, **key)
    centre.lose(other)
    assert generation.post(MISSING, **key).json() == first.json()
    assert first.json()["classes_created"] == 1
    mismatch = generation.post(MISSING, {"studentId": str(other)}, **key)
    _refused(mismatch, 422, "idempotency_mismatch")


def test_who_was_left_out_is_told_why(generation: Generation, centre: Centre, world: World) -> None:
    teacher = world.user("instructor", full_name="Tara Teacher")
    centre.student(teacher=teacher)
    late = centre.student("Leo Park", teacher=teacher)
    [told] = generation.post(MISSING, {"studentId": str(late)}).json()["students"]
    assert (told["status"], told["classes_created"]) == ("partial", 0)
    assert {row["reason"] for row in told["error_details"]["not_possible"]} == {"teacher_taken"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-webhook-secret": ""},
        {"x-webhook-secret": SECRET[:-1]},
        {"x-webhook-secret": SECRET + "x"},
        {"x-webhook-secret": SECRET.upper()},
        {"Authorization": SECRET},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer"},
        {"x-webhook-secret": "wrong", "Authorization": f"Bearer {SECRET}"},
    ],
)
def test_no_other_secret_opens_it(generation: Generation, centre: Centre, headers: dict[str, str]) -> None:
    student = centre.student()
    centre.lose(student)
    for path in ("/class-generation", MISSING, WEEKLY, "/class-generation/nowhere"):
        _refused(generation.post(path, secret=None, **headers), 403, "forbidden")
    assert (len(centre.classes(student)), centre.runs()) == (3, 0)


def test_without_a_secret_it_refuses_everything(rest: Rest, centre: Centre, tmp_path: Path) -> None:
    for secrets in ({}, {"CLASS_GENERATION_SECRET": ""}):
        with serve_function("class-generation", rest, tmp_path, secrets) as client:
            for headers in (
                {},
                {"x-webhook-secret": ""},
                {"x-webhook-secret": "undefined"},
                {"Authorization": "Bearer"},
            ):
                assert client.post(MISSING, json={}, headers=headers).status_code == 403
    assert centre.runs() == 0


def test_what_is_not_understood_is_refused_and_does_nothing(generation: Generation, centre: Centre) -> None:
    student = centre.student()
    centre.lose(student)
    webhook = generation.webhook(student)
    for body in (
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"studentId"',
        {"studentId": None},
        {"studentId": ""},
        {"studentId": "Mia"},
        {"studentId": [str(student)]},
        {"student_id": str(student)},
        {"studentId": str(student), "more": 1},
        {**webhook, "type": "TRUNCATE"},
        {**webhook, "table": "classes"},
        {**webhook, "schema": "auth"},
        {**webhook, "record": None},
        {**webhook, "record": {"id": 7}},
        {**webhook, "type": "DELETE", "old_record": "gone"},
    ):
        _refused(generation.post(MISSING, body), 400, "invalid_input")
    _refused(generation.post("/class-generation"), 400, "invalid_input")  # an address of webhooks only
    _refused(generation.post(WEEKLY, {"studentId": str(student)}), 400, "invalid_input")
    _refused(generation.post(WEEKLY, webhook), 400, "invalid_input")
    for path in ("/class-generation/nowhere", MISSING + "/more", "/class-generation/generate", WEEKLY + ".json"):
        _refused(generation.post(path), 404, "not_found")
    _refused(generation.post(MISSING, {"studentId": str(uuid4())}), 404, "not_found")
    _refused(generation.post(MISSING, {**webhook, "record": {"id": str(uuid4())}}), 404, "not_found")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = generation.client.request(method, MISSING, headers={"x-webhook-secret": SECRET})
        _refused(answer, 405, "invalid_input")
        assert answer.headers["Allow"] == "POST, OPTIONS"
    assert (len(centre.classes(student)), centre.runs()) == (3, 0)


def test_a_body_that_never_ends_is_not_read(generation: Generation, centre: Centre) -> None:
    large = json.dumps({"studentId": "x" * 300_000}).encode()
    _refused(generation.post(MISSING, large), 413, "limit_exceeded")

    def parts() -> Iterator[bytes]:
        for _ in range(2_000):
            yield b" " * 65_536

    try:
        answer = generation.client.post(MISSING, content=parts(), headers={"x-webhook-secret": SECRET})
    except httpx.WriteError:
        pass  # it hung up before everything was sent
    else:
        _refused(answer, 413, "limit_exceeded")
    student = centre.student()
    # The longest student there can be is not too long.
    longest = [
        {"day": day, "start_time": f"{hour:02}:{half}0", "duration_minutes": 30}
        for day in range(7)
        for hour in range(7, 14)
        for half in (0, 3)
    ]
    centre.db.execute(
        "update public.students set notes = %s, fixed_schedule = %s::jsonb where id = %s",
        ["é" * 1000, json.dumps(longest), student],
    )
    assert generation.post(MISSING, generation.webhook(student)).status_code == 200


def test_its_log_has_a_line_a_call_and_no_secret(generation: Generation, centre: Centre, rest: Rest) -> None:
    student = centre.student()
    centre.lose(student)
    generation.post("/class-generation", generation.webhook(student))
    generation.post(WEEKLY)
    generation.post(MISSING, {"studentId": str(student)}, secret="wrong-secret")  # noqa: S106
    generation.post(MISSING, b"{")
    told = generation.told()
    assert [(one.get("route"), one["code"], one.get("by")) for one in told] == [
        ("generate-missing", "ok", "webhook"), ("generate-weekly", "ok", "hand"), (None, "forbidden", None),
        ("generate-missing", "invalid_input", None),
    ]  # fmt: skip
    assert (told[0]["event"], told[0]["student_id"], told[0]["classes_created"]) == ("UPDATE", str(student), 1)
    assert all(one["duration_ms"] >= 0 for one in told)

    rest.process.stop()
    _refused(generation.post(MISSING), 503, "busy")
    assert generation.told()[-1]["code"] == "busy"
    text = generation.log.read_text()
    assert SECRET not in text
    assert "wrong-secret" not in text
    assert "Mia" not in text


def test_a_wrong_service_key_is_no_fault_of_the_caller(rest: Rest, centre: Centre, tmp_path: Path) -> None:
    secrets = {"CLASS_GENERATION_SECRET": SECRET, "SUPABASE_SERVICE_ROLE_KEY": rest.token("anon")}
    with serve_function("class-generation", rest, tmp_path, secrets) as client:
        answer = client.post(MISSING, json={}, headers={"x-webhook-secret": SECRET})
        _refused(answer, 500, "internal_error")
    assert centre.runs() == 0
