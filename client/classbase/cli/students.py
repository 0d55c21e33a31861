"""Finding students by the names people type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import typer

from classbase.cli.output import UsageError
from classbase.cli.reading import Condition, read_rows
from classbase.client import Classbase

StudentOption = Annotated[
    str | None, typer.Option("--student", help="Only this student: a name, a part of it, or an id.", metavar="NAME|ID")
]


def full_name(row: Mapping[str, Any]) -> str:
    """First and last name of a row of students."""
    return " ".join(filter(None, [row["first_name"], row["last_name"]]))


def find_student(cb: Classbase, name: str | None) -> UUID | None:
    """The id of the student who is called so, whatever the case, or has that id; a part of the name is enough when it
    is one student's only. None for None.

    Raises:
        UsageError: no student is called that, or several are.
    """
    if name is None:
        return None
    try:
        return UUID(name)
    except ValueError:
        pass
    words = name.split()
    if not words:
        raise UsageError("A student has a name.", "Say a part of it, or the id.")
    conditions: list[Condition] = [("first_name,last_name", "like", word) for word in words]
    found = read_rows(cb, "students", ["id", "first_name", "last_name"], conditions)
    chosen = [row for row in found if full_name(row).casefold() == " ".join(words).casefold()] or found
    if len(chosen) == 1:
        return UUID(chosen[0]["id"])
    if not chosen:
        raise UsageError(f"No student is called {name}.", "A part of the name is enough; the case does not matter.")
    said = ", ".join(f"{full_name(row)} ({row['id']})" for row in chosen[:5])
    raise UsageError(
        f"{name} could be {len(chosen)} students.", f"Say the id: {said}{', …' if len(chosen) > 5 else ''}"
    )
