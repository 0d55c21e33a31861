"""A Postgres for one command's own use: started from nothing, thrown away afterwards."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from classbase.embedded.binaries import Major
from classbase.embedded.postgres import PostgresServer
from classbase.embedded.standin import install_standin

SUPERUSER = "postgres"


class Scratch:
    """A server of which everything may be thrown away."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    @property
    def bin_dir(self) -> Path:
        """Where this server's programs (pg_dump, psql) are."""
        return self._server.bin_dir

    def dsn(self, database: str) -> str:
        """A libpq URI to one of its databases, as superuser."""
        return self._server.dsn(database)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """A connection as superuser, each statement its own transaction."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    def database(self) -> str:
        """Makes a database that has what the platform brings and nothing else; returns its name."""
        name = f"scratch_{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        with self.connect(name) as connection:
            install_standin(connection)
        return name


@contextmanager
def scratch_server(major: Major = 18) -> Iterator[Scratch]:
    """Starts a server in a temporary folder, and stops and removes it at the end, whatever happened.

    Raises Missing when that Postgres is not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="classbase-scratch-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "data", major=major, fsync=False)
    try:
        server.start()
        yield Scratch(server)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
