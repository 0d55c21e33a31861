"""Many connections that do something at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.support.calls import read_refusal
from tests.support.server import Database

Connection = psycopg.Connection[Any]


def compete(
    database: Database, how_many: int, work: Callable[[Connection, random.Random], None], times: int = 12
) -> Counter[str]:
    """Runs `work` on so many connections at once; counts the codes of what was refused, "" for what was not."""

    def run(seed: int) -> Counter[str]:
        chance, said = random.Random(seed), Counter[str]()  # noqa: S311
        with database.connect() as by:
            for _ in range(times):
                try:
                    work(by, chance)
                    said[""] += 1
                except psycopg.Error as error:
                    if error.sqlstate == "40P01":
                        print(error, error.diag.context)  # who waited for whom: shown when the test fails
                    said[read_refusal(error).code if error.sqlstate == "PGRST" else error.sqlstate or "?"] += 1
        return said

    with ThreadPoolExecutor(how_many) as pool:
        return sum(pool.map(run, range(how_many)), Counter[str]())


def crowd(database: Database, size: int, work: Callable[[Connection, int], Any]) -> Counter[str]:
    """`size` connections call `work(connection, number)` at once; how many were "done", or refused with which code.

    A refusal that is not one of ours counts by its SQLSTATE.
    """
    start = threading.Barrier(size)

    def run(number: int) -> str:
        with database.connect() as connection:
            start.wait()
            try:
                work(connection, number)
            except psycopg.Error as error:
                return read_refusal(error).code if error.sqlstate == "PGRST" else error.sqlstate or "broken"
            return "done"

    with ThreadPoolExecutor(size) as pool:
        return Counter(pool.map(run, range(size)))
