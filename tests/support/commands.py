"""The command line, in this process, in front of a test's backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from classbase.cli.app import run


class Commands:
    """The command line, told by options which backend it speaks to."""

    def __init__(self, target: list[str], capture: pytest.CaptureFixture[str]) -> None:
        self.target = target
        self.capture = capture

    def say(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Runs a command, which must end with that exit code; gives its results and its notices."""
        self.capture.readouterr()
        got = run([*arguments, *self.target])
        said = self.capture.readouterr()
        assert got == code, said
        return said.out, said.err

    def read(self, *arguments: str, code: int = 0) -> Any:
        """Runs a command with --json; gives its document, or its error."""
        results, errors = self.say(*arguments, "--json", code=code)
        return json.loads(results or errors)
