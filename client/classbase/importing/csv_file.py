"""A CSV file as rows of text, with every fault of the file told by line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024
LARGEST = 64 * MEGABYTE
CHUNK = MEGABYTE


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, where. `line` counts from 1, the header included; `column` is None for whole lines."""

    line: int
    column: str | None
    reason: str
    value: str | None = None


class FaultyFile(Exception):
    """The file cannot be read as a table; `faults` says all that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].reason)
        self.faults = list(faults)


def read_csv(
    path: Path,
    columns: Sequence[str],
    names: Mapping[str, str] | None = None,
    *,
    required: Sequence[str] | None = None,
    largest: int = LARGEST,
    on_read: Callable[[int], None] = lambda _: None,
    on_unread: Callable[[list[str]], None] = lambda _: None,
) -> list[dict[str, str | int]]:
    """The rows of a file (UTF-8, RFC 4180, with a header) as text by column, each with its `line`.

    Args:
        path: the file.
        columns: the columns that are read; others are left out. Case and blanks around a heading do not matter.
        names: what a column is called in this file, where that differs; an empty name says the file has no such
            column, and its text is then empty.
        required: those of the columns that must be there, of which there must be one at least; rows do without the
            others where the file has none. All of them when None.
        largest: bytes a file may have.
        on_read: told how many bytes have been read so far.
        on_unread: told the headings of the columns that are left out, if there are any.

    Raises:
        FaultyFile: the file is too large, empty, not UTF-8, or no table with these columns.
        OSError: the file cannot be opened.
    """
    size = path.stat().st_size
    if size > largest:
        raise FaultyFile([Fault(1, None, f"the file has {_megabytes(size)}; at most {_megabytes(largest)} are read")])
    text = _decode(_read(path, largest, on_read))
    if not text.strip():
        raise FaultyFile([Fault(1, None, "the file is empty")])
    return _rows(text, columns, names or {}, required, on_unread)


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:,.0f} MB"


def _read(path: Path, largest: int, on_read: Callable[[int], None]) -> bytes:
    data = bytearray()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            data += chunk
            on_read(len(data))
            if len(data) > largest:  # it grew, or is no plain file
                raise FaultyFile([Fault(1, None, f"the file has more than {_megabytes(largest)}")])
    return bytes(data)


def _decode(data: bytes) -> str:
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise FaultyFile([Fault(line, None, f"byte {zero + 1} is NUL: this is no text file in UTF-8")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        reason = f"byte {column} of the line (0x{data[error.start]:02x}) is not UTF-8: save the file as UTF-8"
        raise FaultyFile([Fault(line, None, reason)]) from error


def _rows(
    text: str,
    columns: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str] | None,
    on_unread: Callable[[list[str]], None],
) -> list[dict[str, str | int]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[dict[str, str | int]] = []
    faults: list[Fault] = []
    header: list[str] | None = None
    places: dict[str, int | None] = {}
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise FaultyFile([*faults, Fault(line, None, f"the line cannot be read: {error}")]) from error
        if not any(field.strip() for field in fields):
            continue
        if header is None:
            header = fields
            places = _places(line, fields, columns, names, required)
            unread = [field.strip() for place, field in enumerate(fields) if place not in places.values()]
            if unread:
                on_unread(unread)
        elif len(fields) != len(header):
            faults.append(Fault(line, None, f"the line has {len(fields)} fields, the header {len(header)}"))
        else:
            row: dict[str, str | int] = {
                column: "" if place is None else fields[place] for column, place in places.items()
            }
            row["line"] = line
            rows.append(row)
    if faults:
        raise FaultyFile(faults)
    if not rows:
        raise FaultyFile([Fault(2, None, "there is a header and nothing below it")])
    return rows


def _places(
    line: int, header: Sequence[str], columns: Sequence[str], names: Mapping[str, str], required: Sequence[str] | None
) -> dict[str, int | None]:
    found: dict[str, int] = {}
    has = ", ".join(heading.strip() for heading in header)
    faults = []
    for place, heading in enumerate(map(_heading, header)):
        if heading in found:
            faults.append(Fault(line, heading, "the header has this column twice"))
        found[heading] = place
    places: dict[str, int | None] = {}
    for column in columns:
        name = names.get(column, column)
        if not name.strip():
            if required is None:
                places[column] = None
        elif _heading(name) in found:
            places[column] = found[_heading(name)]
        elif required is None or column in required or column in names:
            faults.append(Fault(line, column, f"there is no column {name.strip()}; the header has {has}"))
    if not faults and not places:
        faults.append(Fault(line, None, f"none of the columns {', '.join(columns)} is there; the header has {has}"))
    if faults:
        raise FaultyFile(faults)
    return places


def _heading(text: str) -> str:
    return text.strip().casefold()
