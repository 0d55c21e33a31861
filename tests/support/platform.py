"""What a Supabase project has before anything of ours: the stand-in, and an owner with the rights of a hosted one's."""

from __future__ import annotations

from typing import Any

import psycopg

from classbase.embedded.standin import install_standin

# Like the role `postgres` of a hosted project: it owns everything and is no superuser. What only works for a
# superuser therefore fails here, before it fails there.
OWNER = "project_owner"
API_ROLES = ("anon", "authenticated", "service_role")

_RIGHTS = f"""
grant anon, authenticated, service_role to {OWNER};
grant usage on schema auth to {OWNER};
grant all on all tables in schema auth to {OWNER};
grant usage, create on schema extensions to {OWNER};
"""

# Projects of the past granted everything to everyone; sql/ has to take that back.
_GENEROUS_DEFAULTS = f"""
alter default privileges for role {OWNER} in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public grant all on functions to anon, authenticated, service_role;
"""


def load_platform(connection: psycopg.Connection[Any], *, generous: bool = True) -> None:
    """Loads the stand-in as superuser, and gives the owner what a hosted project's owner has.

    `generous`: new objects are granted to the API roles, as projects of the past had it; new ones start with nothing.
    """
    install_standin(connection)
    connection.execute(_RIGHTS)
    if generous:
        connection.execute(_GENEROUS_DEFAULTS)
