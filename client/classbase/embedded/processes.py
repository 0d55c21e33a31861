"""Ports and processes: free ports on loopback, waiting, and ending what we started, always by pid."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable

import psutil

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A TCP port that nothing listens on at this moment, on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Whether a server could bind `port` on loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free, a port someone listens on is not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose_port(wanted: int) -> int:
    """`wanted` if it is free, otherwise the next free one above it (up to 200 further), otherwise any."""
    for port in range(wanted, min(wanted + 200, 65536)):
        if port_is_free(port):
            return port
    return free_port()


def alive(pid: int | None) -> bool:
    """Whether a process with this pid runs; a zombie, which only waits to be reaped, does not."""
    if pid is None or pid <= 0:
        return False
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def fingerprint(pid: int) -> list[str] | None:
    """What tells a process from others that may be given its pid later: its command line and where it works.

    Not when it was started: that is reckoned from the machine's clock, and changes when the clock is set.
    """
    try:
        process = psutil.Process(pid)
        # Between the moment it becomes another program and the one when its words are in place it has none.
        wait_until(lambda: bool(process.cmdline()), 1.0, step=0.001)
        return [*process.cmdline(), process.cwd()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def same_process(pid: int, known: list[str]) -> bool:
    """Whether `pid` still is the process whose fingerprint was `known`."""
    return alive(pid) and fingerprint(pid) == known


def family(pid: int) -> list[psutil.Process]:
    """The process and everything below it, or nothing when it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], bool], timeout: float, step: float = 0.02) -> bool:
    """Asks `condition` until it is true or `timeout` seconds have passed; returns the last answer."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)
    return True


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> bool:
    """Waits until none of `processes` runs."""

    def none_left() -> bool:
        return not any(p.is_running() and alive(p.pid) for p in listed)

    listed = list(processes)
    return wait_until(none_left, timeout)


def wait_reaped(pids: Iterable[int], timeout: float = 2.0) -> None:
    """Gives the machine's first process a moment to take away the remains of processes that have ended.

    Not all do (a container's may be any program), so this is a courtesy and no failure.
    """
    listed = [pid for pid in pids if not alive(pid)]
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in listed), timeout)


def end(pid: int, *, patience: float = 10.0) -> None:
    """Ends a process and all below it: asks first, after `patience` seconds kills. Returns when all are gone."""
    processes = family(pid)
    for process in processes[:1]:
        _signal(process.terminate)
    if not wait_gone(processes, patience):
        for process in processes:
            _signal(process.kill)
        wait_gone(processes, patience)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
