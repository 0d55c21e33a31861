"""Edge Functions in real Deno, in front of a test's database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from classbase import backend_files
from classbase.embedded import binaries
from classbase.embedded.edge import EdgeFunctions
from classbase.embedded.processes import LOOPBACK
from tests.support.rest import Rest


@contextmanager
def serve_function(
    name: str, rest: Rest, folder: Path, secrets: Mapping[str, str] | None = None
) -> Iterator[httpx.Client]:
    """Runs one function against the database behind `rest`; gives a client of it, whose paths begin with the name.

    `folder` is where its log goes (`function-<name>.log`), `secrets` are further variables of its environment. Skips
    where Deno is not installed.
    """
    deno = binaries.deno()
    if deno is None:
        pytest.skip("Deno is not installed: make setup")
    with project_address(rest) as address:
        environment = {
            "SUPABASE_URL": address,
            "SUPABASE_ANON_KEY": rest.token("anon"),
            "SUPABASE_SERVICE_ROLE_KEY": rest.token("service_role"),
            **(secrets or {}),
        }
        directory = backend_files.functions_dir().resolve()
        edge = EdgeFunctions(deno, directory, environment, logs=folder, cache=folder / "deno", changed=lambda: None)
        try:
            url = f"http://{LOOPBACK}:{asyncio.run(edge.port(name))}"
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield client
        finally:
            asyncio.run(edge.stop())


@contextmanager
def project_address(rest: Rest) -> Iterator[str]:
    """An address below which REST is at /rest/v1, as supabase-js and the command line look for it."""

    class PassOn(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # so that connections are kept, as a gateway does
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")}
            path = self.path.removeprefix("/rest/v1")
            answer = client.request(self.command, rest.url + path, content=body, headers=kept)
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Range"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    # One for all: each takes its time to make.
    client = httpx.Client(timeout=60, trust_env=False)
    server = ThreadingHTTPServer((LOOPBACK, 0), PassOn)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()
