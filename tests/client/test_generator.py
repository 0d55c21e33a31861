"""What is written from the catalogue, and that what is in the repository is that."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import psycopg
import pytest

from classbase import backend_files
from classbase.generator.__main__ import files
from classbase.generator.catalogue import read_catalogue
from classbase.generator.render import render_modules
from classbase.models import UNSET, Row
from tests.client.conftest import SAMPLE_DIR
from tests.client.doors import Sample
from tests.support.server import Database, TestServer


@pytest.fixture
def module(sample: Sample) -> ModuleType:
    """The generated module of 97_sample."""
    import sample_client.sample  # type: ignore[import-not-found]

    made: ModuleType = sample_client.sample
    return made


def test_what_is_in_the_repository_is_what_the_catalogue_says(db: psycopg.Connection[Any]) -> None:
    wanted = files(read_catalogue(db), backend_files.sql_dir())
    stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run `make client`"
    (folder,) = {path.parent for path in wanted if path.name == "rows.py"}
    assert {path for path in folder.glob("*.py") if path not in wanted} == set()
    assert all(text.startswith(("# Generated", "<!-- Generated")) for text in wanted.values())


def test_it_writes_the_same_twice(sample_database: Database, generated_sample: dict[str, str]) -> None:
    with sample_database.connect() as connection:
        again = render_modules(read_catalogue(connection), [backend_files.sql_dir(), SAMPLE_DIR])
    assert again == generated_sample


def test_the_modules_are_those_of_the_folders(sample: Sample) -> None:
    for kind in (sample.package.Modules, sample.package.AsyncModules):
        assert {"platform", "people", "time", "sample"} <= set(vars(kind(None)))


def test_only_what_an_api_role_may_call_is_there(module: ModuleType) -> None:
    names = {name for name in vars(module.Sample) if not name.startswith("_")}
    files_there = {file.stem for file in (SAMPLE_DIR / "97_sample" / "rpc").glob("*.sql")}
    assert names == files_there - {"hidden"}
    assert names == {name for name in vars(module.AsyncSample) if not name.startswith("_")}


def test_signatures_say_what_must_be_given(module: ModuleType) -> None:
    assert str(inspect.signature(module.Sample.add_entry)) == (
        "(self, title: 'str', *, amount: 'Decimal | int | Unset' = UNSET, "
        "during: 'Range[datetime] | None | Unset' = UNSET, "
        "idempotency_key: 'str | None | Unset' = UNSET) -> 'rows.SampleEntries | None'"
    )
    assert str(inspect.signature(module.Sample.list_entries)) == (
        "(self, *, from_: 'int | Unset' = UNSET, class_: 'int | Unset' = UNSET) -> 'list[rows.SampleEntries]'"
    )
    assert str(inspect.signature(module.AsyncSample.count_up)) == "(self, until: 'int') -> 'list[int]'"
    assert str(inspect.signature(module.Sample.forget_entries)) == "(self) -> 'None'"
    assert str(inspect.signature(module.Sample.other_mood)) == (
        "(self, mood: \"Literal['calm', 'busy']\") -> 'str | None'"
    )
    assert str(inspect.signature(module.Sample.pair_up)) == (
        "(self, label: 'str', entry: 'rows.SampleEntries | Mapping[str, Any]', *, "
        "moods: \"Sequence[Literal['calm', 'busy']] | Unset\" = UNSET) -> 'rows.SamplePair | None'"
    )
    echo = inspect.signature(module.Sample.echo_values).parameters
    assert {name: each.annotation for name, each in echo.items()} == {
        "self": inspect.Parameter.empty,
        "flag": "bool",
        "number": "int",
        "big": "int",
        "ratio": "float",
        "amount": "Decimal | int",
        "id": "UUID",
        "text": "str",
        "day": "date",
        "clock": "time",
        "at": "datetime",
        "local": "datetime",
        "length": "timedelta",
        "bytes": "bytes",
        "document": "Json",
    }


def test_every_annotation_resolves(module: ModuleType) -> None:
    for kind in (module.Sample, module.AsyncSample):
        for name in (name for name in vars(kind) if not name.startswith("_")):
            assert "return" in get_type_hints(getattr(kind, name))


def test_async_methods_are_coroutines_and_their_twins_are_not(module: ModuleType) -> None:
    assert inspect.iscoroutinefunction(module.AsyncSample.greet)
    assert not inspect.iscoroutinefunction(module.Sample.greet)
    assert inspect.getdoc(module.AsyncSample.greet) == inspect.getdoc(module.Sample.greet)


def test_docstrings_hold_the_comment_the_parameters_and_who_may_call(module: ModuleType) -> None:
    assert inspect.getdoc(module.Sample.add_entry) == (
        "Enters something. Raises duplicate.\n\n"
        "Args:\n"
        "    title: text.\n"
        "    amount: numeric, by default 1.50.\n"
        "    during: tstzrange, optional.\n"
        "    idempotency_key: text; made for you, so that a repeated call is done once; None for no key.\n\n"
        "May change rows; may be called by authenticated, service_role. Raises ClassbaseError."
    )
    assert "Reads only; may be called by service_role." in (inspect.getdoc(module.Sample.greet) or "")


def test_rows_know_types_nulls_and_comments(sample: Sample, generated_sample: dict[str, str]) -> None:
    rows = sample.package.rows
    assert issubclass(rows.SampleEntries, Row)
    fields = {name: (field.is_required(), field.alias) for name, field in rows.SampleEntries.model_fields.items()}
    assert fields["class_"] == (True, "class")
    assert fields["json_"] == (True, "json")
    hints = get_type_hints(rows.SampleEntries)
    assert str(hints["title"]) == "<class 'str'>"
    assert type(None) in hints["parent_id"].__args__
    assert rows.SampleEntries.__doc__ == (
        'Things that were entered. A comment may hold "quotes", \\backslashes and """.'
    )
    assert "What it costs, in the organisation's currency." in generated_sample["rows.py"]
    assert rows.SamplePair.__doc__ == "A label and an entry."
    assert not hasattr(rows, "ErrorCodes")


def test_a_row_ignores_what_a_newer_database_adds(sample: Sample) -> None:
    kind = sample.package.rows.Permissions
    row = kind.model_validate({"name": "a:b", "module": "m", "description": "d", "added_later": 1})
    assert row == kind(name="a:b", module="m", description="d")
    with pytest.raises(ValueError, match="frozen"):
        row.name = "c:d"


def test_unset_is_shown_as_such() -> None:
    assert repr(UNSET) == "UNSET"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("create function public.twice(p_a text) returns text language sql return p_a", "overloaded"),
        ("create function public.many(variadic p_a text[]) returns text language sql return p_a[1]", "variadic"),
        ("create function public.bare(text, text) returns text language sql return $1", "without a name"),
        ("create function public.lost(p_a text) returns text language sql return p_a", "no rpc/ folder"),
    ],
)
def test_what_cannot_be_called_by_name_is_said(
    server: TestServer, tmp_path: Path, statement: str, complaint: str
) -> None:
    (tmp_path / "10_some" / "rpc").mkdir(parents=True)
    (tmp_path / "10_some" / "rpc" / "twice.sql").touch()
    database = server.create_database()
    try:
        with database.connect(admin=True) as connection:
            connection.execute("create function public.twice(p_a integer) returns integer language sql return p_a")
            connection.execute(statement)
            connection.execute("grant execute on all functions in schema public to anon")
            with pytest.raises(ValueError, match=complaint):
                render_modules(read_catalogue(connection), [tmp_path])
    finally:
        database.drop()
