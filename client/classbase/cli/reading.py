"""Reading tables the way the command line can: over REST, or over the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from classbase.cli.output import plain
from classbase.client import Classbase, DatabaseClassbase, RestClassbase
from classbase.transport.translation import typed_errors

Condition = tuple[str, Literal["eq", "gte", "lt", "in", "like", "null"], Any]
_OPERATORS = {"eq": "=", "gte": ">=", "lt": "<"}
_PAGE = 1000


def read_rows(
    cb: Classbase, table: str, columns: Sequence[str], conditions: Iterable[Condition] = (), *, order: str = "id"
) -> list[dict[str, Any]]:
    """The rows of a table or view that meet all conditions, every page of them, in order.

    Values are as JSON has them (ids and instants as text), whichever way they were read. A condition is a column, an
    operator and a value: `like` looks for a part whatever the case, in any of several columns with commas between;
    `null` needs no value.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    if isinstance(cb, RestClassbase):
        return _over_rest(cb, table, columns, list(conditions), order)
    assert isinstance(cb, DatabaseClassbase)
    return _over_database(cb, table, columns, list(conditions), order)


def _over_rest(
    cb: RestClassbase, table: str, columns: Sequence[str], conditions: list[Condition], order: str
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with typed_errors():
        while True:
            request = cb.table(table).select(",".join(columns))
            for column, operator, value in conditions:
                if operator == "like":
                    # Quoted, so that a comma or a bracket in a name is no syntax; %, _ and * stand for themselves.
                    part = value.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_").replace("*", r"\*")
                    quoted = '"*' + part.replace("\\", "\\\\").replace('"', '\\"') + '*"'
                    request = request.or_(",".join(f"{one}.ilike.{quoted}" for one in column.split(",")))
                elif operator == "in":
                    request = request.in_(column, plain(value))
                elif operator == "null":
                    request = request.is_(column, "null")
                else:
                    request = request.filter(column, operator, plain(value))
            page: Any = request.order(order).range(len(found), len(found) + _PAGE - 1).execute().data
            found += page
            if not page:
                return found


def _over_database(
    cb: DatabaseClassbase, table: str, columns: Sequence[str], conditions: list[Condition], order: str
) -> list[dict[str, Any]]:
    wanted: list[sql.Composable] = []
    values: list[Any] = []
    for column, operator, value in conditions:
        if operator == "like":
            names = column.split(",")
            parts = sql.SQL(" or ").join(
                sql.SQL("position(lower(%s) in lower({})) > 0").format(sql.Identifier(one)) for one in names
            )
            wanted.append(sql.SQL("({})").format(parts))
            values += [value] * len(names)
        elif operator == "null":
            wanted.append(sql.SQL("{} is null").format(sql.Identifier(column)))
        elif operator == "in":
            wanted.append(sql.SQL("{} = any(%s)").format(sql.Identifier(column)))
            values.append(list(value))
        else:
            wanted.append(sql.SQL("{} {} %s").format(sql.Identifier(column), sql.SQL(_OPERATORS[operator])))
            values.append(value)
    statement = sql.SQL("select {} from public.{} where {} order by {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(table),
        sql.SQL(" and ").join([sql.SQL("true"), *wanted]),
        sql.Identifier(order),
    )
    with cb.transaction(read_only=True) as connection, connection.cursor(row_factory=dict_row) as cursor:
        # As REST has it: Python's clock has no 24:00, at which days end.
        cursor.adapters.register_loader("time", TextLoader)
        return [plain(row) for row in cursor.execute(statement, values)]
