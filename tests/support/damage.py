"""Planted damage: one small object a kind, for diagnosis to name.

A module adds its kinds by having `tests/<module>/damages.py` with a list `DAMAGES`, and what they name with a function
`prepare(town)` that makes it through the front door and puts it into `town.names`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

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
    `undo_needs` puts back what a constraint asks for before the repair can be undone.
    """

    name: str
    statements: str
    expects: tuple[Found, ...]
    mended: bool = False
    in_schema: bool = False
    undo_needs: str = ""


class Town(Repairs):
    """A database with the sample rows of all modules, and rows for the damages to name, in which nothing is wrong."""

    def __init__(self, server: TestServer) -> None:
        self.stage = Stage.set(server)
        super().__init__(self.stage.database)
        # The sample has people working outside their hours and during closures: truly found, and nobody's damage.
        self.db.execute("update public.settings set value = '\"ignore\"' where key = 'availability_policy'")
        # Nothing runs jobs here, and the due time of one may pass while the tests run.
        self.db.execute("update public.settings set value = '1440' where key = 'job_late_minutes'")
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
            return self._plant(damage)

    def rehearse(self, damage: Damage) -> tuple[set[Found], set[Found]]:
        """What diagnosis has to say of it and what it says, in a transaction that is rolled back."""
        with self.behind.transaction(force_rollback=True):
            return self._plant(damage), self.findings(self.behind)

    def _plant(self, damage: Damage) -> set[Found]:
        role = "origin" if damage.in_schema else "replica"
        self.behind.execute(f"set local session_replication_role = {role}".encode())
        for statement in self.fill_in(damage.statements).split(";"):
            done = self.behind.execute(statement.encode())
            assert damage.in_schema or done.rowcount > 0, f"nothing was planted: {statement}"
        return self.expected(damage)

    def expected(self, damage: Damage) -> set[Found]:
        """What diagnosis has to say of a damage, by the town's names."""
        return {
            (check, severity, entity, self.fill_in(entity_id)) for check, severity, entity, entity_id in damage.expects
        }

    def findings(self, connection: psycopg.Connection[Any] | None = None) -> set[Found]:
        """All that diagnosis says."""
        query = "select check_name, severity, entity, entity_id from public.run_diagnostics()"
        return set((connection or self.db).execute(query).fetchall())


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
