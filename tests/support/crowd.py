"""Many connections that do the same thing at the same moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tests.support.calls import read_refusal
from tests.support.server import Database


def crowd(database: Database, size: int, work: Callable[[psycopg.Connection[Any], int], Any]) -> Counter[str]:
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
