"""Planted damage: one small object a kind, for diagnosis to name.

A module adds its kinds by having `tests/<module>/damages.py` with a list `DAMAGES`, and what they name with a function
`prepare(town)` that makes it through the front door and puts it into `town.names`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.repairs import Repairs
from tests.support.server import TestServer
from tests.support.stage import Stage, module_files
from tests.support.studio import Studio

Found = tuple[str, str, str, str]  # check, severity, entity, entity_id


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    `statements` are SQL, run behind the triggers' back; `{name}` stands for something of the town. `expects` is all that
    diagnosis says because of it: check, severity, entity and entity_id. `mended` says whether `apply_fixes` puts it
    right, `in_schema` that it is the schema's, which `classbase fix schema` puts right.
    """

    name: str
    statements: str
    expects: tuple[Found, ...]
    mended: bool = False
    in_schema: bool = False


class Town(Repairs):
    """A database with the sample rows of all modules, and rows for the damages to name, in which nothing is wrong."""

    def __init__(self, server: TestServer) -> None:
        self.stage = Stage.set(server)
        super().__init__(self.stage.database)
        # The sample has people working outside their hours and during closures: truly found, and nobody's damage.
        self.db.execute("update public.settings set value = '\"ignore\"' where key = 'availability_policy'")
        self.studio = Studio(self.stage.world)
        self.names: dict[str, Any] = {}
        for module in module_files("damages"):
            module.prepare(self)

    def fill_in(self, text: str) -> str:
        """A text with the town's names in it."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def break_with(self, damage: Damage) -> set[Found]:
        """Plants it; returns what diagnosis has to say."""
        with self.behind.transaction():
            if not damage.in_schema:
                self.behind.execute("set local session_replication_role = replica")
            for statement in self.fill_in(damage.statements).split(";"):
                done = self.behind.execute(statement.encode())
                assert damage.in_schema or done.rowcount > 0, f"nothing was planted: {statement}"
        return {(check, severity, entity, self.fill_in(entity_id)) for check, severity, entity, entity_id in damage.expects}

    def findings(self) -> set[Found]:
        """All that diagnosis says."""
        return set(self.db.execute("select check_name, severity, entity, entity_id from public.run_diagnostics()").fetchall())


@dataclass
class Kinds:
    """The damages of all modules."""

    all: list[Damage] = field(default_factory=lambda: [d for module in module_files("damages") for d in module.DAMAGES])

    @property
    def of_rows(self) -> list[Damage]:
        """Those of rows."""
        return [damage for damage in self.all if not damage.in_schema]

    @property
    def of_schema(self) -> list[Damage]:
        """Those of the schema."""
        return [damage for damage in self.all if damage.in_schema]
