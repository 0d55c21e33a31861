"""The local backend's life: up, down, destroyed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql

from classbase import backend_files
from classbase.database.migrations import migrate
from classbase.database.statements import execute_file
from classbase.embedded import processes
from classbase.embedded.binaries import Major
from classbase.embedded.errors import EmbeddedError, PortTaken
from classbase.embedded.node_parts import provide_node_parts
from classbase.embedded.postgres import PostgresServer
from classbase.embedded.project import DEFAULT_DB_PORT, DEFAULT_PORT, Project, Settings
from classbase.embedded.standin import install_standin, is_supabase
from classbase.embedded.status import Status, database_url, gateway_health, gateway_pid, read_status

Notice = Callable[[str], None]
_PATIENCE = 60.0


@dataclass(frozen=True)
class Choices:
    """What a call of `up` asks for; None means: as last time."""

    major: int | None = None
    port: int | None = None
    db_port: int | None = None
    db_url: str | None = None
    sample: bool = False
    install: bool = True
    jobs: bool | None = None


@dataclass(frozen=True)
class UpResult:
    """What `up` did, and how the backend is now."""

    status: Status
    already_up: bool
    migrations: list[str] = field(default_factory=list)
    sample_loaded: bool = False


def up(project: Project, choices: Choices, notice: Notice) -> UpResult:
    """Brings the backend up and returns when it is healthy; does only what is missing when it is up already.

    Args:
        project: where its state is kept.
        choices: what was asked for.
        notice: is told in sentences what is done meanwhile.

    Raises:
        EmbeddedError: something could not be started; what this call had started is stopped again.
        psycopg.Error, StatementError: a migration or the sample data failed.
    """
    with project.lock():
        settings = project.prepare()
        if _reconsider(settings, choices):
            _stop(project)  # it would otherwise go on as it was
        was_running = gateway_pid(project) is not None, database_url(project, settings) is not None
        project.save(settings)
        try:
            return _up(project, settings, choices, notice)
        except BaseException:
            if not all(was_running):
                _stop(project)
            raise


def _up(project: Project, settings: Settings, choices: Choices, notice: Notice) -> UpResult:
    before = read_status(project)
    db_url = _start_database(project, settings, choices, notice)
    applied, sample_loaded = _prepare_database(project, settings, db_url, choices, notice)
    missing_before = set(before.missing)
    missing = provide_node_parts(project, install=choices.install, notice=notice)
    # A running gateway has not seen what was installed since, nor has PostgREST a new pre-request function.
    fresh_needed = bool(applied) or (before.healthy and set(missing) != missing_before)
    if not before.healthy or fresh_needed:
        _end_recorded(project)
        _start_gateway(project, settings, choices, notice)
    return UpResult(read_status(project), before.healthy, applied, sample_loaded)


def _reconsider(settings: Settings, choices: Choices) -> bool:
    """Takes over what was asked for; returns whether a running backend has to be stopped for it."""
    before = (settings.major, settings.port, settings.db_port, settings.external_db_url, settings.jobs)
    if choices.db_url is not None:
        settings.external_db_url = choices.db_url
    if choices.major is not None:
        settings.major, settings.external_db_url = choices.major, None
    if choices.port is not None:
        settings.port = choices.port
    if choices.db_port is not None:
        settings.db_port = choices.db_port
    if choices.jobs is not None:
        settings.jobs = choices.jobs
    return before != (settings.major, settings.port, settings.db_port, settings.external_db_url, settings.jobs)


# -- the database ----------------------------------------------------------------------------------------------


def _start_database(project: Project, settings: Settings, choices: Choices, notice: Notice) -> str:
    if settings.external_db_url is not None:
        notice("Using the database of --db-url; it is not started or stopped here.")
        return settings.external_db_url
    server = project.server(settings)
    if not server.is_running():
        settings.db_port = _choose_port("database", choices.db_port, settings.db_port, DEFAULT_DB_PORT, notice)
        project.save(settings)
        server = project.server(settings)
        server.start()
        for directory in server.opened:
            notice(f"Other users may now pass through {directory}: Postgres does not run as root and has to.")
    return server.dsn()


def _choose_port(what: str, wanted: int | None, remembered: int | None, default: int, notice: Notice) -> int:
    if wanted is not None:
        if not processes.port_is_free(wanted):
            raise PortTaken(f"Port {wanted} is in use by something else.", f"Choose another port for the {what}.")
        return wanted
    port = processes.choose_port(remembered or default)
    if port != (remembered or default):
        notice(f"Port {remembered or default} is taken: the {what} uses {port} from now on.")
    return port


def _prepare_database(
    project: Project, settings: Settings, db_url: str, choices: Choices, notice: Notice
) -> tuple[list[str], bool]:
    with psycopg.connect(db_url, autocommit=True, connect_timeout=10, application_name="classbase up") as conn:
        if is_supabase(conn):
            hint = "A project has its own REST and Auth: use --url and --key, and `classbase migrate --db-url`."
            raise EmbeddedError("This database belongs to a Supabase project.", hint)
        install_standin(conn)
        _provide_rest_role(conn, project.rest_role(settings), settings.rest_password)
        applied = migrate(conn)
        if applied:
            notice(f"Applied {len(applied)} migration{'s' if len(applied) > 1 else ''}.")
        place = _database_name(settings, db_url)
        if not choices.sample or place in settings.samples_in:
            return applied, False
        notice("Loading the sample data ...")
        with conn.transaction():
            execute_file(conn, backend_files.seed_file())
        settings.samples_in.append(place)
        project.save(settings)
        return applied, True


def _provide_rest_role(conn: psycopg.Connection[Any], role: str, password: str) -> None:
    """Makes the login that PostgREST uses where it is missing, and gives it this installation's password."""
    name = sql.Identifier(role)
    there = conn.execute("select from pg_catalog.pg_roles where rolname = %s", (role,)).fetchone()
    if there is None:
        conn.execute(sql.SQL("create role {} login noinherit").format(name))
        conn.execute(sql.SQL("alter role {} set lock_timeout = '8s'").format(name))
        conn.execute(sql.SQL("grant anon, authenticated, service_role to {}").format(name))
    conn.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(password)))


def _database_name(settings: Settings, db_url: str) -> str:
    if settings.external_db_url is None:
        return f"postgres-{settings.major}"
    parts = psycopg.conninfo.conninfo_to_dict(db_url)
    return f"{parts.get('host', '')}:{parts.get('port', '')}/{parts.get('dbname', '')}"


# -- the gateway -----------------------------------------------------------------------------------------------


def _start_gateway(project: Project, settings: Settings, choices: Choices, notice: Notice) -> None:
    settings.port = _choose_port("origin", choices.port, settings.port, DEFAULT_PORT, notice)
    project.save(settings)
    log = project.logs / "gateway.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "classbase.embedded.gateway", str(project.directory)],
            cwd=project.directory,
            env=_gateway_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def settled() -> bool:
        if child.poll() is not None:
            return True
        health = gateway_health(settings)
        return health is not None and health["pid"] == child.pid and bool(health["healthy"])

    processes.wait_until(settled, _PATIENCE, step=0.05)
    health = gateway_health(settings)
    if child.poll() is None and health is not None and health["healthy"]:
        return
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    rest_log = project.logs / "postgrest.log"
    if health is not None and not health["rest"]["healthy"] and rest_log.exists():
        tail += "\n" + "\n".join(rest_log.read_text(errors="replace").splitlines()[-6:])
    if child.poll() is None:
        processes.end(child.pid)
    child.wait()
    raise EmbeddedError(f"The backend did not become healthy:\n{tail}", f"The logs are in {project.logs}.")


def _gateway_environment() -> dict[str, str]:
    # A PG* variable of the shell (PGPASSWORD, PGOPTIONS, ...) must not change what the gateway connects to.
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PGRST_"))}


# -- down ------------------------------------------------------------------------------------------------------


def down(project: Project) -> list[str]:
    """Stops everything of the project that runs; returns what was stopped, by name."""
    if not project.state.exists():
        return []
    with project.lock():
        return _stop(project)


def destroy(project: Project) -> list[Path]:
    """Stops everything and removes the project's data, secrets and logs; returns what was removed."""
    down(project)
    if not project.state.exists():
        return []
    shutil.rmtree(project.state)
    return [project.state]


def _stop(project: Project) -> list[str]:
    pids = [process.pid for process in project.running() if process.is_running()]
    stopped = _end_recorded(project)
    # Whatever version runs: the one that was chosen last may not be the one that was started.
    for data in sorted(project.state.glob("postgres-*")):
        if not data.name.removeprefix("postgres-").isdigit():
            continue
        try:
            server = PostgresServer(data, major=cast(Major, int(data.name.removeprefix("postgres-"))))
        except EmbeddedError:
            continue  # that version is no longer installed, so it does not run either
        if server.pid is not None:
            pids.append(server.pid)
            server.stop()
            stopped.append("postgres")
    processes.wait_reaped(pids)
    return stopped


def _end_recorded(project: Project) -> list[str]:
    """Ends the gateway, and what it had started in case it was killed before it could end that itself."""
    stopped = []
    for process in project.running():
        if process.is_running():
            processes.end(process.pid, patience=15.0)
            stopped.append(process.name)
    project.save_running([])
    return stopped
