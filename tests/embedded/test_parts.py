"""The parts on their own: Postgres in a directory, the platform's stand-in, the files that tools read."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from classbase import backend_files
from classbase.database.loader import sql_files
from classbase.database.statements import execute_file
from classbase.embedded import binaries, tokens
from classbase.embedded.config import read_config
from classbase.embedded.errors import EmbeddedError, PortTaken
from classbase.embedded.postgres import PostgresServer
from classbase.embedded.postgrest import PostgrestServer
from classbase.embedded.processes import free_port
from classbase.embedded.standin import install_standin
from tests.embedded.conftest import CHECKOUT, clean_environment, fresh_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    path = fresh_directory("part")
    yield path
    shutil.rmtree(path)


# -- Postgres ----------------------------------------------------------------------------------------------------------


def test_a_server_keeps_what_was_committed_when_it_is_killed(directory: Path) -> None:
    server = PostgresServer(directory / "data", fsync=False)
    server.start()
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("create table kept as select 1 as n")
        killed = server.pid
        server.kill()
        assert not server.is_running()
        server.start()
        assert server.pid != killed
        with psycopg.connect(server.dsn()) as conn:
            assert conn.execute("select n from kept").fetchone() == (1,)
            assert conn.execute("show timezone").fetchone() == ("UTC",)
            assert conn.execute("show max_connections").fetchone() == ("200",)
    finally:
        server.stop()
    assert server.pid is None


def test_a_long_path_gets_a_private_socket_elsewhere(directory: Path) -> None:
    server = PostgresServer(directory / ("long" * 30) / "data", fsync=False)
    server.start()
    try:
        place = server.socket_dir
        assert place != server.data_dir
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        with psycopg.connect(f"host={place} port={server.port} user=postgres dbname=postgres") as conn:
            assert conn.execute("select 1").fetchone() == (1,)
    finally:
        server.stop()
    assert not place.exists()


def test_an_interrupted_initdb_is_done_again(directory: Path) -> None:
    half = directory / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server = PostgresServer(directory / "data", fsync=False)
    server.start()
    server.stop()
    assert not half.exists()


def test_data_of_another_version_is_not_touched(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match="belongs to Postgres 14"):
        PostgresServer(directory / "data").start()


def test_a_taken_port_is_said(directory: Path) -> None:
    first = PostgresServer(directory / "first", fsync=False)
    first.start()
    try:
        with pytest.raises(PortTaken, match=str(first.port)):
            PostgresServer(directory / "second", port=first.port, fsync=False).start()
    finally:
        first.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as somebody else")
def test_root_runs_a_server_as_whoever_owns_its_data(directory: Path) -> None:
    server = PostgresServer(directory / "data", fsync=False)
    server.start()
    assert server.pid is not None
    assert psutil.Process(server.pid).uids().real != 0
    server.stop()
    nobody = pwd.getpwnam("nobody")
    for path in (server.data_dir, *server.data_dir.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    again = PostgresServer(directory / "data", fsync=False)
    again.start()
    try:
        assert again.pid is not None
        assert psutil.Process(again.pid).uids().real == nobody.pw_uid
    finally:
        again.stop()


# -- the stand-in ------------------------------------------------------------------------------------------------------


def test_the_stand_in_can_be_installed_twice_and_changes_nothing_that_is_there(directory: Path) -> None:
    server = PostgresServer(directory / "data", fsync=False)
    server.start()
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("create role anon nologin")
            conn.execute("create schema auth")
            conn.execute("create function auth.uid() returns uuid language sql as 'select null::uuid'")
            everything = (
                "select string_agg(x, ' ' order by x) from ("
                "select oid::text || xmin::text as x from pg_class union all select oid::text || xmin::text from pg_proc"
                " union all select oid::text || xmin::text from pg_namespace"
                " union all select oid::text || xmin::text from pg_authid"
                " union all select roleid::text || member::text || xmin::text from pg_auth_members"
                " union all select oid::text || xmin::text from pg_event_trigger) as objects"
            )
            assert install_standin(conn)
            body = conn.execute("select prosrc from pg_proc where oid = to_regprocedure('auth.uid()')").fetchone()
            assert body == ("select null::uuid",)
            assert conn.execute("select rolconfig from pg_roles where rolname = 'anon'").fetchone() == (None,)
            limited = conn.execute("select rolconfig from pg_roles where rolname = 'authenticated'").fetchone()
            assert limited == (["statement_timeout=8s"],)

            objects = conn.execute(everything).fetchone()
            assert install_standin(conn)
            after = conn.execute(everything).fetchone()
            # Grants are written again as they were, which touches the row and nothing in it.
            assert objects is not None
            assert after is not None
            assert len(objects[0].split()) == len(after[0].split())
    finally:
        server.stop()


def test_the_claims_are_read_as_on_the_platform(directory: Path) -> None:
    server = PostgresServer(directory / "data", fsync=False)
    server.start()
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            install_standin(conn)
            ask = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'extra'"
            assert conn.execute(ask).fetchone() == (None, None, None, None)
            who = "00000000-0000-4000-8000-000000000001"
            claims = {"sub": who, "role": "authenticated", "email": "a@example.org", "extra": "x"}
            conn.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(claims)])
            assert conn.execute(ask).fetchone() == (who, "authenticated", "a@example.org", "x")
            conn.execute("select set_config('request.jwt.claims', '', false)")  # what a transaction leaves behind
            assert conn.execute(ask).fetchone() == (None, None, None, None)
            for role in ("anon", "authenticated", "service_role"):
                denied = conn.execute("select has_table_privilege(%s, 'auth.users', 'select')", [role]).fetchone()
                assert denied == (False,)
    finally:
        server.stop()


def test_the_sample_data_loads_with_the_rights_of_a_hosted_projects_owner(db: psycopg.Connection[Any]) -> None:
    for _ in range(2):
        execute_file(db, backend_files.seed_file())
    assert db.execute("select count(*) from auth.users").fetchone() == (5,)
    assert db.execute("select count(distinct role_name) from public.user_roles").fetchone() == (5,)
    assert db.execute("select count(*) > 50 from public.claims").fetchone() == (True,)


# -- PostgREST ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(binaries.postgrest() is None, reason="PostgREST is not installed: make setup")
def test_a_postgrest_that_cannot_reach_its_database_says_so(directory: Path) -> None:
    server = PostgrestServer(f"postgresql://authenticator@127.0.0.1:{free_port()}/postgres", "s" * 40)
    with pytest.raises(psycopg.OperationalError):
        server.start()
    assert server.pid is None


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604800), ("2w", 1209600), ("1h30m", 5400), (" 1H 5s ", 3605),
])  # fmt: skip
def test_durations(text: str, seconds: int) -> None:
    assert tokens.parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1y", "0s", "99999999d", "1h!", "one hour"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|between"):
        tokens.parse_duration(text)


# -- the files that tools read ---------------------------------------------------------------------------------------------


def test_the_supabase_cli_would_load_sql_in_our_order() -> None:
    config = tomllib.loads(backend_files.config_file().read_text())
    listed: list[Path] = []
    for pattern in config["db"]["migrations"]["schema_paths"]:
        found = sorted(backend_files.supabase_dir().glob(pattern))
        assert found, f"{pattern} names nothing"
        listed += [path.resolve() for path in found]
    assert listed == [path.resolve() for path in sql_files()]


def test_the_configuration_is_read_as_the_cli_reads_it() -> None:
    config = read_config()
    assert config.max_rows == 1000
    assert not config.verifies_jwt("health")
    assert config.verifies_jwt("anything_else")
    assert config.auth.access_token_hook == "public.custom_access_token_hook"  # noqa: S105
    assert config.auth.rotate_refresh_tokens


def test_a_configuration_that_is_no_toml_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[auth\n")
    with pytest.raises(EmbeddedError, match="not valid TOML"):
        read_config(tmp_path / "config.toml")


def test_the_lock_file_lists_every_platforms_programs() -> None:
    """npm ci refuses a lock without them, and on a machine whose registry lacks some, npm leaves them out."""
    lock = json.loads((CHECKOUT / "package-lock.json").read_text())["packages"]
    for name, package in lock.items():
        for wanted, version in package.get("optionalDependencies", {}).items():
            entry = lock.get(f"node_modules/{wanted}")
            assert entry is not None, f"{name} may need {wanted}, which the lock file does not list"
            if version.startswith(("^", "~")):
                continue  # a library that does without it, and no platform's program
            assert entry["version"] == version.removeprefix("v")
            assert entry["optional"]
            assert entry["os"]
    assert not [name for name, package in lock.items() if "resolved" in package]


@pytest.mark.skipif(binaries.deno() is None, reason="Deno is not installed: make setup")
def test_the_functions_type_check() -> None:
    deno = binaries.deno()
    assert deno is not None
    entries = sorted(str(path) for path in backend_files.functions_dir().glob("[!_]*/index.ts"))
    assert entries
    done = subprocess.run(
        [str(deno), "check", "--quiet", "--node-modules-dir=manual", *entries],
        cwd=CHECKOUT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
