"""`python -m tests.permissions.write`: measures who may do what and writes it down for review."""

from __future__ import annotations

from pathlib import Path

from tests.support.matrix import describe
from tests.support.server import TestServer
from tests.support.stage import Stage

EXPECTED = Path(__file__).parent / "expected"


def main() -> None:
    """Writes expected/<module>.md for every module."""
    server = TestServer.start(18)
    try:
        server.prepare()
        documents = describe(Stage.set(server))
    finally:
        server.stop()
    EXPECTED.mkdir(exist_ok=True)
    for file in EXPECTED.glob("*.md"):
        file.unlink()
    for module, text in documents.items():
        (EXPECTED / f"{module}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
