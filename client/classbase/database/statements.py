"""SQL files, one statement at a time, so that a failure can be told by file and line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlglot import TokenType
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError


class StatementError(Exception):
    """A statement of a file that the database refused.

    `file` and `line` say where (lines count from 1), `statement` is its text, `sqlstate` the server's code (None when
    the file itself could not be read as SQL). The server's exception is the `__cause__`.
    """

    def __init__(self, message: str, *, file: Path, line: int, statement: str, sqlstate: str | None = None) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.statement = statement
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class Statement:
    """One statement without its semicolon.

    `text` begins with the comments above it; `line` (from 1) is where the statement proper starts, `text_line` where
    `text` does.
    """

    text: str
    line: int
    text_line: int


def split_statements(sql: str) -> Iterator[Statement]:
    """Yields the statements of a script in order; comments before a statement belong to it.

    Comments at the very end are a statement of their own, which does nothing: as the Supabase CLI has it.
    Quotes, dollar quotes, nested comments and `begin atomic … end` bodies are understood; psql's backslash commands
    and COPY data are not. Raises ValueError when a quote or comment is never closed.
    """
    try:
        tokens = Postgres().tokenize(sql)
    except TokenError as error:
        raise ValueError(f"not readable as SQL: {error}") from error
    lines = _Lines(sql)
    start, first = 0, None
    blocks = 0  # how many `begin atomic` and, inside one, `case` are open
    previous = None
    for token in tokens:
        first = token if first is None else first
        opens_body = previous is TokenType.BEGIN and token.text.lower() == "atomic"
        if opens_body or (blocks and token.token_type is TokenType.CASE):
            blocks += 1
        elif blocks and token.token_type is TokenType.END:
            blocks -= 1
        elif not blocks and token.token_type is TokenType.SEMICOLON:
            if first is not token:
                yield _statement(sql[start : token.start], start, first.start, lines)
            start, first = token.end + 1, None
        previous = token.token_type
    if sql[start:].strip():
        yield _statement(sql[start:], start, first.start if first else start, lines)


class _Lines:
    """The lines of a text by position, for positions that never go back: a migration has tens of thousands of them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1

    def at(self, position: int) -> int:
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return self._line


def _statement(text: str, start: int, first: int, lines: _Lines) -> Statement:
    begin = start + len(text) - len(text.lstrip())
    text_line = lines.at(begin)
    return Statement(text.strip(), lines.at(max(first, begin)), text_line)


def execute_file(connection: psycopg.Connection[Any], file: Path) -> list[Statement]:
    """Runs every statement of `file` in the connection's current transaction; returns them.

    Raises StatementError for the first that fails.
    """
    try:
        statements = list(split_statements(file.read_text(encoding="utf-8")))
    except ValueError as error:
        raise StatementError(str(error), file=file, line=1, statement="") from error
    for statement in statements:
        try:
            connection.execute(statement.text.encode(), prepare=False)
        except psycopg.Error as error:
            position = error.diag.statement_position
            line = statement.line
            if position is not None:
                line = statement.text_line + statement.text.count("\n", 0, int(position) - 1)
            message = error.diag.message_primary or str(error)
            for more in (error.diag.message_detail, error.diag.message_hint, error.diag.context):
                message += f"\n  {more}" if more else ""
            raise StatementError(
                message, file=file, line=line, statement=statement.text, sqlstate=error.sqlstate
            ) from error
    return statements
