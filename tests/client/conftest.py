"""A sample module with one of every kind of signature, its generated client, and the four doors to it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from classbase import backend_files
from classbase.database.loader import load_sql
from classbase.generator.catalogue import read_catalogue
from classbase.generator.render import render_modules
from tests.client.doors import EVERY, Door, Sample, door_id
from tests.support.rest import Rest
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

SAMPLE_DIR = Path(__file__).parent / "sample"


@pytest.fixture(scope="session")
def sample_database(server: TestServer) -> Iterator[Database]:
    """A database with sql/ and the sample module."""
    database = server.create_database(TEMPLATE)
    with database.connect() as connection:
        load_sql(connection, SAMPLE_DIR)
    yield database
    database.drop()


@pytest.fixture(scope="session")
def generated_sample(sample_database: Database) -> dict[str, str]:
    """The generated files of sql/ and the sample module together, by name."""
    with sample_database.connect() as connection:
        return render_modules(read_catalogue(connection), [backend_files.sql_dir(), SAMPLE_DIR])


@pytest.fixture(scope="session")
def sample(
    sample_database: Database, generated_sample: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sample]:
    """The sample database behind PostgREST, with its generated client imported as `sample_client`."""
    folder = tmp_path_factory.mktemp("generated")
    package = folder / "sample_client"
    package.mkdir()
    for name, text in generated_sample.items():
        (package / name).write_text(text)
    sys.path.insert(0, str(folder))
    try:
        with Rest.serve(sample_database) as rest:
            with sample_database.connect() as connection:
                member = World(connection).user("member")
            yield Sample(sample_database, rest, importlib.import_module("sample_client"), member)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture
def empty_sample(sample: Sample) -> Sample:
    """The sample with no entries, no remembered answers, and its counter at one."""
    with sample.database.connect() as connection:
        connection.execute("truncate public.sample_entries")
        connection.execute("truncate private.idempotency_keys, private.api_calls")
        connection.execute("alter sequence public.sample_attempts restart")
    return sample


@pytest.fixture(params=EVERY, ids=door_id)
async def door(request: pytest.FixtureRequest, empty_sample: Sample) -> AsyncIterator[Door]:
    """One of the four ways to make a call."""
    transport, asynchronous = request.param
    made = Door(empty_sample, transport, asynchronous)
    yield made
    await made.close()


@pytest.fixture
async def both(empty_sample: Sample) -> AsyncIterator[tuple[Door, Door]]:
    """REST and psycopg, to compare them."""
    doors = Door(empty_sample, "rest", True), Door(empty_sample, "database", True)
    yield doors
    for each in doors:
        await each.close()
