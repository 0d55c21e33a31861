"""The wheel alone, in an empty folder of a machine without the checkout, brings up a backend that diagnosis finds sound."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.server import PLATFORM_TEMPLATE, TestServer

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Machine:
    """A folder with nothing in it but a virtual environment that holds the wheel."""

    folder: Path
    bin: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs the installed command in the empty folder and gives its stdout."""
        told = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SUPABASE", "DATABASE", "CLASSBASE"))
        }
        done = subprocess.run(
            [self.bin / "classbase", *arguments],
            cwd=self.folder,
            env=told,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Built from a copy, so that nothing is left in the checkout and only what git would carry can be in it.
    source = tmp_path_factory.mktemp("source") / "classbase"
    source.mkdir()
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, tracked):
        if (CHECKOUT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, source / name)
    made = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", made, source],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    [built] = made.glob("classbase-*.whl")
    return built


@pytest.fixture(scope="module")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("machine")
    home.chmod(0o755)
    venv.create(home / "venv", with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home / "venv"), "platbase": str(home / "venv")}))
    # The libraries it depends on are borrowed; path files in borrowed folders are not read, so the checkout stays out.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", home / "venv" / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index", wheel],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    folder = home / "empty"
    folder.mkdir()
    # Node packages are borrowed as well: with them there, `up` has nothing to install.
    if (CHECKOUT / "node_modules").is_dir():
        (folder / ".classbase").mkdir()
        (folder / ".classbase" / "node_modules").symlink_to(CHECKOUT / "node_modules")
    made = Machine(folder, home / "venv" / "bin")
    yield made
    subprocess.run([made.bin / "classbase", "down"], cwd=folder, capture_output=True, check=False, timeout=120)


def test_it_carries_the_backend_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    carried = {name.removeprefix("classbase/_backend/") for name in names if name.startswith("classbase/_backend/")}
    for folder in ("sql", "supabase/migrations", "functions"):
        here = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / folder).rglob("*") if path.is_file()}
        assert here <= carried, f"{folder} is not whole"
    assert {"supabase/config.toml", "supabase/seed.sql", "package.json", "package-lock.json"} <= carried
    assert "classbase/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/")) or "node_modules" in name]


def test_up_diagnose_down_without_the_checkout(machine: Machine) -> None:
    machine.run("up", "--no-install", "--quiet")
    status = json.loads(machine.run("status", "--json"))
    assert Path(status["project_dir"]) == machine.folder
    with psycopg.connect(status["db_url"]) as connection:
        assert connection.execute("select count(*) > 0 from supabase_migrations.schema_migrations").fetchone() == (
            True,
        )
    assert json.loads(machine.run("diagnose", "--json"))["findings"] == []
    machine.run("down")
    assert json.loads(machine.run("status", "--json", code=1))["healthy"] is False


def test_migrate_and_diagnose_a_database_of_ones_own(machine: Machine, server: TestServer) -> None:
    database = server.create_database(PLATFORM_TEMPLATE)
    try:
        applied = json.loads(machine.run("migrate", "--db-url", database.dsn, "--json"))["applied"]
        assert applied
        assert json.loads(machine.run("migrate", "--db-url", database.dsn, "--json"))["applied"] == []
        assert json.loads(machine.run("diagnose", "--db-url", database.dsn, "--json"))["findings"] == []
    finally:
        database.drop()
