"""A server to measure on, two ways of doing a thing timed in turns, and the table they end in.

Ratios are what counts: both sides run in the same minute, on the same server, in alternating order, so that what else
the machine does falls on both. Nothing here fails for being slow.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from classbase.embedded.binaries import postgrest
from classbase.embedded.postgres import PostgresServer
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.server import Database, TestServer


@dataclass(frozen=True)
class Ratio:
    """One line of the result: `what` took `ms` where `against` took `against_ms` (medians, a call).

    `ratio` is the median of the rounds' own ratios; `target` the most it should be, None where nothing was promised.
    """

    what: str
    against: str
    ms: float
    against_ms: float
    ratio: float
    target: float | None = None

    @property
    def verdict(self) -> str:
        """ "ok", "missed", or nothing where there is no target."""
        if self.target is None:
            return ""
        return "ok" if self.ratio <= self.target else "missed"


def side_by_side(
    what: str,
    subject: Callable[[], object],
    against: str,
    reference: Callable[[], object],
    *,
    rounds: int,
    calls: int = 1,
    target: float | None = None,
    before_subject: Callable[[], object] | None = None,
    before_reference: Callable[[], object] | None = None,
) -> Ratio:
    """Times `subject` and `reference` in turns, whoever went second going first the next time.

    Each makes `calls` calls. The `before_…` run ahead of each, untimed. The first round only warms up.
    """
    sides = ((subject, before_subject), (reference, before_reference))
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            work, before = sides[side]
            if before is not None:
                before()
            elapsed = _timed(work)
            if number > 0:
                seconds[side].append(elapsed)
    of_subject, of_reference = seconds
    return Ratio(
        what,
        against,
        statistics.median(of_subject) / calls * 1000,
        statistics.median(of_reference) / calls * 1000,
        statistics.median(mine / theirs for mine, theirs in zip(of_subject, of_reference, strict=True)),
        target,
    )


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


@contextmanager
def scratch_server(major: int = 18) -> Iterator[TestServer]:
    """A server with sql/ loaded into its template, removed afterwards.

    Unlike the tests', it keeps every default of Postgres: fsync and synchronous commits are on, 128 MB are shared.
    """
    folder = Path(tempfile.mkdtemp(prefix="classbase-bench-"))
    folder.chmod(0o755)
    process = PostgresServer(folder / "data", major=major)  # type: ignore[arg-type]
    server: TestServer | None = None
    try:
        process.start()
        server = TestServer(process.dsn(), process, folder)
        server.prepare()
        yield server
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


def crowd(database: Database, script: str, clients: int, transactions: int, options: str = "") -> float:
    """Lets so many clients of pgbench run a script so often each, all at once; milliseconds between commits."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script + "\n")
        file.flush()
        done = subprocess.run(
            [
                str(database.server.bin_dir / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
                "-t", str(transactions), "-f", file.name, database.dsn,
            ],
            env={**os.environ, "PGOPTIONS": options}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert f"{clients * transactions}/{clients * transactions}" in done.stdout, done.stdout + done.stderr
    a_second = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))
    return 1000 / a_second


def sign_in(connection: psycopg.Connection[Any], user: User) -> psycopg.Connection[Any]:
    """Makes a connection act as `user` for the rest of its life, as PostgREST would for one request."""
    connection.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(user.claims())])
    connection.execute("set role authenticated")
    return connection


@contextmanager
def over_http(database: Database) -> Iterator[Rest | None]:
    """A PostgREST of its own; None, and a word why, where there is none to start."""
    if postgrest(None) is None:
        say("Left out: PostgREST is not installed (it comes with `make setup` where there is Node).")
        yield None
        return
    with Rest.serve(database) as serving:
        yield serving


def say(message: str) -> None:
    """A word about what goes on, on stderr."""
    print(message, file=sys.stderr, flush=True)


def show(ratios: list[Ratio]) -> None:
    """Prints the table, one line a ratio, on stdout."""
    table = Table("what", "ms", "against", "ms", "ratio", "target", "")
    for ratio in ratios:
        table.add_row(
            ratio.what,
            f"{ratio.ms:.2f}",
            ratio.against,
            f"{ratio.against_ms:.2f}",
            f"{ratio.ratio:.2f}",
            "" if ratio.target is None else f"≤ {ratio.target}",
            ratio.verdict,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
