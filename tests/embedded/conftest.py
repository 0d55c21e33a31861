"""A local backend in a directory of its own, driven through the command line as people drive it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from classbase.embedded.processes import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
_OURS = ("SUPABASE_", "DATABASE_URL", "PG", "CLASSBASE_")


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment of the tests without what would point a command at another backend."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "200", **changes}


@dataclass
class Backend:
    """A project directory and the command line in it."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Runs `classbase ARGUMENTS` for this project and returns what it said."""
        command = [sys.executable, "-m", "classbase", *arguments, "--project-dir", str(self.directory)]
        environment = clean_environment(**self.environment, **changes)
        return subprocess.run(
            command, env=environment, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=240,
        )  # fmt: skip

    def json(self, *arguments: str, **changes: str) -> dict[str, Any]:
        """Runs a command with --json, expects it to succeed, returns its document."""
        done = self.run(*arguments, "--json", **changes)
        assert done.returncode == 0, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def up(self, *arguments: str, **changes: str) -> dict[str, Any]:
        """Brings it up; the first time on free ports, so that tests run beside each other."""
        ports: list[str] = []
        if not (self.directory / ".classbase").exists():
            if "--port" not in arguments:
                ports += ["--port", str(free_port())]
            if "--db-port" not in arguments and "--db-url" not in arguments:
                ports += ["--db-port", str(free_port())]
        return self.json("up", *ports, *arguments, **changes)

    def status(self) -> dict[str, Any]:
        """What `classbase status --json` says, up or not."""
        document: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return document

    def processes(self) -> list[psutil.Process]:
        """Every running process that has to do with this directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                words = [*process.cmdline(), process.cwd(), process.environ().get("DENO_DIR", "")]
                if process.status() != psutil.STATUS_ZOMBIE and any(str(self.directory) in word for word in words):
                    found.append(process)
        return found

    def kill_everything(self) -> None:
        """SIGKILL to all of it at once, as when the machine loses power."""
        listed = self.processes()
        for process in listed:
            process.suspend()  # so that none can react to another's end
        for process in listed:
            process.kill()
        psutil.wait_procs(listed, timeout=20)


def fresh_directory(name: str) -> Path:
    """A new directory, not below pytest's own: every run of pytest as root closes that to other users again, and a
    Postgres that runs as one of them, for another run at the same time, could no longer reach its data."""
    return Path(tempfile.mkdtemp(prefix=f"classbase-{name}-"))


@pytest.fixture
def new_backend() -> Iterator[Callable[..., Backend]]:
    """Makes backends, each in a fresh directory; whatever still runs of them is ended."""
    made: list[Backend] = []

    def make(**environment: str) -> Backend:
        made.append(Backend(fresh_directory("project"), environment))
        return made[-1]

    yield make
    for one in made:
        one.run("down")
        for process in one.processes():
            process.kill()
        shutil.rmtree(one.directory)


@pytest.fixture
def backend(new_backend: Callable[..., Backend]) -> Backend:
    """A directory in which nothing is up yet."""
    return new_backend()


def copy_checkout(to: Path, *, node_modules: bool) -> Path:
    """The backend's files without the rest of the checkout, with or without its node_modules."""
    for name in ("client", "sql", "supabase", "functions"):
        shutil.copytree(CHECKOUT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", ".temp"))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(CHECKOUT / name, to / name)
    if node_modules:
        (to / "node_modules").symlink_to(CHECKOUT / "node_modules")
    return to


@dataclass(frozen=True)
class Origin:
    """A backend that is up, with our functions and those of these tests, shared by tests that only call it."""

    backend: Backend
    checkout: Path
    up: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.up["api_url"])

    @property
    def anon(self) -> str:
        return str(self.up["anon_key"])

    @property
    def service(self) -> str:
        return str(self.up["service_role_key"])

    def client(self, **headers: str) -> httpx.Client:
        """A client of the origin."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection as the owner."""
        return psycopg.connect(str(self.up["db_url"]), autocommit=True)


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """The shared backend."""
    if not (CHECKOUT / "node_modules" / ".bin").is_dir():
        pytest.skip("Node's packages are not installed: make setup")
    checkout = copy_checkout(fresh_directory("checkout"), node_modules=True)
    shutil.copytree(CHECKOUT / "tests" / "embedded" / "functions", checkout / "functions", dirs_exist_ok=True)
    with (checkout / "supabase" / "config.toml").open("a") as config:
        config.write("\n[functions.events]\nverify_jwt = false\n")
    backend = Backend(fresh_directory("origin"), {"PYTHONPATH": str(checkout / "client")})
    try:
        yield Origin(backend, checkout, backend.up())
    finally:
        backend.run("down")
        assert backend.processes() == []
        shutil.rmtree(backend.directory)
        shutil.rmtree(checkout)


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
