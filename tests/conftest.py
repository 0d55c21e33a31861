"""Fixtures every test may use; what each gives is in docs/conventions.md."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support import identity
from tests.support.rest import Rest
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

MAJORS = ("15", "17", "18")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pg",
        choices=MAJORS,
        default=os.environ.get("CLASSBASE_TEST_PG", "18"),
        help="the Postgres major version the suite runs on (or CLASSBASE_TEST_PG); CLASSBASE_TEST_DSN names a server "
        "of your own instead",
    )


class _SharedServer:
    """Under pytest-xdist the controlling process starts the server and the workers are told where it is."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.server: TestServer | None = None

    def get(self) -> TestServer:
        if self.server is None:
            told = getattr(self.config, "workerinput", {}).get("classbase_dsn")
            given = os.environ.get("CLASSBASE_TEST_DSN")
            if told:
                self.server = TestServer(told)
            else:
                self.server = TestServer(given) if given else TestServer.start(int(self.config.getoption("--pg")))
                self.server.prepare()
        return self.server

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["classbase_dsn"] = self.get().admin_dsn

    def pytest_unconfigure(self) -> None:
        if self.server is not None and not hasattr(self.config, "workerinput"):
            self.server.stop()


def pytest_configure(config: pytest.Config) -> None:
    # Whoever ends a run from outside gets an orderly end, in which the server is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shared = _SharedServer(config)
    config.stash[_SHARED] = shared
    config.pluginmanager.register(shared, "classbase-server")


_SHARED = pytest.StashKey[_SharedServer]()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> TestServer:
    """The Postgres server of this run, with its templates."""
    return request.config.stash[_SHARED].get()


@pytest.fixture
def database(server: TestServer) -> Iterator[Database]:
    """A fresh database with sql/ loaded."""
    made = server.create_database(TEMPLATE)
    yield made
    made.drop()


@pytest.fixture
def db(database: Database) -> psycopg.Connection[Any]:
    """A connection to it as the owner; every statement is its own transaction."""
    return database.connect()


@pytest.fixture
def world(db: psycopg.Connection[Any]) -> World:
    """Makes sample people and rows."""
    return World(db)


@pytest.fixture(scope="session")
def as_user() -> Any:
    """`with as_user(connection, user):` acts as that person."""
    return identity.as_user


@pytest.fixture(scope="session")
def as_role() -> Any:
    """`with as_role(connection, "anon"):` acts as that role."""
    return identity.as_role


@pytest.fixture
def rest(database: Database) -> Iterator[Rest]:
    """PostgREST serving the database of this test; skips where PostgREST is not installed."""
    with Rest.serve(database) as serving:
        yield serving
