"""The real Supabase CLI, on databases without anything of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from classbase.database.authoring import run_supabase, supabase_command
from classbase.embedded.errors import Missing
from tests.support.server import PLATFORM_TEMPLATE, Database, TestServer

Supabase = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def supabase() -> Supabase:
    """Runs the Supabase CLI; a failure shows what it said. Skips where it is not installed."""
    try:
        supabase_command()
    except Missing as missing:
        pytest.skip(f"{missing.message} {missing.hint}")

    def run(*arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = run_supabase(*arguments)
        assert (done.returncode != 0) is fails, f"supabase {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def empty(server: TestServer) -> Iterator[Database]:
    """A database that has what the platform brings and nothing of ours."""
    made = server.create_database(PLATFORM_TEMPLATE)
    yield made
    made.drop()
