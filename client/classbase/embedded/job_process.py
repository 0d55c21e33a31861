"""The process that runs the local backend's jobs: `classbase jobs run` on its database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from classbase.embedded import processes


class JobProcess:
    """`classbase jobs run`, started and ended with the gateway.

    Args:
        db_url: the database, as its owner.
        log: where what it says goes.
        directory: where it runs; the project's, which tells it from another's.
        environment: what else it is told, such as whom to wake when messages are due.
    """

    def __init__(self, db_url: str, *, log: Path, directory: Path, environment: Mapping[str, str]) -> None:
        self._db_url = db_url
        self._environment = dict(environment)
        self._log = log
        self._directory = directory
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its pid, or None when it does not run."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def spawn(self) -> None:
        """Starts it; does nothing when it runs. Raises OSError when that cannot be."""
        if self.pid is not None:
            return
        # The URL holds the password: in the environment it is seen by nobody else, among the arguments by everybody.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "SUPABASE_"))}
        environment |= {"DATABASE_URL": self._db_url, "NO_COLOR": "1", **self._environment}
        with self._log.open("ab") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "classbase", "jobs", "run", "--quiet"],
                cwd=self._directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ends it; the job at hand has five seconds, what it had done is undone after that."""
        if self._child is None:
            return
        if self._child.poll() is None:
            processes.end(self._child.pid, patience=5.0)
        self._child.wait()
        self._child = None
