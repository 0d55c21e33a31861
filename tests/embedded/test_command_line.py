"""What every command has in common: help, exit codes, errors that say what to do, and which backend is meant."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner

from classbase.cli import app as cli_app
from classbase.cli.options import resolve_target
from classbase.cli.output import CommandError, Output, escape, plain
from tests.embedded.conftest import Backend, Origin, clean_environment

ENVIRONMENT = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")


def run(*arguments: str, cwd: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "classbase", *arguments], env=clean_environment(**changes), cwd=cwd,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def commands(app: typer.Typer, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [
        (*prefix, str(command.name or command.callback.__name__))
        for command in app.registered_commands
        if command.callback
    ]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        name = str(group.name or group.typer_instance.info.name)
        found += [(*prefix, name), *commands(group.typer_instance, (*prefix, name))]
    return found


def test_every_command_has_help() -> None:
    app = cli_app.build_app()
    names = commands(app)
    assert {("up",), ("down",), ("status",), ("token",)} <= set(names)
    for name in names:
        shown = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, name
        sentence = shown.output.split("Usage:", 1)[1].strip().splitlines()
        assert any(line.strip().endswith(".") for line in sentence), f"{' '.join(name)} does not say what it does"


def test_the_version() -> None:
    for option in ("--version", "-V"):
        done = run(option)
        assert done.returncode == 0
        assert done.stdout.startswith("classbase ")


def test_wrong_usage_ends_with_2() -> None:
    for arguments in (
        ("no-such-command",),
        ("up", "--no-such-option"),
        ("up", "--port", "0"),
        ("token", "--role", "x"),
    ):
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("line", "offered"), [("classbase sta", "status"), ("classbase up --db-", "--db-port")])
def test_the_shell_completes_verbs_and_options(line: str, offered: str) -> None:
    asked = {"_CLASSBASE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert offered in run(**asked).stdout.split()


def test_a_directory_without_a_backend(tmp_path: Path) -> None:
    for command in ("status", "down"):
        done = run(command, cwd=tmp_path)
        assert done.returncode == (1 if command == "status" else 0)
        assert not (tmp_path / ".classbase").exists()  # asking leaves nothing behind
    done = run("token", "--user", "a@example.org", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    error = json.loads(done.stderr)["error"]
    assert "classbase up" in error["hint"]


def test_the_project_is_the_nearest_one_above(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "supabase").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert json.loads(run("status", "--json", cwd=deep).stdout)["project_dir"] == str(tmp_path)
    (tmp_path / "a" / ".classbase").mkdir()
    assert json.loads(run("status", "--json", cwd=deep).stdout)["project_dir"] == str(tmp_path / "a")
    elsewhere = run("status", "--json", "--project-dir", str(backend.directory), cwd=deep)
    assert json.loads(elsewhere.stdout)["project_dir"] == str(backend.directory)


def test_a_damaged_state_is_said(tmp_path: Path) -> None:
    (tmp_path / ".classbase").mkdir()
    (tmp_path / ".classbase" / "project.json").write_text("{")
    done = run("up", cwd=tmp_path)
    assert done.returncode == 3
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


# -- which backend is meant --------------------------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_local_backend_is_the_default(origin: Origin, environment: pytest.MonkeyPatch) -> None:
    environment.chdir(origin.backend.directory)
    target = resolve_target()
    assert target.local
    assert target.rest() == (origin.url, origin.service)
    assert target.database() == origin.up["db_url"]


def test_the_environment_comes_before_the_local_backend(origin: Origin, environment: pytest.MonkeyPatch) -> None:
    environment.chdir(origin.backend.directory)
    environment.setenv("SUPABASE_URL", "https://ref.supabase.co/")
    environment.setenv("SUPABASE_SERVICE_ROLE_KEY", "theirs")
    target = resolve_target()
    assert target.rest() == ("https://ref.supabase.co", "theirs")
    with pytest.raises(CommandError, match="direct connection"):
        target.database()
    assert resolve_target(project_dir=origin.backend.directory).url == origin.url  # a directory was named


def test_the_command_line_comes_first_and_is_not_mixed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_URL", "https://ref.supabase.co")
    environment.setenv("SUPABASE_SERVICE_ROLE_KEY", "theirs")
    environment.setenv("DATABASE_URL", "postgresql://theirs")
    target = resolve_target(db_url="postgresql://mine")
    assert target.database() == "postgresql://mine"
    with pytest.raises(CommandError, match="REST address"):
        target.rest()
    target = resolve_target(url="https://mine.example.org")
    assert target.rest() == ("https://mine.example.org", "theirs")  # only the key may come from there
    with pytest.raises(CommandError):
        target.database()


def test_nothing_up_and_nothing_said(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.chdir(tmp_path)
    with pytest.raises(CommandError, match="No backend is up") as error:
        resolve_target()
    assert "classbase up" in error.value.hint


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_stored_text_is_no_markup_and_no_escape_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[bold red]Bobby[/] [link=x]\x1b[31m\u0007"
    Output().table([{"name": name, "n": 1}])
    Output().pairs({"name": "[bold]x\x1b[2J\x9b2J"})
    shown = capsys.readouterr().out
    assert "[bold red]Bobby[/] [link=x][31m" in shown
    assert "[bold]x" in shown
    assert "\x1b" not in shown
    assert escape("\x00a\x1bb") == "ab"


def test_where_an_id_leaves_no_room_it_gets_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"name": "Foundations of teaching yoga", "left": "5 of 6", "id": str(UUID(int=1))}
    monkeypatch.setenv("COLUMNS", "60")
    Output().table([row], whole=["id"])
    assert capsys.readouterr().out.splitlines() == [
        "Foundations of teaching yoga  left 5 of 6", f"    id {UUID(int=1)}",
    ]  # fmt: skip
    monkeypatch.setenv("COLUMNS", "100")
    Output().table([row], whole=["id"])
    assert f" │ 5 of 6 │ {UUID(int=1)} │" in capsys.readouterr().out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    row = {"id": UUID(int=1), "price": Decimal("1.10"), "at": datetime(2025, 1, 2, tzinfo=UTC), "on": date(2025, 1, 2)}
    out.table([row])
    shown = json.loads(capsys.readouterr().out)
    assert shown == [{
        "id": str(UUID(int=1)), "price": "1.10", "at": "2025-01-02T00:00:00+00:00", "on": "2025-01-02",
    }]  # fmt: skip
    out.table([])
    assert json.loads(capsys.readouterr().out) == []
    assert plain({1: {2}}) == {"1": [2]}


def test_quiet_keeps_warnings_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(quiet=True)
    out.notice("by the way")
    out.warning("mind [this]")
    out.text("the result")
    shown = capsys.readouterr()
    assert shown.out == "the result\n"
    assert "by the way" not in shown.err
    assert "mind [this]" in shown.err
