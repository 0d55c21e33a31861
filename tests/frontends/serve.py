"""The page of this folder on a port of its own, as a frontend is hosted beside a Supabase project.

    .venv/bin/classbase up --sample
    .venv/bin/python -m tests.frontends.serve

serves it for the local backend of this directory until Ctrl-C.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
_MODULES = Path(__file__).parents[2] / "node_modules"
# Both come ready for a browser.
LIBRARIES = {
    "/lib/supabase.js": _MODULES / "@supabase" / "supabase-js" / "dist" / "umd" / "supabase.js",
    "/lib/eventsource-parser/stream.js": _MODULES / "eventsource-parser" / "dist" / "stream.js",
    "/lib/eventsource-parser/index.js": _MODULES / "eventsource-parser" / "dist" / "index.js",
}


def server(address: str, key: str, port: int = 0) -> ThreadingHTTPServer:
    """A server of the page for the project at `address`, with its public key; it listens, and serves once told to."""
    project = json.dumps({"address": address, "key": key}).encode()

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(PAGE))

        def do_GET(self) -> None:
            if self.path != "/project.json":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(project)))
            self.end_headers()
            self.wfile.write(project)

        def translate_path(self, path: str) -> str:
            library = LIBRARIES.get(path)
            return str(library) if library is not None else super().translate_path(path)

        def end_headers(self) -> None:
            # As every frontend should: scripts from here only, calls to the project only.
            self.send_header(
                "Content-Security-Policy",
                f"default-src 'self'; connect-src 'self' {address}; img-src 'self' data:; "
                "base-uri 'none'; frame-ancestors 'none'",
            )
            self.send_header("Cache-Control", "no-store")
            super().end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return ThreadingHTTPServer((LOOPBACK, port), Handler)


@contextmanager
def serving(address: str, key: str) -> Iterator[str]:
    """Serves the page on a free port; gives its address."""
    site = server(address, key)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{site.server_port}"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


def main() -> None:
    """Serves the page for the local backend of this directory."""
    status = subprocess.run(
        [sys.executable, "-m", "classbase", "status", "--json"], capture_output=True, text=True, check=False
    )
    if status.returncode != 0:
        sys.exit(status.stderr or "The local backend is not up: classbase up --sample")
    backend = json.loads(status.stdout)
    with server(backend["api_url"], backend["anon_key"], 3000) as site:
        print(f"http://{LOOPBACK}:{site.server_port}  (Ctrl-C ends it)")
        try:
            site.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
