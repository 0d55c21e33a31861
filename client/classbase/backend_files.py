"""Where the backend's files are: beside the package in a checkout, inside it in an installed wheel.

`scripts/carry_backend.py` puts the same tree into a wheel under `classbase/_backend/`, so a name below the root
is the same in both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The directory that holds `sql/`, `supabase/` and `functions/`.

    Raises:
        FileNotFoundError: neither a checkout nor a wheel that carries the backend.
    """
    carried = _PACKAGE / "_backend"
    checkout = _PACKAGE.parent.parent
    for place in (carried, checkout):
        if (place / "sql").is_dir() and (place / "supabase").is_dir():
            return place
    raise FileNotFoundError(
        f"classbase's SQL is neither in {carried} nor in {checkout}: install the wheel, or use a whole checkout"
    )


def in_checkout() -> bool:
    """Whether the package runs from a checkout (so that files may be written beside it)."""
    return not (_PACKAGE / "_backend").is_dir()


def sql_dir() -> Path:
    """`sql/`: the backend, declaratively, one folder a module."""
    return root() / "sql"


def supabase_dir() -> Path:
    """`supabase/`: what the Supabase CLI deploys."""
    return root() / "supabase"


def migrations_dir() -> Path:
    """`supabase/migrations/`: one file a migration, named `<version>_<name>.sql`."""
    return supabase_dir() / "migrations"


def seed_file() -> Path:
    """`supabase/seed.sql`: sample data for a development backend."""
    return supabase_dir() / "seed.sql"


def config_file() -> Path:
    """`supabase/config.toml`: the Supabase CLI's configuration, which the embedded gateway reads too."""
    return supabase_dir() / "config.toml"


def functions_dir() -> Path:
    """`functions/`: the Edge Functions, one folder each."""
    return root() / "functions"


def package_json() -> Path:
    """`package.json`: what Node has to install for REST and functions; `package-lock.json` lies beside it."""
    return root() / "package.json"
