"""Errors as Supabase Auth gives them: an HTTP status, a stable code, a sentence."""

from __future__ import annotations

from typing import Any

from aiohttp import web

VERSION_HEADER = "X-Supabase-Api-Version"
_CODES_FIRST = "2024-01-01"


class AuthError(Exception):
    """A refusal of the auth service; `extra` is added to the answer (weak passwords say why)."""

    def __init__(self, status: int, code: str, message: str, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra or {}

    def document(self, request: web.Request) -> tuple[dict[str, Any], dict[str, str]]:
        """The answer's body and headers: clients that name a newer API version get the code as `code`, older ones
        the status there and the code beside it."""
        if request.headers.get(VERSION_HEADER, "") >= _CODES_FIRST:
            return {"code": self.code, "message": self.message, **self.extra}, {VERSION_HEADER: _CODES_FIRST}
        return {"code": self.status, "error_code": self.code, "msg": self.message, **self.extra}, {}


def validation(message: str) -> AuthError:
    """What was sent does not make sense."""
    return AuthError(400, "validation_failed", message)


def not_found() -> AuthError:
    """There is no such user."""
    return AuthError(404, "user_not_found", "User not found")
