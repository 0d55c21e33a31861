"""The one local origin: `/rest/v1`, `/auth/v1` and `/functions/v1` as a Supabase project serves them.

`classbase up` starts it as a process of its own (`python -m classbase.embedded.gateway DIRECTORY`). It starts
PostgREST and what runs the jobs and keeps them running, starts Edge Functions when they are called, and ends all of
them when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import psycopg
from aiohttp import web
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from yarl import URL

from classbase import backend_files
from classbase.embedded import binaries, processes, tokens
from classbase.embedded.auth.routes import AuthRoutes
from classbase.embedded.auth.service import AuthService
from classbase.embedded.auth.store import Conn
from classbase.embedded.config import Config, read_config
from classbase.embedded.edge import EdgeFunctions, functions_beside, read_secrets
from classbase.embedded.errors import EmbeddedError
from classbase.embedded.job_process import JobProcess
from classbase.embedded.postgrest import PostgrestServer
from classbase.embedded.project import DEFAULT_PORT, Project, Running
from classbase.embedded.proxy import client_session, forward
from classbase.embedded.status import HEALTH_PATH, database_url
from classbase.embedded.web import Refusal, api_key, bearer, cors_headers, preflight

log = logging.getLogger("classbase.gateway")

_NO_REST = "Node.js 20 or later is needed for it: install it, then `classbase down` and `classbase up`."


class Gateway:
    """Everything behind the origin of one project."""

    def __init__(self, project: Project, config: Config) -> None:
        self.project = project
        self.settings = project.settings()
        self.config = config
        self.port = self.settings.port or DEFAULT_PORT
        self.url = f"http://{processes.LOOPBACK}:{self.port}"
        db_url = database_url(project, self.settings)
        if db_url is None:
            raise EmbeddedError("Postgres is not running.", "Run `classbase up`.")
        self.db_url = db_url
        self.pool: AsyncConnectionPool[Conn] = AsyncConnectionPool(
            db_url,
            min_size=1,
            max_size=6,
            open=False,
            kwargs={"row_factory": dict_row, "autocommit": True, "application_name": "classbase gateway"},
            check=AsyncConnectionPool.check_connection,
        )
        self.rest = self._postgrest()
        self.edge = self._edge_functions()
        self.jobs = self._jobs() if self.settings.jobs else None
        self._session: aiohttp.ClientSession | None = None
        self._rest_ready = False

    def _postgrest(self) -> PostgrestServer | None:
        if binaries.postgrest(self.project.directory) is None:
            return None
        role = self.project.rest_role(self.settings)
        return PostgrestServer(
            make_conninfo(self.db_url, user=role, password=self.settings.rest_password),
            self.settings.jwt_secret,
            log=self.project.logs / "postgrest.log",
            max_rows=self.config.max_rows,
            env={"PGRST_OPENAPI_SERVER_PROXY_URI": f"{self.url}/rest/v1"},
            project=self.project.directory,
        )

    def _edge_functions(self) -> EdgeFunctions | None:
        deno = binaries.deno(self.project.directory)
        modules = binaries.node_modules_dirs(self.project.directory)
        if deno is None or not modules:
            return None
        environment = {
            **read_secrets(self.project.directory / "supabase" / "functions" / ".env"),
            "SUPABASE_URL": self.url,
            "SUPABASE_ANON_KEY": self.settings.anon_key,
            "SUPABASE_SERVICE_ROLE_KEY": self.settings.service_role_key,
            "SUPABASE_DB_URL": self.db_url,
        }
        return EdgeFunctions(
            deno,
            functions_beside(modules[0], backend_files.functions_dir()),
            environment,
            logs=self.project.logs,
            cache=self.project.state / "deno",
            changed=self.record,
        )

    def _jobs(self) -> JobProcess:
        # A message that is due wakes the function that sends it, where the function has a secret to be woken with.
        secret = self.edge.environment.get("DISPATCH_SECRET") if self.edge is not None else None
        wake = {"DISPATCH_URL": f"{self.url}/functions/v1/dispatch", "DISPATCH_SECRET": secret} if secret else {}
        log_file = self.project.logs / "jobs.log"
        return JobProcess(self.db_url, log=log_file, directory=self.project.state, environment=wake)

    # -- routes ------------------------------------------------------------------------------------------------

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[_around], client_max_size=4 * 1024**2)
        service = AuthService(self.config.auth, self.settings.jwt_secret, f"{self.url}/auth/v1")
        app.router.add_get("/", self.root)
        app.router.add_get(HEALTH_PATH, self.health)
        app.router.add_route("*", "/rest/v1{path:(/.*)?}", self.to_rest)
        AuthRoutes(service, self.pool, version("classbase")).add_to(app, "/auth/v1")
        app.router.add_route("*", "/functions/v1/{name:[^/]+}{path:(/.*)?}", self.to_function)
        app.router.add_route("*", "/{service:realtime|storage|graphql}/v1{path:(/.*)?}", self.elsewhere)
        app.router.add_route("*", "/{path:.*}", self.nowhere)
        return app

    async def root(self, request: web.Request) -> web.Response:
        """What this is, for whoever opens it in a browser."""
        return web.json_response(
            {
                "name": "classbase local backend",
                "version": version("classbase"),
                "rest_url": f"{self.url}/rest/v1" if self.rest else None,
                "auth_url": f"{self.url}/auth/v1",
                "functions_url": f"{self.url}/functions/v1" if self.edge else None,
                "note": "For development, on this machine only.",
            }
        )

    async def health(self, request: web.Request) -> web.Response:
        """How the parts are; for the service key only, since it names pids."""
        key = api_key(request, self.settings.jwt_secret) or bearer(request) or ""
        if not self._is_service(key):
            raise Refusal(403, "forbidden", "Only the service role key may ask.")
        rest_ready = self.rest is not None and await asyncio.to_thread(self.rest.ready)
        database = await self._database_answers()
        return web.json_response(
            {
                "pid": os.getpid(),
                "healthy": database and (self.rest is None or rest_ready),
                "database": {"healthy": database},
                "rest": {"available": self.rest is not None, "healthy": rest_ready},
                "jobs": {"available": self.jobs is not None, "pid": self.jobs.pid if self.jobs else None},
                "functions": {
                    "available": self.edge is not None,
                    "names": self.edge.names() if self.edge else [],
                    "running": sorted(self.edge.children()) if self.edge else [],
                },
            }
        )

    async def to_rest(self, request: web.Request) -> web.StreamResponse:
        """Passes a call to PostgREST, with the API key as token when the caller is not signed in."""
        key = api_key(request, self.settings.jwt_secret)
        if self.rest is None:
            raise Refusal(503, "no_rest", "REST is not available: PostgREST is not installed.", _NO_REST)
        # `apikey` in the query is the gateway's; PostgREST would take it for a filter on a column.
        query = "&".join(p for p in request.rel_url.raw_query_string.split("&") if p and not p.startswith("apikey="))
        path = request.rel_url.raw_path.removeprefix("/rest/v1") or "/"
        return await forward(
            self._client(),
            request,
            URL(f"{self.rest.url}{path}{'?' + query if query else ''}", encoded=True),
            headers={"Authorization": f"Bearer {key}"} if bearer(request) is None and key else {},
            answer_headers=cors_headers(),
            unreachable=Refusal(503, "unavailable", "REST is starting again.", "Try again in a moment."),
        )

    async def to_function(self, request: web.Request) -> web.StreamResponse:
        """Passes a call to an Edge Function, after looking at its token where config.toml wants that."""
        name = request.match_info["name"]
        if self.edge is None:
            raise Refusal(503, "no_functions", "Edge Functions are not available: Deno is not installed.", _NO_REST)
        if request.method != "OPTIONS" and self.config.verifies_jwt(name):
            token = bearer(request)
            if token is None:
                raise Refusal(401, 401, "Missing authorization header")
            try:
                tokens.verify(token, self.settings.jwt_secret)
            except jwt.InvalidTokenError:
                raise Refusal(401, 401, "Invalid JWT") from None
        port = await self.edge.port(name)
        path = request.rel_url.raw_path.removeprefix("/functions/v1")
        query = request.rel_url.raw_query_string
        return await forward(
            self._client(),
            request,
            URL(f"http://{processes.LOOPBACK}:{port}{path}{'?' + query if query else ''}", encoded=True),
            unreachable=Refusal(503, "unavailable", "The function ended unexpectedly.", "Its log says why."),
        )

    async def elsewhere(self, request: web.Request) -> web.Response:
        """The platform's services that are not part of the local backend."""
        service = request.match_info["service"]
        hint = (
            "Live changes come from the change feed: rpc/changes_since, or LISTEN/NOTIFY."
            if service == "realtime"
            else "Use a hosted project for it."
        )
        raise Refusal(501, "not_implemented", f"The local backend has no {service} service.", hint)

    async def nowhere(self, request: web.Request) -> web.Response:
        """Paths that mean nothing here."""
        raise Refusal(404, "not_found", "no Route matched with those values", "/rest/v1, /auth/v1, /functions/v1")

    # -- life --------------------------------------------------------------------------------------------------

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then ends everything it started."""
        runner = web.AppRunner(
            self.application(), handler_cancellation=True, max_line_size=65536, max_field_size=65536, access_log=None
        )
        await runner.setup()
        await web.TCPSite(runner, processes.LOOPBACK, self.port, shutdown_timeout=2.0).start()
        self.record()
        await self.pool.open()
        self._session = client_session()
        keepers = [
            asyncio.create_task(self._keep_running(name, part, pause))
            for name, part, pause in (("PostgREST", self.rest, 0.2), ("what runs the jobs", self.jobs, 5.0))
            if part is not None
        ]
        log.info("serving %s", self.url)
        try:
            await stop.wait()
        finally:
            for keeper in keepers:
                keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeper
            await self._session.close()
            await runner.cleanup()
            if self.edge is not None:
                await self.edge.stop()
            if self.jobs is not None:
                await asyncio.to_thread(self.jobs.stop)
            if self.rest is not None:
                await asyncio.to_thread(self.rest.stop)
            await self.pool.close()
            self.project.save_running([])
            log.info("ended")

    async def _keep_running(self, name: str, part: PostgrestServer | JobProcess, shortest: float) -> None:
        """Starts a part, and again when it ends: after `shortest` seconds, longer when it keeps ending."""
        pause = 0.0
        while True:
            if part.pid is None:
                await asyncio.sleep(pause)
                try:
                    await asyncio.to_thread(part.spawn)
                    log.info("%s: pid %s", name, part.pid)
                    self.record()
                except (EmbeddedError, psycopg.Error, OSError) as error:
                    log.warning("%s cannot be started: %s", name, error)
                pause = min(max(shortest, pause * 2), 10.0)
            else:
                pause = max(shortest, pause / 2)
            await asyncio.sleep(0.5)

    def record(self) -> None:
        """Keeps on disk who runs, for `status` and `down`."""
        pids = {"gateway": os.getpid()}
        if self.rest is not None and self.rest.pid is not None:
            pids["postgrest"] = self.rest.pid
        if self.jobs is not None and self.jobs.pid is not None:
            pids["jobs"] = self.jobs.pid
        if self.edge is not None:
            pids |= {f"function {name}": pid for name, pid in self.edge.children().items()}
        known = {name: processes.fingerprint(pid) for name, pid in pids.items()}
        self.project.save_running([Running(n, pids[n], words) for n, words in known.items() if words is not None])

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise Refusal(503, "unavailable", "The gateway is starting.", "Try again in a moment.")
        return self._session

    def _is_service(self, key: str) -> bool:
        try:
            return tokens.verify(key, self.settings.jwt_secret).get("role") == "service_role"
        except jwt.InvalidTokenError:
            return False

    async def _database_answers(self) -> bool:
        try:
            async with self.pool.connection(timeout=3) as conn:
                await conn.execute("select 1")
        except psycopg.Error:
            return False
        return True


@web.middleware
async def _around(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answers browsers' preflights (functions answer their own) and turns refusals into answers."""
    if request.method == "OPTIONS" and request.path.startswith(("/rest/v1", "/auth/v1")):
        return preflight(request)
    try:
        answer: web.StreamResponse = await handler(request)
    except Refusal as refusal:
        # A page is told why only after its browser was told that it may ask.
        return preflight(request) if request.method == "OPTIONS" else refusal.response()
    return answer


async def _run(directory: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await Gateway(Project(directory), read_config()).serve(stop)


def main() -> None:
    """Serves the project whose directory is the only argument, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="classbase.embedded.gateway", description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(_run(directory))


if __name__ == "__main__":
    main()
