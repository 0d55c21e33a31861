"""Build hook: a wheel carries the backend (SQL, migrations, functions) inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = (
    "sql",
    "supabase/config.toml",
    "supabase/migrations",
    "supabase/seed.sql",
    "package.json",
    "package-lock.json",
)


class CarryBackend(BuildHookInterface[Any]):
    """Adds the backend's files to a wheel; an editable install reads them from the checkout instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; `version` is "standard" or "editable"."""
        if version == "editable":
            return
        for name in CARRIED:
            build_data["force_include"][str(Path(self.root) / name)] = f"classbase/_backend/{name}"
        # File by file, since a folder is taken whole, and functions/.env holds somebody's secrets.
        for path in sorted((Path(self.root) / "functions").rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                carried = path.relative_to(self.root).as_posix()
                build_data["force_include"][str(path)] = f"classbase/_backend/{carried}"
