"""classbase: the backend of organisations that run classes.

    import classbase

    with classbase.connect("https://ref.supabase.co", key, access_token=token) as cb:
        for slot in cb.time.free_slots(...):
            ...

`connect` and `connect_async` speak REST, `connect_database` and `connect_database_async` speak to Postgres; all four
offer the same methods and raise the same errors (`classbase.errors`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classbase.async_client import (
        AsyncClassbase,
        AsyncDatabaseClassbase,
        AsyncRestClassbase,
        connect_async,
        connect_database_async,
    )
    from classbase.client import Classbase, DatabaseClassbase, RestClassbase, connect, connect_database
    from classbase.errors import ClassbaseError
    from classbase.models import UNSET
    from classbase.retry import RetryPolicy
    from classbase.transport.translation import typed_errors

__all__ = [
    "UNSET",
    "AsyncClassbase",
    "AsyncDatabaseClassbase",
    "AsyncRestClassbase",
    "Classbase",
    "ClassbaseError",
    "DatabaseClassbase",
    "RestClassbase",
    "RetryPolicy",
    "connect",
    "connect_async",
    "connect_database",
    "connect_database_async",
    "typed_errors",
]

_HOMES = {
    "UNSET": "classbase.models",
    "ClassbaseError": "classbase.errors",
    "RetryPolicy": "classbase.retry",
    "typed_errors": "classbase.transport.translation",
    **dict.fromkeys(
        ["Classbase", "DatabaseClassbase", "RestClassbase", "connect", "connect_database"], "classbase.client"
    ),
}


def __getattr__(name: str) -> Any:
    # The command line and the embedded backend import this package too; they should not have to wait for httpx,
    # psycopg and a few hundred models.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "classbase.async_client")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
