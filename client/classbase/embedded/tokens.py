"""Tokens: what PostgREST, the local auth and Edge Functions believe, signed with the installation's secret (HS256)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt

ALGORITHM = "HS256"
ROLES = ("anon", "authenticated", "service_role")
_TEN_YEARS = 10 * 365 * 24 * 3600
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """A signed token with these claims."""
    return jwt.encode(dict(claims), secret, algorithm=ALGORITHM)


def verify(token: str, secret: str) -> dict[str, Any]:
    """The token's claims.

    Raises:
        jwt.InvalidTokenError: wrongly signed, expired, or no token at all.
    """
    # Supabase's services do not look at the audience either: it is the project's own secret that says whose it is.
    return dict(jwt.decode(token, secret, algorithms=[ALGORITHM], options={"verify_aud": False}))


def api_key(role: str, secret: str) -> str:
    """An API key: a token of a role and nobody in particular, good for ten years, as Supabase's are."""
    now = int(time.time())
    return sign({"iss": "supabase", "ref": "classbase", "role": role, "iat": now, "exp": now + _TEN_YEARS}, secret)


def user_claims(
    user: Mapping[str, Any], *, issuer: str, seconds: int, session_id: uuid.UUID, method: str = "password"
) -> dict[str, Any]:
    """The claims of a signed-in user, as Supabase Auth writes them.

    Args:
        user: a row of auth.users: id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data, is_anonymous.
        issuer: the auth service's address.
        seconds: how long the token is good for.
        session_id: the row of auth.sessions it belongs to.
        method: how the user signed in.
    """
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": str(user["id"]),
        "aud": user["aud"] or "authenticated",
        "exp": now + seconds,
        "iat": now,
        "email": user["email"] or "",
        "phone": user["phone"] or "",
        "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "role": user["role"] or "authenticated",
        "aal": "aal1",
        "amr": [{"method": method, "timestamp": now}],
        "session_id": str(session_id),
        "is_anonymous": bool(user["is_anonymous"]),
    }


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `1h`, `7d`, `2w`, or several of them (`1h30m`).

    Raises:
        ValueError: it is none of these, or not longer than nothing.
    """
    parts = re.findall(r"(\d+)\s*([smhdw])", text.strip().lower())
    if not parts or "".join(f"{n}{u}" for n, u in parts) != re.sub(r"\s+", "", text.lower()):
        raise ValueError(f"{text!r} is not a duration; write for instance 90s, 15m, 1h or 7d")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _TEN_YEARS:
        raise ValueError(f"{text!r} is not between one second and ten years")
    return timedelta(seconds=seconds)
