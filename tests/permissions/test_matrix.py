"""Who may do what is what somebody has read and agreed to.

A new table, function or grant changes the measured matrix; `make permissions` writes it anew, and the change is reviewed
like any other.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import pytest

from classbase.database.loader import modules
from tests.permissions.write import EXPECTED
from tests.support.matrix import API_ROLES, describe, private_functions, relations, table_access
from tests.support.stage import Stage

REVIEW = "run `make permissions` and read what changed"


@pytest.fixture(scope="module")
def measured(stage: Stage) -> Mapping[str, str]:
    return describe(stage)


@pytest.mark.parametrize("module", [module.name for module in modules()])
def test_the_matrix_is_the_reviewed_one(measured: Mapping[str, str], module: str) -> None:
    file = EXPECTED / f"{module}.md"
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    changes = list(difflib.unified_diff(expected.splitlines(), measured.get(module, "").splitlines(), lineterm="", n=4))
    assert changes == [], REVIEW


def test_nothing_is_expected_of_modules_that_are_gone() -> None:
    assert {file.stem for file in EXPECTED.glob("*.md")} <= {module.name for module in modules()}


def test_every_granted_table_has_a_row_to_tell_by(measured: Mapping[str, str]) -> None:
    empty = [part.splitlines()[0] for text in measured.values() for part in text.split("\n## ") if "| empty |" in part]
    assert empty == [], "add rows to tests/*/sample.py"


def test_a_new_grant_changes_the_matrix(stage: Stage) -> None:
    before = table_access(stage, "public.settings")
    functions = private_functions(stage)
    with stage.rehearsal() as db:
        db.execute("grant insert on public.settings to authenticated")
        db.execute("create policy planted on public.settings for insert to authenticated with check (true)")
        db.execute("grant execute on function private.forget_old_calls() to anon")
        after = table_access(stage, "public.settings")
        assert after.grants != before.grants
        assert set(after.reach["insert"][1:7]) == {"all"}
        assert private_functions(stage) != functions
    assert table_access(stage, "public.settings") == before


def test_anonymous_callers_read_at_most(stage: Stage) -> None:
    writable = [
        name
        for name in relations(stage)
        for line in table_access(stage, name, commands=()).grants
        if line.endswith(" to anon") and not line.startswith("select")
    ]
    assert writable == []


def test_the_roles_measured_are_the_api_roles(stage: Stage) -> None:
    rows = stage.db.execute("select rolname from pg_roles where pg_has_role('authenticator', oid, 'member')")
    assert {name for (name,) in rows} - {"authenticator"} == set(API_ROLES)
