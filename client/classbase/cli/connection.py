"""The typed client for the backend a command speaks to."""

from __future__ import annotations

from classbase.cli.options import Target
from classbase.client import Classbase, connect, connect_database


def open_client(target: Target) -> Classbase:
    """The client for a target, acting as service_role; over the database where there is a direct connection to it.

    Raises:
        CommandError: a REST address was given without a key.
    """
    if target.db_url is not None:
        return connect_database(target.db_url)
    url, key = target.rest()
    return connect(url, key)
