"""The auth tables: users, identities, sessions and refresh tokens, as Supabase Auth keeps them."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

Conn = AsyncConnection[DictRow]
Row = dict[str, Any]

_NO_INSTANCE = uuid.UUID(int=0)


async def user_by_id(conn: Conn, user_id: uuid.UUID) -> Row | None:
    """The user with this id, or None."""
    return await _one(conn, "select * from auth.users where id = %s and deleted_at is null", (user_id,))


async def user_by_email(conn: Conn, email: str) -> Row | None:
    """The user with this e-mail address (any case), or None."""
    text = "select * from auth.users where email = lower(%s) and not is_sso_user and deleted_at is null"
    return await _one(conn, text, (email,))


async def users(conn: Conn, page: int, per_page: int) -> tuple[list[Row], int]:
    """One page of users (the first is 1), newest first, and how many there are in all."""
    total = await _one(conn, "select count(*) as n from auth.users where deleted_at is null", ())
    cursor = await conn.execute(
        "select * from auth.users where deleted_at is null order by created_at desc, id limit %s offset %s",
        (per_page, (page - 1) * per_page),
    )
    return await cursor.fetchall(), int(total["n"]) if total else 0


async def identities(conn: Conn, user_ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Row]]:
    """The identities of these users, by user."""
    found: dict[uuid.UUID, list[Row]] = {user_id: [] for user_id in user_ids}
    cursor = await conn.execute(
        "select * from auth.identities where user_id = any(%s) order by created_at, id", (user_ids,)
    )
    for row in await cursor.fetchall():
        found[row["user_id"]].append(row)
    return found


async def create_user(
    conn: Conn,
    *,
    email: str | None,
    password_hash: str | None,
    user_metadata: Mapping[str, Any],
    app_metadata: Mapping[str, Any],
    confirmed: bool,
    user_id: uuid.UUID | None = None,
    role: str = "authenticated",
    phone: str | None = None,
    banned_until: datetime | None = None,
) -> Row:
    """Adds a user, with an e-mail identity when there is an address.

    Raises:
        psycopg.errors.UniqueViolation: the address, the phone or the id is taken.
    """
    new_id = user_id or uuid.uuid4()
    metadata = {"provider": "email", "providers": ["email"], **app_metadata}
    shown = {**user_metadata, **({"email_verified": True} if confirmed else {})}
    await conn.execute(
        """
        insert into auth.users (
          instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, phone, phone_confirmed_at,
          raw_app_meta_data, raw_user_meta_data, banned_until, created_at, updated_at,
          confirmation_token, recovery_token, email_change_token_new, email_change
        )
        values (
          %(instance)s, %(id)s, 'authenticated', %(role)s, lower(%(email)s), %(hash)s,
          case when %(confirmed)s and %(email)s::text is not null then now() end, %(phone)s,
          case when %(confirmed)s and %(phone)s::text is not null then now() end,
          %(app)s, %(user)s, %(banned)s, now(), now(), '', '', '', ''
        )
        """,
        {
            "instance": _NO_INSTANCE,
            "id": new_id,
            "role": role,
            "email": email,
            "hash": password_hash,
            "confirmed": confirmed,
            "phone": phone,
            "app": Jsonb(metadata),
            "user": Jsonb(shown),
            "banned": banned_until,
        },
    )
    if email is not None:
        data = {"sub": str(new_id), "email": email.lower(), "email_verified": confirmed, "phone_verified": False}
        await conn.execute(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at,"
            " updated_at) values (%s, %s, %s, 'email', now(), now(), now())",
            (str(new_id), new_id, Jsonb(data)),
        )
    created = await user_by_id(conn, new_id)
    assert created is not None
    return created


async def update_user(conn: Conn, user_id: uuid.UUID, changes: Mapping[str, Any]) -> Row | None:
    """Writes columns of a user; the e-mail identity follows a new address. None when there is no such user.

    Raises:
        psycopg.errors.UniqueViolation: the new address or phone is taken.
    """
    values = {**changes, "id": user_id}
    parts = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in changes]
    assignments = sql.SQL(", ").join([*parts, sql.SQL("updated_at = now()")])
    cursor = await conn.execute(
        sql.SQL("update auth.users set {} where id = %(id)s and deleted_at is null returning *").format(assignments),
        values,
    )
    row = await cursor.fetchone()
    if row is not None and "email" in changes:
        await conn.execute(
            "update auth.identities set identity_data = identity_data || %s, updated_at = now()"
            " where user_id = %s and provider = 'email'",
            (Jsonb({"email": changes["email"]}), user_id),
        )
    return row


async def delete_user(conn: Conn, user_id: uuid.UUID) -> bool:
    """Removes a user and, with it, all that hangs on it; False when there is none."""
    await conn.execute("delete from auth.refresh_tokens where user_id = %s", (str(user_id),))
    cursor = await conn.execute("delete from auth.users where id = %s", (user_id,))
    return cursor.rowcount == 1


async def start_session(conn: Conn, user_id: uuid.UUID, user_agent: str | None, ip: str | None) -> uuid.UUID:
    """A new session of the user; returns its id."""
    session_id = uuid.uuid4()
    await conn.execute(
        "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)"
        " values (%s, %s, now(), now(), 'aal1', %s, %s)",
        (session_id, user_id, user_agent, ip),
    )
    await conn.execute("update auth.users set last_sign_in_at = now(), updated_at = now() where id = %s", (user_id,))
    await conn.execute("update auth.identities set last_sign_in_at = now() where user_id = %s", (user_id,))
    return session_id


async def session(conn: Conn, session_id: uuid.UUID) -> Row | None:
    """The session, or None when it was ended."""
    return await _one(conn, "select * from auth.sessions where id = %s", (session_id,))


async def end_sessions(
    conn: Conn, user_id: uuid.UUID, *, only: uuid.UUID | None = None, but: uuid.UUID | None = None
) -> None:
    """Ends the user's sessions: all, `only` one, or all `but` one. Their refresh tokens go with them."""
    await conn.execute(
        "delete from auth.sessions where user_id = %(user)s"
        " and (%(only)s::uuid is null or id = %(only)s) and (%(but)s::uuid is null or id <> %(but)s)",
        {"user": user_id, "only": only, "but": but},
    )


async def add_refresh_token(conn: Conn, user_id: uuid.UUID, session_id: uuid.UUID, parent: str | None = None) -> str:
    """A new refresh token of the session; returns it."""
    token = secrets.token_urlsafe(16)
    await conn.execute(
        "insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent,"
        " session_id) values (%s, %s, %s, false, now(), now(), %s, %s)",
        (_NO_INSTANCE, token, str(user_id), parent, session_id),
    )
    return token


async def refresh_token(conn: Conn, token: str) -> Row | None:
    """The refresh token's row, locked until the transaction ends; None when there is none."""
    return await _one(conn, "select * from auth.refresh_tokens where token = %s for update", (token,))


async def active_child(conn: Conn, token: str) -> Row | None:
    """The token that took this one's place and is still good, or None."""
    return await _one(conn, "select * from auth.refresh_tokens where parent = %s and not revoked", (token,))


async def revoke(conn: Conn, token: str) -> None:
    """Makes a refresh token useless."""
    await conn.execute("update auth.refresh_tokens set revoked = true, updated_at = now() where token = %s", (token,))


async def revoke_session(conn: Conn, session_id: uuid.UUID) -> None:
    """Makes all refresh tokens of a session useless."""
    await conn.execute(
        "update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = %s and not revoked",
        (session_id,),
    )


async def recently(conn: Conn, instant: datetime, within: timedelta) -> bool:
    """Whether `instant` is less than `within` ago, by the database's clock."""
    row = await _one(conn, "select now() - %s::timestamptz < %s as answer", (instant, within))
    return row is not None and bool(row["answer"])


async def run_hook(conn: Conn, function: str, event: Mapping[str, Any]) -> Any:
    """Calls the access token hook as the auth service's role would, and returns what it answers."""
    async with conn.transaction():
        await conn.execute("set local role supabase_auth_admin")
        row = await _one(
            conn, sql.SQL("select {}(%s) as answer").format(sql.Identifier(*function.split("."))), (Jsonb(event),)
        )
        await conn.execute("reset role")
    return row["answer"] if row else None


async def _one(conn: Conn, text: Any, values: tuple[Any, ...]) -> Row | None:
    cursor = await conn.execute(text, values)
    return await cursor.fetchone()
