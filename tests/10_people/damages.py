"""Rights nobody asks for, and people nobody would erase."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """Nothing: what is damaged is what the modules ship."""


DAMAGES = [
    Damage(
        "a permission nothing asks for",
        "insert into public.permissions (name, module, description) values ('read:nothing', '10_people', 'Planted.')",
        (
            ("unused_permissions", "warning", "public.permissions", "read:nothing"),
        ),
    ),
    Damage(
        "a table whose people nobody would erase",
        "delete from private.personal_data where table_name = 'public.attendance'",
        (
            ("unregistered_personal_data", "warning", "pg_class", "public.attendance"),
        ),
    ),
]  # fmt: skip
