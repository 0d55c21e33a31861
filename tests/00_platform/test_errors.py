"""Refusals: what arrives in SQL and over REST, and that nothing in them can be turned against the reader."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.rest import Rest

Db = psycopg.Connection[Any]

SAY_NO = """
create function public.say_no(p_code text, p_message text, p_details jsonb default '{}') returns void
language plpgsql set search_path = '' as $$
begin
  perform private.fail(p_code, p_message, 'p_name', p_details, 'Ask nicely.');
end;
$$
"""


@pytest.fixture
def saying_no(db: Db) -> None:
    db.execute(SAY_NO)
    db.execute("grant execute on function public.say_no to anon")


def test_every_code_travels_under_its_status(db: Db, saying_no: None, rest: Rest) -> None:
    codes = db.execute("select code, http_status from private.error_codes").fetchall()
    assert len(codes) >= 12
    for code, status in codes:
        answer = rest.post("/rpc/say_no", {"p_code": code, "p_message": "No.", "p_details": {"more": [1]}})
        assert answer.status_code == status
        said = answer.json()
        assert (said["code"], said["message"], said["hint"]) == (code, "No.", "Ask nicely.")
        assert json.loads(said["details"]) == {"more": [1], "field": "p_name"}


def test_a_name_cannot_write_headers(saying_no: None, rest: Rest) -> None:
    message = "Bob\r\nSet-Cookie: admin=1\r\n\r\n<script>\x01\x7f is taken"
    answer = rest.post("/rpc/say_no", {"p_code": "duplicate", "p_message": message})
    assert answer.status_code == 409
    assert "set-cookie" not in answer.headers
    assert answer.reason_phrase == "Conflict"
    assert answer.json()["message"] == "Bob Set-Cookie: admin=1 <script>  is taken"


def test_how_long_to_wait_is_a_header_too(saying_no: None, rest: Rest) -> None:
    body = {"p_code": "rate_limited", "p_message": "Slower.", "p_details": {"retry_after": 7}}
    answer = rest.post("/rpc/say_no", body)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_a_code_nobody_registered_is_a_bad_request(saying_no: None, rest: Rest) -> None:
    assert rest.post("/rpc/say_no", {"p_code": "whatever", "p_message": "No."}).status_code == 400


def test_all_bad_fields_at_once(db: Db) -> None:
    with refused("invalid_input") as refusal:
        db.execute(
            "select private.fail_input(private.input_error(true, 'a', 'A is bad') || private.input_error(false, 'b', 'B is bad') "
            "|| private.input_error(null, 'c', 'C is bad') || private.input_error(1 > 0, 'd', 'D is bad'))"
        )
    assert refusal.message == "A is bad; D is bad"
    assert refusal.details == {
        "field": "a",
        "errors": [{"field": "a", "message": "A is bad"}, {"field": "d", "message": "D is bad"}],
    }


def test_no_bad_fields_say_nothing(db: Db) -> None:
    db.execute("select private.fail_input('[]'), private.fail_input(null)")


def test_tables_kept_by_triggers(db: Db) -> None:
    db.execute("create table public.kept (n integer)")
    db.execute(
        "create trigger t00 before insert or update or delete or truncate on public.kept for each statement "
        "execute function private.refuse_direct_write('Write elsewhere.')"
    )
    for statement in ("insert into public.kept values (1)", "delete from public.kept", "truncate public.kept"):
        with refused("forbidden") as refusal:
            db.execute(statement.encode())
        assert refusal.hint == "Write elsewhere."
        assert refusal.details["table"] == "kept"


@pytest.mark.parametrize(
    ("text", "clean"),
    [("  a b  ", "a b"), ("\x07bell\x1f\x7f", "bell"), ("a\nb\tc", "a\nb\tc"), ("\t\r\n a \n", "a"), (" \t\n", None), ("   ", None), ("", None), (None, None), ("é–😀", "é–😀")],
)  # fmt: skip
def test_clean_text(db: Db, text: str | None, clean: str | None) -> None:
    assert db.execute("select private.clean_text(%s)", [text]).fetchone() == (clean,)


def test_addresses_and_numbers(db: Db) -> None:
    good = ["ann@example.org", "a.b+c@mail.example.co.uk", "o'neil@example.org"]
    bad = [
        "Ann@example.org", "ann@example", "ann@@example.org", "@example.org", "ann@-x.org", "ann@example.org\nbcc:x@y.z",
        "ann <ann@example.org>", "a" * 65 + "@example.org", "ann@" + "x" * 250 + ".org", "",
    ]  # fmt: skip
    rows = db.execute("select t, private.is_email(t) from unnest(%s::text[]) t", [[*good, *bad]]).fetchall()
    assert [text for text, is_one in rows if is_one] == good
    good = ["+919876543210", "+4915112345678", "+1234567"]
    bad = ["919876543210", "+0123456789", "+12 345 6789", "+1234567890123456", "+12345", "+123456789\n", ""]
    rows = db.execute("select t, private.is_phone(t) from unnest(%s::text[]) t", [[*good, *bad]]).fetchall()
    assert [text for text, is_one in rows if is_one] == good
