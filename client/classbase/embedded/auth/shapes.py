"""The JSON shapes of Supabase Auth, made from rows of the auth tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def instant(value: datetime | None) -> str | None:
    """An instant as RFC 3339 in UTC (`2025-01-31T09:30:00.123456Z`), or None."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def user(row: Mapping[str, Any], identities: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A user; instants that never happened are left out, as the platform leaves them out."""
    document: dict[str, Any] = {
        "id": str(row["id"]),
        "aud": row["aud"] or "authenticated",
        "role": row["role"] or "authenticated",
        "email": row["email"] or "",
        "phone": row["phone"] or "",
        "app_metadata": row["raw_app_meta_data"] or {},
        "user_metadata": row["raw_user_meta_data"] or {},
        "identities": [identity(item) for item in identities],
        "is_anonymous": bool(row["is_anonymous"]),
    }
    for name in (
        "invited_at", "email_confirmed_at", "phone_confirmed_at", "confirmed_at", "confirmation_sent_at",
        "recovery_sent_at", "last_sign_in_at", "created_at", "updated_at", "banned_until",
    ):  # fmt: skip
        if row[name] is not None:
            document[name] = instant(row[name])
    return document


def identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """One way in which a user signs in."""
    return {
        "identity_id": str(row["id"]),
        "id": row["provider_id"],
        "user_id": str(row["user_id"]),
        "identity_data": row["identity_data"],
        "provider": row["provider"],
        "last_sign_in_at": instant(row["last_sign_in_at"]),
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
        "email": row["email"],
    }


def session(
    access_token: str, refresh_token: str, expires_at: int, seconds: int, who: dict[str, Any]
) -> dict[str, Any]:
    """What a sign-in answers; `expires_at` in seconds since 1970."""
    return {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": seconds,
        "expires_at": expires_at,
        "refresh_token": refresh_token,
        "user": who,
    }
