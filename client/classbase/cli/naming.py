"""Finding class types, packages and people by the names people type."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from psycopg import sql

from classbase.cli.output import UsageError
from classbase.client import Classbase, DatabaseClassbase, RestClassbase
from classbase.transport.translation import typed_errors

Named = Literal["class_types", "packages", "locations", "people_directory"]
_CALLED: dict[Named, tuple[str, str]] = {
    "class_types": ("name", "class type"),
    "packages": ("name", "package"),
    "locations": ("name", "location"),
    "people_directory": ("full_name", "person"),
}


def find_id(cb: Classbase, table: Named, name: str | None) -> UUID | None:
    """The id of the row that is called so, whatever the case, or has that id; None for None.

    Raises:
        UsageError: nothing is called that, or more than one.
    """
    if name is None:
        return None
    try:
        return UUID(name)
    except ValueError:
        pass
    column, what = _CALLED[table]
    rows = [row for row in _rows(cb, table, column, name) if row[1].casefold() == name.strip().casefold()]
    exact = [row for row in rows if row[1] == name] or rows
    if len(exact) == 1:
        return exact[0][0]
    if not exact:
        raise UsageError(f"No {what} is called {name}.", "Say the whole name; the case does not matter.")
    raise UsageError(f"{len(exact)} are called {name}.", f"Say the id: {', '.join(str(row[0]) for row in exact)}")


def _rows(cb: Classbase, table: Named, column: str, name: str) -> list[tuple[UUID, str]]:
    if isinstance(cb, RestClassbase):
        pattern = name.strip().replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_").replace("*", r"\*")
        with typed_errors():
            found: Any = cb.table(table).select(f"id,{column}").ilike(column, pattern).execute().data
        return [(UUID(row["id"]), row[column]) for row in found]
    assert isinstance(cb, DatabaseClassbase)
    with cb.transaction(read_only=True) as connection:
        return connection.execute(
            sql.SQL("select id, {0} from public.{1} where lower({0}) = lower(%s)").format(
                sql.Identifier(column), sql.Identifier(table)
            ),
            [name.strip()],
        ).fetchall()
