"""Access tokens for people, without their password: for the command line and for samples."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from classbase.embedded.auth import store
from classbase.embedded.auth.service import AuthService, hash_password
from classbase.embedded.config import read_config
from classbase.embedded.errors import EmbeddedError
from classbase.embedded.processes import LOOPBACK
from classbase.embedded.project import DEFAULT_PORT, Settings

_IS_SAMPLE = "raw_app_meta_data ->> 'sample' = 'true'"


@dataclass(frozen=True)
class SampleUser:
    """Somebody of the sample data: how to sign in as them. `access_token` is good for a week."""

    email: str
    name: str
    password: str
    access_token: str


def user_token(db_url: str, settings: Settings, who: str, seconds: int) -> tuple[str, dict[str, Any]]:
    """An access token for a user, and its claims, as a sign-in would have made them (the hook is asked too).

    Args:
        db_url: the database, as its owner.
        settings: of the installation that shall believe the token.
        who: e-mail address or id.
        seconds: how long it is good for.

    Raises:
        EmbeddedError: there is no such user.
    """
    return asyncio.run(_user_token(db_url, settings, who, seconds))


def sample_users(db_url: str, settings: Settings, seconds: int = 7 * 86400) -> list[SampleUser]:
    """The users of the sample data, each with the installation's sample password and a fresh token.

    Seeds cannot hold a password (it would be the same everywhere), so it is set here where there is none yet.
    """
    return asyncio.run(_sample_users(db_url, settings, seconds))


def _service(settings: Settings) -> AuthService:
    issuer = f"http://{LOOPBACK}:{settings.port or DEFAULT_PORT}/auth/v1"
    return AuthService(read_config().auth, settings.jwt_secret, issuer)


async def _connect(db_url: str) -> store.Conn:
    return await AsyncConnection.connect(db_url, autocommit=True, row_factory=dict_row, connect_timeout=10)


async def _user_token(db_url: str, settings: Settings, who: str, seconds: int) -> tuple[str, dict[str, Any]]:
    async with await _connect(db_url) as conn:
        try:
            row = await store.user_by_id(conn, uuid.UUID(who))
        except ValueError:
            row = await store.user_by_email(conn, who)
        if row is None:
            hint = "`classbase up --sample` makes some; so does a sign-up over /auth/v1."
            raise EmbeddedError(f"There is no user {who}.", hint)
        return await _mint(conn, settings, row, seconds)


async def _mint(conn: store.Conn, settings: Settings, row: store.Row, seconds: int) -> tuple[str, dict[str, Any]]:
    session_id = await store.start_session(conn, row["id"], "classbase token", None)
    return await _service(settings).access_token(conn, row, session_id, "token", seconds)


async def _sample_users(db_url: str, settings: Settings, seconds: int) -> list[SampleUser]:
    found: list[SampleUser] = []
    async with await _connect(db_url) as conn:
        await conn.execute(
            f"update auth.users set encrypted_password = %s where {_IS_SAMPLE}"
            " and coalesce(encrypted_password, '') = ''",
            (await asyncio.to_thread(hash_password, settings.sample_password),),
        )
        rows = await (await conn.execute(f"select * from auth.users where {_IS_SAMPLE} order by email")).fetchall()
        for row in rows:
            token, _ = await _mint(conn, settings, row, seconds)
            name = str((row["raw_user_meta_data"] or {}).get("full_name", ""))
            found.append(SampleUser(str(row["email"]), name, settings.sample_password, token))
    return found
