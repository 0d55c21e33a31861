"""How the local backend of a directory is, from the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from classbase.embedded import processes
from classbase.embedded.errors import EmbeddedError
from classbase.embedded.project import DEFAULT_PORT, Project, Settings

HEALTH_PATH = "/classbase/health"


@dataclass(frozen=True)
class Status:
    """The state of the local backend; addresses are None when what they lead to is not up.

    `pid` is the gateway's, `jobs_pid` that of what runs the jobs. `healthy` means: Postgres and the gateway answer, and
    so does REST where it is installed.
    """

    project_dir: str
    api_url: str | None = None
    rest_url: str | None = None
    auth_url: str | None = None
    functions_url: str | None = None
    anon_key: str | None = None
    service_role_key: str | None = None
    db_url: str | None = None
    pid: int | None = None
    db_pid: int | None = None
    postgres: str | None = None
    database_running: bool = False
    healthy: bool = False
    missing: tuple[str, ...] = ()
    jobs_pid: int | None = None
    jobs_on: bool = True


def gateway_pid(project: Project) -> int | None:
    """The gateway's pid, or None when it does not run."""
    for process in project.running():
        if process.name == "gateway" and process.is_running():
            return process.pid
    return None


def gateway_health(settings: Settings, timeout: float = 5.0) -> dict[str, Any] | None:
    """What the gateway says about itself, or None when it does not answer or is not this project's."""
    url = f"http://{processes.LOOPBACK}:{settings.port or DEFAULT_PORT}{HEALTH_PATH}"
    try:
        answer = httpx.get(url, timeout=timeout, headers={"apikey": settings.service_role_key}, trust_env=False)
        return dict(answer.json()) if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None


def database_url(project: Project, settings: Settings) -> str | None:
    """The URL of the database as its owner, or None when the project's own server does not run."""
    if settings.external_db_url:
        return settings.external_db_url
    try:
        server = project.server(settings)
    except EmbeddedError:
        return None  # the version that was used is no longer installed
    return server.dsn() if server.is_running() else None


def read_status(project: Project) -> Status:
    """How the backend is; asks the processes and the database, changes nothing."""
    name = str(project.directory)
    if not project.exists():
        return Status(name)
    settings = project.settings()
    db_url = database_url(project, settings)
    version = _server_version(db_url)
    db_pid = None
    if settings.external_db_url is None and version is not None:
        db_pid = project.server(settings).pid
    pid = gateway_pid(project)
    health = gateway_health(settings) if pid is not None else None
    if health is None or health.get("pid") != pid:
        return Status(name, db_url=db_url, db_pid=db_pid, postgres=version, database_running=version is not None)
    api_url = f"http://{processes.LOOPBACK}:{settings.port}"
    has_rest, has_functions = bool(health["rest"]["available"]), bool(health["functions"]["available"])
    return Status(
        project_dir=name,
        api_url=api_url,
        rest_url=f"{api_url}/rest/v1" if has_rest else None,
        auth_url=f"{api_url}/auth/v1",
        functions_url=f"{api_url}/functions/v1" if has_functions else None,
        anon_key=settings.anon_key,
        service_role_key=settings.service_role_key,
        db_url=db_url,
        pid=pid,
        db_pid=db_pid,
        postgres=version,
        database_running=version is not None,
        healthy=version is not None and bool(health["healthy"]),
        missing=tuple(
            name for name, there in (("PostgREST", has_rest), ("Deno", has_functions)) if not there
        ),
        jobs_pid=health["jobs"]["pid"],
        jobs_on=bool(health["jobs"]["available"]),
    )  # fmt: skip


def _server_version(db_url: str | None) -> str | None:
    if db_url is None:
        return None
    try:
        with psycopg.connect(db_url, connect_timeout=5) as conn:
            row = conn.execute("show server_version").fetchone()
            return str(row[0]) if row else None
    except psycopg.OperationalError:
        return None
