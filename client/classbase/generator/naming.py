"""Names: which module a function belongs to, and how SQL names are written in Python."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from classbase.database.loader import modules

_MODULE = re.compile(r"\d+_([a-z][a-z0-9_]*)")


def module_of_functions(sql_dirs: Iterable[Path]) -> dict[str, str]:
    """The module folder of every public function: the folder whose `rpc/` holds the file named after it."""
    return {
        file.stem: folder.name
        for sql_dir in sql_dirs
        for folder in modules(sql_dir)
        if _MODULE.fullmatch(folder.name)
        for file in sorted((folder / "rpc").glob("*.sql"))
    }


def attribute(folder: str) -> str:
    """`20_time` as the client's attribute `time`."""
    found = _MODULE.fullmatch(folder)
    if found is None:
        raise ValueError(f"{folder} is not named like a module (20_time)")
    return found[1]


def parameter(name: str) -> str:
    """`p_starts_at` as `starts_at`, `p_from` as `from_`."""
    return safe(name.removeprefix("p_"))


_TAKEN = frozenset(name for name in dir(BaseModel) if not name.startswith("__"))


def safe(name: str) -> str:
    """A name that Python takes: keywords get an underscore."""
    return f"{name}_" if keyword.iskeyword(name) else name


def field(name: str) -> str:
    """A column as a field of a model; names that pydantic itself uses get an underscore too."""
    return f"{name}_" if name in _TAKEN else safe(name).lstrip("_") or "column"
