"""What PostgREST tells a transaction about its request, said again over psycopg.

Order and names are those of PostgREST 12: search path, the role's own settings, role, claims, then the request. All
of it is local to the transaction, so it also holds behind a pooler in transaction mode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any


@cache
def _user_agent() -> str:
    return f"classbase/{version('classbase')} psycopg"


ROLE_SETTINGS = """
  select s.name, substr(chosen.text, strpos(chosen.text, '=') + 1)
  from pg_catalog.pg_roles r
  cross join unnest(r.rolconfig) as chosen(text)
  join pg_catalog.pg_settings s on s.name = split_part(chosen.text, '=', 1)
  where r.rolname = %s
    and (s.context = 'user' or has_parameter_privilege(current_user, s.name, 'set'))
  order by 1"""
"""The settings a role brings along (`alter role anon set statement_timeout = ...`), as far as one may set them."""


@dataclass(frozen=True)
class RequestContext:
    """As whom calls are made.

    Attributes:
        role: "anon", "authenticated", "service_role" or another role the connection may become.
        claims: the token's claims, such as {"sub": user id}; `role` is added.
        headers: request headers the database may look at, in lower case.
        search_path: the schemas PostgREST would search: the exposed one, then the extra ones.
    """

    role: str = "service_role"
    claims: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    search_path: tuple[str, ...] = ("public", "extensions")

    def settings(self, path: str, role_settings: Mapping[str, str]) -> dict[str, str]:
        """The settings of one transaction, in the order in which they must be made.

        Args:
            path: the request's path, such as "/rpc/free_slots".
            role_settings: what `ROLE_SETTINGS` found for the role; set first, while one still may.
        """
        headers = {
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": _user_agent(),
        }
        return {
            "search_path": ", ".join('"' + schema.replace('"', '""') + '"' for schema in self.search_path),
            "timezone": "UTC",
            **role_settings,
            "role": self.role,
            "request.jwt.claims": json.dumps({"role": self.role, **self.claims}),
            "request.method": "POST",
            "request.path": path,
            "request.headers": json.dumps({**headers, **self.headers}),
            "request.cookies": "{}",
        }
