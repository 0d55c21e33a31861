"""Waiting for what is seen to happen, never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

PATIENCE = 60.0  # seconds; only a test that fails ever waits this long


def until(condition: Callable[[], bool], what: str) -> None:
    """Returns once `condition` is true; raises AssertionError naming `what` when it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE:.0f} s"
        time.sleep(0.005)


def is_blocked(observer: psycopg.Connection[Any], waiting: psycopg.Connection[Any]) -> bool:
    """Whether `waiting` is seen to wait for a lock of another connection."""
    row = observer.execute("select cardinality(pg_blocking_pids(%s)) > 0", [waiting.info.backend_pid]).fetchone()
    return row is not None and bool(row[0])


def until_blocked(observer: psycopg.Connection[Any], waiting: psycopg.Connection[Any]) -> None:
    """Returns once `waiting`, which runs a statement in another thread, waits for somebody's lock."""
    until(lambda: is_blocked(observer, waiting), "the second connection's wait")
