"""The database's registry of codes, the page that explains them, and the Python classes say the same."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from classbase import backend_files, errors
from classbase.generator.errors_page import errors_page


def test_the_registry_and_the_classes_agree(db: psycopg.Connection[Any]) -> None:
    registered = db.execute("select code, http_status, category, is_retryable from private.error_codes").fetchall()
    known = [(each.default_code, each.http_status, each.category, each.retryable) for each in errors.FROM_DATABASE]
    assert sorted(registered) == sorted(known)


def test_no_code_is_used_twice() -> None:
    assert len(errors.BY_CODE) == len(errors.FROM_DATABASE) + len(errors.FROM_CLIENT)


def test_every_refusal_written_in_sql_has_a_registered_code(db: psycopg.Connection[Any]) -> None:
    registered = {code for (code,) in db.execute("select code from private.error_codes").fetchall()}
    used = {
        code
        for file in backend_files.sql_dir().rglob("*.sql")
        for code in re.findall(r"private\.fail\(\s*'([^']*)'", file.read_text(encoding="utf-8"))
    }
    assert used
    assert used <= registered


def test_the_page_lists_every_code() -> None:
    page = (backend_files.root() / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert listed == [(code, str(kind.http_status), kind.__name__) for code, kind in errors.BY_CODE.items()]
    assert page == errors_page(), "run `make client`"
