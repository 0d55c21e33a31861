"""The synchronous client, made from the asynchronous one."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import unasync

# What is written twice, by the name the synchronous twin has.
SOURCES = {
    "transport/caller.py": "transport/async_caller.py",
    "transport/rest.py": "transport/async_rest.py",
    "transport/database.py": "transport/async_database.py",
    "client.py": "async_client.py",
    "subscription.py": "async_subscription.py",
}

_NAMES = {
    "AsyncBoundedSemaphore": "BoundedSemaphore",
    "AsyncCaller": "Caller",
    "AsyncClassbase": "Classbase",
    "AsyncClient": "Client",
    "AsyncClientCursor": "ClientCursor",
    "AsyncConnection": "Connection",
    "AsyncDatabaseClassbase": "DatabaseClassbase",
    "AsyncDatabaseTransport": "DatabaseTransport",
    "AsyncModules": "Modules",
    "AsyncPause": "Pause",
    "AsyncPostgrestClient": "SyncPostgrestClient",
    "AsyncRequestBuilder": "SyncRequestBuilder",
    "AsyncRestClassbase": "RestClassbase",
    "AsyncRestTransport": "RestTransport",
    "AsyncRetrying": "Retrying",
    "AsyncSubscription": "Subscription",
    "AsyncTransport": "Transport",
    "aclose": "close",
    "aclosing": "closing",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "async_caller": "caller",
    "async_database": "database",
    "async_rest": "rest",
    "async_subscription": "subscription",
    "asyncio": "threading",
    "connect_async": "connect",
    "connect_database_async": "connect_database",
}

# In docstrings and comments, where unasync does not look.
_PROSE = re.compile(r"\b(connect_async|connect_database_async|asynchronous|await |async (?=for|with))\b")
_PROSE_NAMES = {**_NAMES, "asynchronous": "synchronous", "await ": "", "async ": ""}


def to_sync(source: str) -> str:
    """The synchronous twin of an asynchronous module's code."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.mkdir()
        (before / "module.py").write_text(source, encoding="utf-8")
        rule = unasync.Rule(str(before), str(after), additional_replacements=_NAMES)
        unasync.unasync_files([str(before / "module.py")], [rule])
        text = (after / "module.py").read_text(encoding="utf-8")
    return _PROSE.sub(lambda found: _PROSE_NAMES[found[1]], text)
