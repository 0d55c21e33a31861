"""Waking functions/dispatch, which sends what waits in the outbox."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from classbase.cli.output import CommandError

URL, SECRET = "DISPATCH_URL", "DISPATCH_SECRET"
JOB = "dispatch_outbox"
_PATIENCE = 90.0


@dataclass(frozen=True)
class Dispatch:
    """Where the function is, and the secret it asks for."""

    url: str
    secret: str

    @classmethod
    def of_environment(cls) -> Dispatch | None:
        """The one that DISPATCH_URL and DISPATCH_SECRET name, or None."""
        url, secret = os.environ.get(URL), os.environ.get(SECRET)
        return cls(url, secret) if url and secret else None

    @classmethod
    def of_project(cls, origin: str | None, directory: Path | None) -> Dispatch:
        """The one of a project at `origin`; what the environment does not say comes from its functions' .env file.

        Raises:
            CommandError: nobody says where it is, or its secret.
        """
        from classbase.embedded.edge import read_secrets

        url = os.environ.get(URL) or (f"{origin}/functions/v1/dispatch" if origin else None)
        secret = os.environ.get(SECRET)
        if secret is None and directory is not None:
            secret = read_secrets(directory / "supabase" / "functions" / ".env").get(SECRET)
        if not url:
            raise CommandError("Where is functions/dispatch?", f"Set {URL}, or say --url.", code="no_url")
        if not secret:
            hint = f"Set {SECRET}; locally a line in supabase/functions/.env does it for the function as well."
            raise CommandError("functions/dispatch asks for its secret.", hint, code="no_secret")
        return cls(url, secret)

    def call(self, limit: int | None = None) -> dict[str, Any]:
        """Has it send what is due, at most `limit` messages; how many were sent, retried, failed and unreported.

        Raises:
            CommandError: it cannot be reached, or refuses.
        """
        try:
            answer = httpx.post(
                self.url,
                json={} if limit is None else {"limit": limit},
                headers={"x-dispatch-secret": self.secret},
                timeout=_PATIENCE,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"functions/dispatch cannot be reached: {type(error).__name__}"
            raise CommandError(message, self.url, code="unreachable") from None
        try:
            document = answer.json()
        except ValueError:
            document = {}
        if answer.status_code != 200 or not isinstance(document, dict):
            said = document if isinstance(document, dict) else {}
            message = said.get("message") or said.get("msg") or f"HTTP {answer.status_code}"
            raise CommandError(f"functions/dispatch refused: {message}", str(said.get("hint") or ""), code="refused")
        return document


class Waker:
    """Wakes the function after runs of the job that found something due; one call at a time, beside the jobs.

    Args:
        dispatch: whom to wake.
        warn: is told in a sentence when that did not work; the next minute's run wakes it again.
    """

    def __init__(self, dispatch: Dispatch, warn: Callable[[str], None]) -> None:
        self._dispatch = dispatch
        self._warn = warn
        self._call: threading.Thread | None = None

    def ran(self, run: dict[str, Any]) -> None:
        """Looks at a run of a job, as the columns of `run_due_jobs`."""
        found = run["job"] == JOB and run["status"] == "succeeded" and (run["result"] or "0") != "0"
        if found and (self._call is None or not self._call.is_alive()):
            # A daemon: whoever ends the runner does not wait for it; leases run out.
            self._call = threading.Thread(target=self._wake, daemon=True)
            self._call.start()

    def wait(self) -> None:
        """Returns once nothing is on its way any more."""
        if self._call is not None:
            self._call.join()

    def _wake(self) -> None:
        try:
            self._dispatch.call()
        except CommandError as error:
            self._warn(error.message)
