"""A module uses modules with a smaller number only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.database.dependencies import load_by_module, uses_of_later_modules
from tests.support.server import Database


def test_no_module_uses_a_later_one(empty: Database) -> None:
    connection = empty.connect()
    made = load_by_module(connection)
    assert len(set(made.values())) >= 3
    assert [str(use) for use in uses_of_later_modules(connection, made)] == []


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        pytest.param(
            "create function private.early() returns void language plpgsql as "
            "$$ begin insert into private.late values (1); /* private.never */ perform 'private.text'; end $$",
            "create table private.late (id integer)",
            ["private.early() (10_early) uses private.late (20_late)"],
            id="in the text of a function",
        ),
        pytest.param(
            "create function private.early() returns bigint language sql begin atomic select 1::bigint; end",
            "create table private.late (id integer); create or replace function private.early() returns bigint "
            "language sql begin atomic select count(*) from private.late; end",
            ["function private.early() (10_early) uses table private.late (20_late)"],
            id="by replacing an earlier function",
        ),
        pytest.param(
            "create table private.early (id integer)",
            "create table private.late (id integer primary key); alter table private.early add foreign key (id) "
            "references private.late; create function private.late_rule() returns trigger language plpgsql as "
            "$$ begin return new; end $$; create trigger t10_late before update on private.early "
            "for each row execute function private.late_rule()",
            [],
            id="a later module may attach things to an earlier one's table",
        ),
        pytest.param(
            "create table private.early (id integer)",
            "create domain private.late as integer; alter table private.early add column late private.late",
            ["table private.early (10_early) uses type private.late (20_late)"],
            id="a column of a later module's type",
        ),
    ],
)
def test_a_use_of_a_later_module_is_seen(
    empty: Database, tmp_path: Path, early: str, late: str, expected: list[str]
) -> None:
    for module, text in (("00_base", "create schema private"), ("10_early", early), ("20_late", late)):
        (tmp_path / module).mkdir()
        (tmp_path / module / "tables.sql").write_text(text)
    connection = empty.connect()
    found = uses_of_later_modules(connection, load_by_module(connection, tmp_path))
    assert [str(use) for use in found] == expected
