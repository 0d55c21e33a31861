"""Loads sql/, the backend as it should be, into an empty database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from classbase import backend_files
from classbase.database.statements import execute_file

# The rooms of a module in load order. A room that outgrows one file becomes a folder of the same name.
ROOMS = ("tables", "rules", "views", "rpc", "policies", "checks", "reference")


def modules(sql_dir: Path | None = None) -> list[Path]:
    """The module folders of `sql_dir` (default: sql/) in load order."""
    return sorted(path for path in (sql_dir or backend_files.sql_dir()).glob("*") if path.is_dir())


def module_files(module: Path) -> list[Path]:
    """The SQL files of one module folder, in load order: by room, and by name inside a room."""
    return [
        file
        for room in ROOMS
        for file in ([module / f"{room}.sql"] if (module / f"{room}.sql").is_file() else [])
        + sorted((module / room).glob("*.sql"))
    ]


def sql_files(sql_dir: Path | None = None) -> list[Path]:
    """Every SQL file of `sql_dir` (default: sql/) in load order."""
    return [file for module in modules(sql_dir) for file in module_files(module)]


def load_sql(connection: psycopg.Connection[Any], sql_dir: Path | None = None) -> list[Path]:
    """Loads `sql_dir` (default: sql/) in one transaction and returns the files loaded.

    The connection's role becomes the owner of what is made; it needs no more than the owner of a hosted project has.
    Raises StatementError naming file and line of the statement that failed; then nothing is loaded.
    """
    files = sql_files(sql_dir)
    with connection.transaction():
        for file in files:
            execute_file(connection, file)
    return files
