"""`classbase selftest` against a real PostgREST: all is well, nothing stays, and what is broken is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from classbase.cli.app import run
from tests.support.repairs import Repairs
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


class Tried:
    """The command at work on one PostgREST."""

    def __init__(self, rest: Rest, database: Database, world: World, capture: pytest.CaptureFixture[str]) -> None:
        self.rest, self.capture = rest, capture
        self.member = world.user("member")
        world.user("staff")
        self.repairs = Repairs(database)

    def run(self, *arguments: str, code: int, member: bool = True) -> str:
        """Runs it, which must end with that exit code; gives what it prints."""
        said = [*(["--member-token", self.rest.token(self.member)] if member else []), *arguments]
        key = self.rest.token("service_role")
        assert run(["selftest", "--url", self.rest.url, "--rest-path", "", "--key", key, *said]) == code
        return self.capture.readouterr().out

    def failed(self, code: int = 1) -> set[str]:
        """The probes that fail."""
        report = json.loads(self.run("--json", code=code))
        return {probe["name"] for probe in report["probes"] if probe["ok"] is False}


@pytest.fixture
def tried(rest: Rest, database: Database, world: World, capsys: pytest.CaptureFixture[str]) -> Tried:
    return Tried(rest, database, world, capsys)


def test_a_sound_system_passes_and_nothing_stays(tried: Tried) -> None:
    before = tried.repairs.everything()
    page = tried.run(code=0)
    assert "❌" not in page
    assert page.count("✅") == 14
    assert "All 14 probes are well." in page
    assert tried.repairs.everything() == before
    assert tried.failed(code=0) == set()


def test_what_was_not_tried_is_said(tried: Tried) -> None:
    report = json.loads(tried.run("--json", code=0, member=False))
    assert [probe["ok"] for probe in report["probes"]].count(None) == 2


BROKEN: list[tuple[str, set[str]]] = [
    ('create policy "anyone sees people" on public.user_profiles for select to authenticated using (true)',
     {"a plain member reads nothing of others"}),
    ("grant select on public.payments to anon; alter table public.payments disable row level security;"
     " insert into public.payments (payer_id, amount, method) select id, 1, 'cash' from public.user_profiles limit 1",
     {"whoever has not signed in reads nothing private"}),
    ('drop policy "holders of manage:catalog add class types" on public.class_types;'
     " create policy \"anyone adds class types\" on public.class_types for insert to authenticated with check (true)",
     {"a plain member writes nothing"}),
    ("drop trigger t10_keep_version on public.class_types",
     {"it is changed, and its version with it", "a stale version is refused"}),
    ("create or replace function private.answered_before(p_function text, p_key text, p_request jsonb) returns jsonb"
     " language sql volatile security definer set search_path = '' return null::jsonb",
     {"a call with a key does its work once"}),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "seen"), BROKEN, ids=[str(number) for number in range(len(BROKEN))])
def test_what_is_broken_is_seen_and_nothing_stays(tried: Tried, damage: str, seen: set[str]) -> None:
    tried.repairs.behind.execute(damage.encode())
    before = tried.repairs.everything()
    assert tried.failed() == seen
    assert tried.repairs.everything() == before


def test_nobody_there_is_no_failed_probe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["selftest", "--url", "http://127.0.0.1:1", "--key", "x", "--json"]) == 3
    assert run(["selftest", "--db-url", "postgresql://127.0.0.1:1/x"]) == 3
    assert "REST address" in capsys.readouterr().err


def test_the_report_is_read_by_programs(tried: Tried) -> None:
    report: Any = json.loads(tried.run("--json", code=0))
    assert report["ok"] is True
    assert all(probe["milliseconds"] >= 0 for probe in report["probes"])
