"""A project directory's `.classbase/`: secrets, ports, data, logs, and who runs.

.classbase/
  project.json     secrets and chosen ports of this installation; only its owner reads it
  running.json     the gateway and its children, by pid, while they run
  postgres-18/     the data, one directory a major version
  logs/            gateway.log, postgrest.log, jobs.log, function-<name>.log
  node_modules/    PostgREST, Deno and supabase-js, where there is no checkout that has them
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from classbase.embedded import processes, tokens
from classbase.embedded.binaries import Major
from classbase.embedded.errors import EmbeddedError
from classbase.embedded.postgres import PostgresServer

STATE = ".classbase"
DEFAULT_PORT = 54321
DEFAULT_DB_PORT = 54322


@dataclass
class Settings:
    """What one installation keeps: random secrets, and the choices that later calls shall remember."""

    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    db_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    rest_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    sample_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    anon_key: str = ""
    service_role_key: str = ""
    port: int | None = None
    db_port: int | None = None
    major: int = 18
    external_db_url: str | None = None
    samples_in: list[str] = field(default_factory=list)
    jobs: bool = True

    def __post_init__(self) -> None:
        self.anon_key = self.anon_key or tokens.api_key("anon", self.jwt_secret)
        self.service_role_key = self.service_role_key or tokens.api_key("service_role", self.jwt_secret)


@dataclass(frozen=True)
class Running:
    """A process that was started for the project, with its fingerprint, so that a reused pid is not taken for it."""

    name: str
    pid: int
    fingerprint: list[str]

    def is_running(self) -> bool:
        """Whether it still runs."""
        return processes.same_process(self.pid, self.fingerprint)


class Project:
    """The state of the local backend that belongs to one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.state = self.directory / STATE

    @classmethod
    def find(cls, directory: Path | None = None) -> Project:
        """The project of `directory` (taken as it is), or of the current directory: the nearest one at or above it
        that holds `.classbase`, else the nearest with a `pyproject.toml` or `supabase/`, else the current one."""
        if directory is not None:
            return cls(directory)
        here = Path.cwd()
        places = [here, *here.parents]
        for marks in ((STATE,), ("pyproject.toml", "supabase")):
            for place in places:
                if any((place / mark).exists() for mark in marks):
                    return cls(place)
        return cls(here)

    # -- paths -------------------------------------------------------------------------------------------------

    @property
    def logs(self) -> Path:
        """Where the logs are."""
        return self.state / "logs"

    def data_dir(self, major: int) -> Path:
        """Where the data of that major version is."""
        return self.state / f"postgres-{major}"

    # -- what it keeps -----------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether a backend was ever set up here."""
        return (self.state / "project.json").exists()

    def prepare(self) -> Settings:
        """Makes `.classbase/` where it is missing and returns its settings, new random secrets the first time."""
        self.logs.mkdir(parents=True, exist_ok=True)
        os.chmod(self.state, 0o700 if os.geteuid() != 0 else 0o711)  # root's server user has to pass through
        os.chmod(self.logs, 0o700)
        (self.state / ".gitignore").write_text("*\n")
        if not self.exists():
            self.save(Settings())
        return self.settings()

    def settings(self) -> Settings:
        """The settings.

        Raises:
            EmbeddedError: nothing was ever set up here, or the file cannot be read.
        """
        path = self.state / "project.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EmbeddedError(f"There is no backend in {self.directory}.", "Run `classbase up`.") from None
        except json.JSONDecodeError as error:
            raise EmbeddedError(f"{path} is damaged: {error}", "Restore it, or `classbase down --destroy`.") from error
        known = {item.name for item in fields(Settings)}
        return Settings(**{key: value for key, value in document.items() if key in known})

    def save(self, settings: Settings) -> None:
        """Keeps the settings, readable by their owner only, whole or not at all."""
        _write_private(self.state / "project.json", asdict(settings))

    def running(self) -> list[Running]:
        """What was started for the project and may still run (the gateway first); Postgres keeps its own pid file."""
        try:
            document = json.loads((self.state / "running.json").read_text(encoding="utf-8"))
            return [Running(**item) for item in document]
        except (FileNotFoundError, json.JSONDecodeError):
            return []

    def save_running(self, running: list[Running]) -> None:
        """Keeps who runs; removes the file when nobody does."""
        path = self.state / "running.json"
        if running:
            _write_private(path, [asdict(process) for process in running])
        else:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One `up` or `down` at a time; the second waits for the first."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    # -- its database ------------------------------------------------------------------------------------------

    def server(self, settings: Settings) -> PostgresServer:
        """The project's own Postgres, whether it runs or not."""
        return PostgresServer(
            self.data_dir(settings.major),
            major=cast(Major, settings.major),
            port=settings.db_port or DEFAULT_DB_PORT,
            auth="scram",
            password=settings.db_password,
            settings={"shared_preload_libraries": "pg_stat_statements", "wal_level": "logical"},
        )

    def rest_role(self, settings: Settings) -> str:
        """The database role that PostgREST connects as: the platform's own name on a server of ours; on a server
        that others use too, one of the project's own, since each installation has its own password."""
        if settings.external_db_url is None:
            return "authenticator"
        return "classbase_rest_" + hashlib.sha256(str(self.directory).encode()).hexdigest()[:10]


def _write_private(path: Path, document: Any) -> None:
    # A file of its own for each writer, made with mode 600, that takes the place of the old one at once.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    Path(file.name).replace(path)
