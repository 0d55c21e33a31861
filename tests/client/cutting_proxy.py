"""A TCP proxy that loses answers: it passes everything on until it has seen the answer that matters, then cuts."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

# What a server says when the work has been done: Postgres after a commit, PostgREST with its first line (it has
# committed by then).
COMMITTED = b"COMMIT\x00"
ANSWERED = b"HTTP/1.1 "


class CuttingProxy:
    """Listens on loopback in front of `host:port` and drops the next `cuts` answers that hold `mark`.

    The connection is reset at that moment, on both sides, and the answer is never passed on.
    """

    def __init__(self, host: str, port: int, mark: bytes) -> None:
        self._target = (host, port)
        self._mark = mark
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.cuts = 0
        self.was_cut = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @classmethod
    @contextmanager
    def before(cls, url: str, mark: bytes) -> Iterator[CuttingProxy]:
        """A proxy in front of a URL or connection URI, stopped at the end."""
        target = urlsplit(url)
        assert target.hostname is not None
        assert target.port is not None
        proxy = cls(target.hostname, target.port, mark)
        threading.Thread(target=proxy._accept, daemon=True).start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                proxy._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for somebody
            proxy._listener.close()

    def address(self, url: str) -> str:
        """The same URL by way of the proxy."""
        return url.replace(f":{urlsplit(url).port}", f":{self.port}", 1)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        tail = b""
        try:
            while chunk := source.recv(65536):
                seen, tail = tail + chunk, (tail + chunk)[-len(self._mark) :]
                if answers and self._mark in seen and self._take_cut():
                    break
                sink.sendall(chunk)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                _reset(each)

    def _take_cut(self) -> bool:
        with self._lock:
            if self.cuts == 0:
                return False
            self.cuts -= 1
            self.was_cut += 1
            return True


def _reset(each: socket.socket) -> None:
    try:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()
