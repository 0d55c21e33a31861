"""One Postgres server a test run, one template database in it, a clone of that for every test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from classbase.database.loader import load_sql
from classbase.embedded.binaries import Major, postgres_bin_dir
from classbase.embedded.postgres import PostgresServer
from tests.support.platform import OWNER, load_platform

TEMPLATE = "classbase_template"
PLATFORM_TEMPLATE = "classbase_platform"

# What a run needs at most, with the log the server keeps; there may be several at once.
ROOM = 4 << 30

_numbers = itertools.count(1)


def _fastest_place() -> str | None:
    """Where to keep a server's data for the length of a run: in memory where there is plenty of it, or else None.

    A test's database is a copy of some twenty megabytes: to a disk that is most of what a short test costs.
    """
    memory = "/dev/shm"  # noqa: S108 -- the folder in it has a name nobody can guess
    if os.environ.get("TMPDIR") or not os.access(memory, os.W_OK | os.X_OK):
        return None
    return memory if shutil.disk_usage(memory).free > ROOM else None


@dataclass
class Database:
    """One database of the test server, dropped with everything in it when the test is over."""

    server: TestServer
    name: str
    _connections: list[psycopg.Connection[Any]] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        """A connection string as the owner, who is no superuser (as on a hosted project)."""
        return self.server.dsn(self.name, OWNER)

    @property
    def admin_dsn(self) -> str:
        """A connection string as the server's superuser, for what only the platform may do."""
        return self.server.dsn(self.name)

    def connect(self, *, admin: bool = False, autocommit: bool = True, **options: Any) -> psycopg.Connection[Any]:
        """A new connection as the owner (or the superuser), closed when the test is over.

        Every statement is its own transaction unless `autocommit` is False or `with connection.transaction()` is used.
        """
        dsn = self.admin_dsn if admin else self.dsn
        connection = psycopg.connect(dsn, autocommit=autocommit, **options)
        self._connections.append(connection)
        return connection

    def clone(self) -> Database:
        """Another database with the same contents; this one must have no open connections."""
        return self.server.create_database(self.name)

    def close(self) -> None:
        """Closes the connections that `connect` gave out."""
        while self._connections:
            self._connections.pop().close()

    def drop(self) -> None:
        """Closes the connections and drops the database, also when somebody else is still connected."""
        self.close()
        with self.server.admin() as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.name)))


class TestServer:
    """A server that listens on loopback, with the platform's stand-in and sql/ loaded into a template database.

    Made from nothing, or found behind a connection string (then only the roles stay behind).
    """

    __test__ = False

    def __init__(self, admin_dsn: str, process: PostgresServer | None = None, folder: Path | None = None) -> None:
        self.admin_dsn = admin_dsn
        self._process = process
        self._folder = folder

    @classmethod
    def start(cls, major: int) -> TestServer:
        """Starts a server of this major version (15, 17 or 18) with its data in a new folder; raises Missing."""
        folder = Path(tempfile.mkdtemp(prefix="classbase-test-", dir=_fastest_place()))
        folder.chmod(0o755)
        process = PostgresServer(
            folder / "data",
            major=cast(Major, major),
            fsync=False,
            # A zone nobody lives in by accident: what silently relies on the session's zone shows.
            settings={"timezone": "Pacific/Kiritimati", "synchronous_commit": "off", "shared_buffers": "64MB"},
        )
        try:
            process.start()
            return cls(process.dsn(), process, folder)
        except BaseException:
            process.stop()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def stop(self) -> None:
        """Stops the server and removes its data if it was started here, or else only the templates."""
        if self._process is not None:
            self._process.stop()
            shutil.rmtree(cast(Path, self._folder), ignore_errors=True)
            return
        with self.admin() as connection:
            for template in (TEMPLATE, PLATFORM_TEMPLATE):
                connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(template)))

    @property
    def process(self) -> PostgresServer | None:
        """The server process, or None for a server that was given by connection string."""
        return self._process

    @property
    def bin_dir(self) -> Path:
        """Where programs (pg_dump, psql) of this server's version, or a newer one, are."""
        return self._process.bin_dir if self._process is not None else postgres_bin_dir(18)

    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        """A libpq URI to `database` as `user` (default: the superuser)."""
        parts = conninfo_to_dict(self.admin_dsn)
        who = user or parts.get("user") or "postgres"
        secret = f":{parts['password']}" if parts.get("password") else ""
        return f"postgresql://{who}{secret}@{parts.get('host', '127.0.0.1')}:{parts.get('port', 5432)}/{database}"

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection as superuser, each statement its own transaction."""
        return psycopg.connect(make_conninfo(self.admin_dsn, dbname=database), autocommit=True)

    def create_database(self, template: str = "template0") -> Database:
        """A new database that is a copy of `template`, owned by the owner."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        with self.admin() as connection:
            # Copying the files is several times faster than writing all of them to the log, which nobody reads here.
            connection.execute(
                sql.SQL("create database {} template {} owner {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER)
                )
            )
        return Database(self, name)

    def prepare(self) -> None:
        """Makes the owner's role, a template with the platform's stand-in only, and one with sql/ loaded as well."""
        with self.admin() as connection:
            if connection.execute("select from pg_roles where rolname = %s", [OWNER]).fetchone() is None:
                connection.execute(f"create role {OWNER} login createdb createrole bypassrls")
        platform = self.create_database()
        with platform.connect(admin=True) as connection:
            load_platform(connection)
        self._keep_as(platform, PLATFORM_TEMPLATE)
        complete = self.create_database(PLATFORM_TEMPLATE)
        with complete.connect() as connection:
            load_sql(connection)
        self._keep_as(complete, TEMPLATE)

    def _keep_as(self, database: Database, name: str) -> None:
        database.close()
        with self.admin() as connection:
            old, new = sql.Identifier(database.name), sql.Identifier(name)
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(new))
            connection.execute(sql.SQL("alter database {} rename to {}").format(old, new))
