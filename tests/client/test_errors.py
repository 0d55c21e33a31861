"""Every refusal is the same typed error, whichever way the call went."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from classbase import errors
from classbase.embedded.processes import free_port
from classbase.errors import ClassbaseError, FieldError
from classbase.retry import RetryPolicy
from classbase.transport.function import Function
from classbase.transport.translation import from_response
from tests.client.doors import Door, Sample
from tests.support.rest import Rest

ONCE = RetryPolicy(attempts=1)


async def _caught(awaitable: Any) -> ClassbaseError:
    with pytest.raises(ClassbaseError) as caught:
        await awaitable
    return caught.value


REFUSALS: dict[str, tuple[tuple[str, str | None], type[ClassbaseError]]] = {
    **{f"code {kind.default_code}": (("code", kind.default_code), kind) for kind in errors.FROM_DATABASE},
    "code of the future": (("code", "not_thought_of"), ClassbaseError),
    "bad input": (("input", None), errors.InvalidInput),
    "retry later": (("late", None), errors.RateLimited),
    "unique": (("twice", None), errors.Duplicate),
    "exclusion": (("overlap", None), errors.TimeConflict),
    "foreign key": (("orphan", None), errors.InvalidInput),
    "check": (("long", None), errors.InvalidInput),
    "not null": (("null", None), errors.InvalidInput),
    "domain": (("domain", None), errors.InvalidInput),
    "cast": (("cast", "x"), errors.InvalidInput),
    "no right": (("private", None), errors.Forbidden),
    "not theirs": (("policy", None), errors.Forbidden),
    "unknown function": (("missing", None), errors.OutOfDate),
    "cancelled": (("sqlstate", "57014"), errors.TimedOut),
    "raise exception": (("sqlstate", "P0001"), errors.InvalidInput),
    "deadlock": (("sqlstate", "40P01"), errors.Busy),
    "lock not free": (("sqlstate", "55P03"), errors.Busy),
    "too many connections": (("sqlstate", "53300"), errors.Busy),
    "too complex": (("sqlstate", "54001"), errors.LimitExceeded),
    "disk full": (("sqlstate", "53100"), errors.InternalError),
    "internal": (("sqlstate", "XX000"), errors.InternalError),
    "shutting down": (("sqlstate", "57P01"), errors.NetworkError),
    "no case": (("nothing of this", None), errors.InternalError),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_the_same_over_rest_and_psycopg(both: tuple[Door, Door], name: str) -> None:
    (how, what), kind = REFUSALS[name]
    rest, database = [await _caught(door.open(door.sample.member, retry=ONCE).refuse(how, what=what)) for door in both]
    assert type(rest) is kind
    assert type(database) is kind
    assert rest.as_dict() == database.as_dict()
    assert rest.outcome_unknown == database.outcome_unknown
    assert isinstance(database.__cause__, psycopg.Error)
    if kind is not ClassbaseError:
        assert rest.code == kind.default_code


async def test_a_refusal_carries_all_that_the_database_said(door: Door) -> None:
    error = await _caught(door.open().refuse("code", what="seats_full"))
    assert isinstance(error, errors.SeatsFull)
    assert error.message == "It was refused: seats_full"
    assert (error.code, error.http_status, error.category, error.severity) == (
        "seats_full",
        409,
        "integrity",
        "warning",
    )
    assert error.field == "p_what"
    assert error.hint == "Ask for something else."
    assert str(error) == "It was refused: seats_full (Ask for something else.)"
    assert str(error.context["limit"]) == "12.50"
    assert error.context["row"] == {"id": 1}
    assert error.__cause__ is not None


async def test_bad_input_names_every_field(door: Door) -> None:
    error = await _caught(door.open().refuse("input"))
    assert error.errors == (FieldError("p_how", "One is wrong"), FieldError("p_what", "Two is wrong"))
    assert error.field == "p_how"
    assert error.message == "One is wrong; Two is wrong"


async def test_a_constraint_is_named(door: Door) -> None:
    error = await _caught(door.open().refuse("overlap"))
    assert error.context["constraint"] == "one_at_a_time"
    assert error.context["sqlstate"] == "23P01"


async def test_a_newer_databases_code_is_kept(door: Door) -> None:
    error = await _caught(door.open().refuse("code", what="not_thought_of"))
    assert (error.code, error.http_status, error.category, error.retryable) == (
        "not_thought_of",
        400,
        "validation",
        False,
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, ClassbaseError),
        (429, errors.RateLimited),
        (503, ClassbaseError),
    ],
)
def test_a_code_nobody_knows_is_sorted_by_its_status(status: int, kind: type[ClassbaseError]) -> None:
    response = httpx.Response(status, json={"code": "brand_new", "message": "m"}, headers={"Retry-After": "3"})
    error = from_response(response)
    assert type(error) is kind
    assert (error.code, error.http_status) == ("brand_new", 403 if status == 401 else status)
    assert error.context["retry_after"] == 3


@pytest.mark.parametrize(
    ("status", "kind", "unknown"),
    [
        (401, errors.Forbidden, False),
        (404, errors.InternalError, False),
        (413, errors.LimitExceeded, False),
        (429, errors.RateLimited, False),
        (500, errors.InternalError, True),
        (502, errors.NetworkError, True),
        (503, errors.NetworkError, True),
        (504, errors.NetworkError, True),
    ],
)
def test_what_a_gateway_says_is_sorted_by_its_status(status: int, kind: type[ClassbaseError], unknown: bool) -> None:
    error = from_response(httpx.Response(status, text="<html>sorry</html>"))
    assert type(error) is kind
    assert error.outcome_unknown is unknown
    assert error.context["detail"] == "<html>sorry</html>"


async def test_a_stale_version_shows_the_row(door: Door) -> None:
    methods = door.open("service_role")
    error = await _caught(methods.refuse("code", what="stale_version"))
    assert isinstance(error, errors.StaleVersion)
    assert error.current is None


async def test_what_a_role_may_not_call_is_forbidden(door: Door) -> None:
    error = await _caught(door.open("anon").forget_entries())
    assert isinstance(error, errors.Forbidden)
    hidden: Function[Any] = Function("hidden", {}, "value", str)
    client = door.client("authenticated")
    with pytest.raises(errors.Forbidden, match="hidden"):
        await _call(door, client, hidden)


async def test_a_function_the_database_does_not_have_says_to_upgrade(door: Door) -> None:
    unknown: Function[Any] = Function("added_next_year", {"p_new": "integer"}, "value", int)
    with pytest.raises(errors.OutOfDate) as caught:
        await _call(door, door.client(), unknown, p_new=1)
    assert "migrate" in (caught.value.hint or "")
    more: Function[Any] = Function("greet", {"p_words": "text", "p_new": "integer"}, "value", str)
    with pytest.raises(errors.OutOfDate):
        await _call(door, door.client(), more, p_words="a", p_new=1)


async def _call(door: Door, client: Any, function: Function[Any], **arguments: Any) -> Any:
    answer = client.caller.call(function, arguments)
    return await answer if door.asynchronous else answer


@pytest.fixture
def hasty_role(sample: Sample) -> Iterator[str]:
    """A role whose statements may take a fifth of a second, as hosted projects set it for anon."""
    role = f"hasty_{os.getpid()}"
    name = sql.Identifier(role)
    with sample.database.connect(admin=True) as connection:
        connection.execute(sql.SQL("create role {} nologin").format(name))
        connection.execute(sql.SQL("alter role {} set statement_timeout = '200ms'").format(name))
        connection.execute(sql.SQL("grant authenticated to {}").format(name))
        connection.execute(sql.SQL("grant {} to authenticator, project_owner").format(name))
        connection.execute(sql.SQL("grant execute on function public.wait_for to {}").format(name))
        yield role
        connection.execute(sql.SQL("drop owned by {}").format(name))
        connection.execute(sql.SQL("drop role {}").format(name))


async def test_a_call_that_takes_too_long_is_timed_out(sample: Sample, hasty_role: str) -> None:
    # A PostgREST of its own: it reads the roles' settings when it starts.
    with Rest.serve(sample.database) as rest:
        for transport in ("rest", "database"):
            door = Door(replace(sample, rest=rest), transport, True)
            with pytest.raises(errors.TimedOut) as caught:
                await door.open(hasty_role).wait_for(30)
            assert not caught.value.retryable
            await door.close()


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("claims", [{"exp": 1}, None], ids=["expired", "forged"])
async def test_a_token_that_is_not_good_is_forbidden(
    empty_sample: Sample, asynchronous: bool, claims: dict[str, Any] | None
) -> None:
    door = Door(empty_sample, "rest", asynchronous)
    token = empty_sample.rest.token("authenticated", **claims) if claims else "not.a.token"
    error = await _caught(door.open(token=token).greet())
    assert isinstance(error, errors.Forbidden)
    assert error.context["postgrest"].startswith("PGRST30")
    await door.close()


async def test_a_role_the_login_may_not_become_is_forbidden(empty_sample: Sample) -> None:
    door = Door(empty_sample, "database", True)
    error = await _caught(door.open("postgres").greet())
    assert isinstance(error, errors.Forbidden)
    await door.close()


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("transport", ["rest", "database"])
async def test_nobody_there_is_a_network_error(empty_sample: Sample, transport: str, asynchronous: bool) -> None:
    address = f"{'http' if transport == 'rest' else 'postgresql'}://127.0.0.1:{free_port()}"
    door = Door(empty_sample, transport, asynchronous)
    error = await _caught(door.open(address=address, retry=RetryPolicy(attempts=2, first_wait=0.01)).greet())
    assert isinstance(error, errors.NetworkError)
    assert error.retryable
    assert not error.outcome_unknown
    assert isinstance(error.__cause__, httpx.ConnectError | psycopg.OperationalError)
    await door.close()


async def test_something_that_is_no_backend_says_so(empty_sample: Sample) -> None:
    door = Door(empty_sample, "rest", True)
    error = await _caught(door.open(address=f"{empty_sample.rest.url}/not/here").greet())
    assert isinstance(error, errors.ClassbaseError)
    assert not error.retryable
    error = await _caught(door.open(address="ftp://127.0.0.1").greet())
    assert isinstance(error, errors.InternalError)
    await door.close()


def test_an_error_survives_being_sent_to_another_process() -> None:
    error = errors.TimeConflict(
        "x", context={"conflicts": [{"a": 1}]}, hint="h", field="f", errors=[FieldError("f", "m")]
    )
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is errors.TimeConflict
    assert again.as_dict() == error.as_dict()
    assert again.conflicts == [{"a": 1}]
