"""Somebody else's HTTP API on loopback: writes down what it is sent, knows keys it has seen, fails when told to."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from classbase.embedded.processes import LOOPBACK


@dataclass(frozen=True)
class Received:
    """One request: `number` counts those with its key, from 1."""

    path: str
    headers: dict[str, str]
    body: str
    key: str
    number: int


@dataclass(frozen=True)
class Answer:
    """What it answers; `delivers` says whether it counts as delivered, `hangs` until when it answers nothing."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    delivers: bool = True
    hangs: threading.Event | None = None


class Provider:
    """Answers 200 and delivers, unless `behave` says otherwise; a key that was delivered is never delivered again."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.behave: Callable[[Received], Answer] = lambda received: Answer()
        self.received: list[Received] = []
        self.delivered: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def take(self, path: str, headers: dict[str, str], body: str) -> Answer:
        """Takes a request and says what is answered."""
        key = headers.get("idempotency-key", "")
        with self.lock:
            received = Received(path, headers, body, key, 1 + sum(one.key == key for one in self.received))
            self.received.append(received)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.behave(received)
            if 200 <= answer.status < 300 and answer.delivers:
                with self.lock:
                    self.delivered[key] |= 1
            if answer.hangs is not None:
                answer.hangs.wait(60)
            return answer
        finally:
            with self.lock:
                self.at_once -= 1


@contextmanager
def serve_provider() -> Iterator[Provider]:
    """A provider on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = provider.take(self.path, headers, body)
            content = (answer.body or json.dumps({"id": f"re_{headers.get('idempotency-key')}"})).encode()
            try:
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                pass  # who asked has left

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    provider = Provider(f"http://{LOOPBACK}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
