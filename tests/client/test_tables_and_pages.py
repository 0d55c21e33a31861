"""Over REST: tables through the postgrest builder, and answers longer than the server hands out at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import classbase
from classbase import errors
from classbase.generated import rows
from tests.client.doors import REST, Door, Sample, door_id
from tests.support.rest import Rest
from tests.support.server import TEMPLATE


@pytest.mark.parametrize("door", REST, ids=door_id, indirect=True)
async def test_tables_are_reached_through_the_builder(door: Door) -> None:
    async def done(builder: Any) -> Any:
        answer = builder.execute()
        return (await answer if door.asynchronous else answer).data

    client = door.client(door.sample.member)
    await done(client.table("sample_entries").insert({"title": "by hand", "amount": "2.50"}))
    (found,) = await done(client.table("sample_entries").select("*, shouted").eq("title", "by hand"))
    entry = door.sample.package.rows.SampleEntries.model_validate(found)
    assert (entry.title, entry.amount) == ("by hand", Decimal("2.50"))
    assert found["shouted"] == "BY HAND"
    with pytest.raises(errors.Duplicate) as caught, classbase.typed_errors():
        await done(client.table("sample_entries").insert({"title": "by hand"}))
    assert caught.value.context["constraint"] == "sample_entries_title_key"
    with pytest.raises(errors.Forbidden), classbase.typed_errors():
        await done(client.table("sample_entries").delete().eq("title", "by hand"))
    with pytest.raises(errors.OutOfDate), classbase.typed_errors():
        await done(client.table("no_such_table").select("*"))
    profiles = await done(client.table("user_profiles").select("*"))
    assert [rows.UserProfiles.model_validate(each).user_id for each in profiles] == [door.sample.member.id]


@pytest.mark.parametrize("door", REST, ids=door_id, indirect=True)
async def test_a_token_may_be_renewed_while_the_client_lives(door: Door) -> None:
    tokens = iter([door.sample.rest.token("service_role"), door.sample.rest.token(door.sample.member)])
    methods = door.open(access_token=lambda: next(tokens))
    assert [(await methods.told([]))["role"] for _ in range(2)] == ["service_role", "authenticated"]


@pytest.fixture(scope="module")
def narrow(sample: Sample) -> Iterator[Sample]:
    """The same database behind a PostgREST that hands out ten rows at most."""
    with Rest.serve(sample.database, max_rows=10) as rest:
        yield replace(sample, rest=rest)


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_long_answer_comes_whole(narrow: Sample, asynchronous: bool) -> None:
    door = Door(narrow, "rest", asynchronous)
    methods = door.open()
    for length in (0, 1, 9, 10, 11, 20, 35):
        assert await methods.count_up(length) == list(range(1, length + 1))
    await door.close()


async def test_what_was_done_but_not_wholly_answered_says_so(narrow: Sample) -> None:
    door = Door(narrow, "rest", True)
    methods = door.open()
    assert len(await methods.draw_numbers(10)) == 10
    before = (await methods.draw_numbers(1))[0]
    with pytest.raises(errors.LimitExceeded) as caught:
        await methods.draw_numbers(11)
    assert (caught.value.context["returned"], caught.value.context["total"]) == (10, 11)
    assert (await methods.draw_numbers(1))[0] == before + 12
    await door.close()


async def test_a_database_that_is_gone_is_a_network_error(sample: Sample) -> None:
    database = sample.database.server.create_database(TEMPLATE)
    with Rest.serve(database) as rest:
        with sample.database.server.admin() as connection:
            connection.execute(f'drop database "{database.name}" with (force)')
        door = Door(replace(sample, rest=rest), "rest", True)
        with pytest.raises(errors.NetworkError) as caught:
            await door.client(retry=classbase.RetryPolicy(attempts=1)).platform.app_config()
        assert caught.value.retryable
        await door.close()
