"""The foreground scheduler behind `classbase jobs run`: asks what is due, runs it, sleeps until the next."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

from classbase.client import Classbase
from classbase.errors import Busy, ClassbaseError, NetworkError, RateLimited, TimedOut

LONGEST_SLEEP = 60.0
# A job that is due although nothing ran is in another runner's hands.
SHORTEST_SLEEP = 1.0
_PASSES = (NetworkError, Busy, RateLimited, TimedOut)

Told = Callable[[dict[str, Any]], None]


class JobRunner:
    """Runs due jobs one after another, each in a call (and so a transaction) of its own.

    Any number may run against one database, beside pg_cron or not: a due time runs once.

    Args:
        client: whose backend; it must be allowed to run jobs.
        ran: is told each run, as the columns of `run_due_jobs`.
        warn: is told in a sentence that the backend cannot be reached.
        stop: set by whoever wants it to end; the job at hand is finished first.
    """

    def __init__(self, client: Classbase, ran: Told, warn: Callable[[str], None], stop: threading.Event) -> None:
        self._client = client
        self._ran = ran
        self._warn = warn
        self._stop = stop

    def run(self, *, once: bool = False) -> int:
        """Runs until told to stop, or until nothing is due any more; returns how many runs failed.

        A backend that cannot be reached is asked again, less and less often, at least every minute. That a call got no
        answer does not matter: what it ran is not due any more, what it did not run still is.

        Raises:
            ClassbaseError: asking again would not help (the caller may not run jobs); with `once` also when the
                backend cannot be reached.
        """
        failed, misses = 0, 0
        while not self._stop.is_set():
            try:
                runs = [row.model_dump() for row in self._client.operations.run_due_jobs(limit=1)]
                sleep = 0.0 if runs or once else self._seconds_to_next()
            except _PASSES as error:
                if once:
                    raise
                misses += 1
                sleep = self._wait_after(error, misses)
                self._stop.wait(sleep)
                continue
            misses = 0
            for run in runs:
                failed += run["status"] == "failed"
                self._ran(run)
            if once and not runs:
                break
            self._stop.wait(sleep)
        return failed

    def _seconds_to_next(self) -> float:
        """By the database's clock, so that ours need not be right."""
        waits = [row.due_in.total_seconds() for row in self._client.operations.job_status() if row.due_in is not None]
        return max(SHORTEST_SLEEP, min([*waits, LONGEST_SLEEP]))

    def _wait_after(self, error: ClassbaseError, misses: int) -> float:
        # Not for secrets: it only spreads those who wait for the same server.
        wait = min(LONGEST_SLEEP, 2.0 ** (misses - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._warn(f"{error.message} Trying again in {wait:.0f} s.")
        return wait
