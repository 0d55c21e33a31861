"""functions/dispatch in real Deno, in front of a test's database and a test's provider."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from classbase import backend_files
from classbase.embedded import binaries
from classbase.embedded.edge import EdgeFunctions
from classbase.embedded.processes import LOOPBACK
from tests.support.edge_functions import project_address
from tests.support.provider import Provider
from tests.support.rest import Rest

SECRET = "a-secret-of-the-tests"  # noqa: S105


class Dispatcher:
    """One process that dispatches when told to."""

    def __init__(self, edge: EdgeFunctions, log: Path) -> None:
        self.log = log
        self._edge = edge
        url = f"http://{LOOPBACK}:{asyncio.run(edge.port('dispatch'))}"
        self.client = httpx.Client(base_url=url, timeout=90, trust_env=False)

    def post(self, body: Any = None, *, secret: str | None = SECRET, **headers: str) -> httpx.Response:
        """Calls it; `body` is sent as JSON, or as it is where it is bytes."""
        if secret is not None:
            headers = {"x-dispatch-secret": secret, **headers}
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.client.post("/dispatch", content=content, headers={"Content-Type": "application/json", **headers})

    def run(self, **body: Any) -> dict[str, int]:
        """Dispatches what is due; how many became what."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        counts: dict[str, int] = {key: value for key, value in answer.json().items() if key != "channels" and value}
        return counts

    def kill(self) -> None:
        """Ends it as a crash does."""
        os.kill(self._edge.children()["dispatch"], signal.SIGKILL)


@contextmanager
def serve_dispatcher(
    rest: Rest, provider: Provider, folder: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Dispatcher]:
    """Runs it with every channel's provider at `provider`; `settings` are further variables of its environment."""
    deno = binaries.deno()
    if deno is None:
        pytest.skip("Deno is not installed: make setup")
    folder.mkdir(exist_ok=True)
    with project_address(rest) as address:
        environment = {
            "SUPABASE_URL": address,
            "SUPABASE_ANON_KEY": rest.token("anon"),
            "SUPABASE_SERVICE_ROLE_KEY": rest.token("service_role"),
            "DISPATCH_SECRET": SECRET,
            "EMAIL_URL": f"{provider.address}/emails",
            "EMAIL_KEY": "re_key",
            "EMAIL_FROM": "Studio <hello@example.org>",
            "WEBHOOK_SECRET": "whsec_c2lnbmVkIHdpdGggdGhpcw==",
            "TWILIO_URL": provider.address,
            "TWILIO_ACCOUNT": "AC1",
            "TWILIO_TOKEN": "token",
            "SMS_FROM": "+15550100",
            "WHATSAPP_FROM": "+15550101",
            "DISPATCH_SEND_SECONDS": "2",
            **(settings or {}),
        }
        directory = backend_files.functions_dir().resolve()
        edge = EdgeFunctions(deno, directory, environment, logs=folder, cache=folder / "deno", changed=lambda: None)
        try:
            dispatcher = Dispatcher(edge, folder / "function-dispatch.log")
            with dispatcher.client:
                yield dispatcher
        finally:
            asyncio.run(edge.stop())
