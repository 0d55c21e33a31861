"""What the local auth does: sign-up, sign-in, refresh, sign-out, and the administration of users."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import psycopg

from classbase.embedded import tokens
from classbase.embedded.auth import shapes, store
from classbase.embedded.auth.errors import AuthError, not_found, validation
from classbase.embedded.auth.store import Conn, Row
from classbase.embedded.config import AuthConfig

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_PASSWORD = 72  # bytes; bcrypt looks at no more
_FOREVER = timedelta(days=36500)


class AuthService:
    """The local auth over one connection at a time.

    Args:
        config: `[auth]` of config.toml.
        jwt_secret: signs the access tokens.
        issuer: the auth service's public address, which tokens name.
    """

    def __init__(self, config: AuthConfig, jwt_secret: str, issuer: str) -> None:
        self.config = config
        self.jwt_secret = jwt_secret
        self.issuer = issuer

    # -- signing in and out ------------------------------------------------------------------------------------

    async def sign_up(self, conn: Conn, body: Mapping[str, Any], agent: str | None, ip: str | None) -> dict[str, Any]:
        """`POST /signup`: makes a user and signs them in (or only makes them, when addresses must be confirmed)."""
        if not self.config.enable_signup:
            raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")
        if not body.get("email") and not body.get("phone"):
            raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        if not self.config.enable_email_signup or not body.get("email"):
            which = "email" if body.get("email") else "phone"
            raise AuthError(422, f"{which}_provider_disabled", f"{which.capitalize()} signups are disabled")
        email = clean_email(body["email"])
        if not body.get("password"):
            raise validation("Signup requires a valid password")
        password_hash = await self._hash(body["password"])
        if await store.user_by_email(conn, email) is not None:
            raise AuthError(422, "user_already_exists", "User already registered")
        async with conn.transaction():
            row = await _unique(
                store.create_user(
                    conn,
                    email=email,
                    password_hash=password_hash,
                    user_metadata={**_object(body, "data"), "email": email},
                    app_metadata={},
                    confirmed=not self.config.enable_confirmations,
                ),
                AuthError(422, "user_already_exists", "User already registered"),
            )
            if self.config.enable_confirmations:
                return await self.user_document(conn, row)
            return await self._new_session(conn, row, agent, ip)

    async def sign_in(self, conn: Conn, body: Mapping[str, Any], agent: str | None, ip: str | None) -> dict[str, Any]:
        """`POST /token?grant_type=password`."""
        wrong = AuthError(400, "invalid_credentials", "Invalid login credentials")
        email, password = body.get("email"), body.get("password")
        if not isinstance(email, str) or not isinstance(password, str):
            raise validation("missing email or password" if not email else "missing password")
        row = await store.user_by_email(conn, email)
        if row is None or not row["encrypted_password"]:
            raise wrong
        if not await asyncio.to_thread(_matches, password, row["encrypted_password"]):
            raise wrong
        _refuse_banned(row)
        if row["email_confirmed_at"] is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        async with conn.transaction():
            return await self._new_session(conn, row, agent, ip)

    async def refresh(self, conn: Conn, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /token?grant_type=refresh_token`: a new pair for an old one, which is then used up.

        A token that was used a few seconds ago answers with its successor again (two tabs refresh at once); one used
        longer ago was stolen or replayed, and ends the whole session's tokens.
        """
        token = body.get("refresh_token")
        if not isinstance(token, str) or not token:
            raise validation("refresh_token required")
        refusal: AuthError | None = None
        answer: dict[str, Any] = {}
        async with conn.transaction():
            found = await store.refresh_token(conn, token)
            if found is None or found["session_id"] is None:
                message = "Invalid Refresh Token: Refresh Token Not Found"
                raise AuthError(400, "refresh_token_not_found", message)
            row = await store.user_by_id(conn, uuid.UUID(found["user_id"]))
            if row is None:
                raise AuthError(400, "user_not_found", "Invalid Refresh Token: User Not Found")
            _refuse_banned(row)
            session_id: uuid.UUID = found["session_id"]
            if not found["revoked"]:
                successor = await self._rotate(conn, row, session_id, token)
                answer = await self._session_document(conn, row, session_id, successor, "token_refresh")
            else:
                child = await store.active_child(conn, token)
                grace = timedelta(seconds=self.config.reuse_interval)
                if child is not None and await store.recently(conn, found["updated_at"], grace):
                    answer = await self._session_document(conn, row, session_id, child["token"], "token_refresh")
                else:
                    # Committed, not raised here: the revocation must outlive the refusal.
                    if self.config.rotate_refresh_tokens:
                        await store.revoke_session(conn, session_id)
                    message = "Invalid Refresh Token: Already Used"
                    refusal = AuthError(400, "refresh_token_already_used", message)
        if refusal is not None:
            raise refusal
        return answer

    async def sign_out(self, conn: Conn, claims: Mapping[str, Any], scope: str) -> None:
        """`POST /logout`: ends all of the user's sessions, this one (`local`), or the `others`."""
        if scope not in ("global", "local", "others"):
            raise validation(f'Unsupported logout scope "{scope}"')
        row = await self.signed_in(conn, claims)
        this = _uuid(claims.get("session_id"))
        await store.end_sessions(
            conn, row["id"], only=this if scope == "local" else None, but=this if scope == "others" else None
        )

    # -- oneself -----------------------------------------------------------------------------------------------

    async def signed_in(self, conn: Conn, claims: Mapping[str, Any]) -> Row:
        """The user whose token this is."""
        user_id = _uuid(claims.get("sub"))
        if user_id is None:
            raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim")
        row = await store.user_by_id(conn, user_id)
        if row is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        session_id = _uuid(claims.get("session_id"))
        if session_id is not None and await store.session(conn, session_id) is None:
            message = "Session from session_id claim in JWT does not exist"
            raise AuthError(403, "session_not_found", message)
        return row

    async def update_self(self, conn: Conn, claims: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """`PUT /user`: one's own e-mail address, password or data."""
        row = await self.signed_in(conn, claims)
        changes: dict[str, Any] = {}
        if body.get("email"):
            changes |= _new_email(clean_email(body["email"]))
        if body.get("password"):
            if row["encrypted_password"] and await asyncio.to_thread(
                _matches, body["password"], row["encrypted_password"]
            ):
                raise AuthError(422, "same_password", "New password should be different from the old password.")
            changes["encrypted_password"] = await self._hash(body["password"])
        if "data" in body:
            changes["raw_user_meta_data"] = _merged(row["raw_user_meta_data"], _object(body, "data"))
        return await self._changed(conn, row["id"], changes)

    # -- administration ----------------------------------------------------------------------------------------

    async def admin_create(self, conn: Conn, body: Mapping[str, Any]) -> dict[str, Any]:
        """`POST /admin/users`."""
        email = clean_email(body["email"]) if body.get("email") else None
        phone = str(body["phone"]).lstrip("+") if body.get("phone") else None
        if email is None and phone is None:
            raise validation("Cannot create a user without either an email or phone")
        wanted_id = _uuid(body.get("id"))
        if body.get("id") and wanted_id is None:
            raise validation("ID must conform to the uuid v4 format")
        password_hash = body.get("password_hash") or (
            await self._hash(body["password"]) if body.get("password") else None
        )
        async with conn.transaction():
            row = await _unique(
                store.create_user(
                    conn,
                    email=email,
                    password_hash=password_hash,
                    user_metadata=_object(body, "user_metadata"),
                    app_metadata=_object(body, "app_metadata"),
                    confirmed=bool(body.get("email_confirm") or body.get("phone_confirm")),
                    user_id=wanted_id,
                    role=str(body.get("role") or "authenticated"),
                    phone=phone,
                    banned_until=_ban(body),
                ),
                AuthError(422, "email_exists", "A user with this email address has already been registered"),
            )
            return await self.user_document(conn, row)

    async def admin_list(self, conn: Conn, page: int, per_page: int) -> tuple[list[dict[str, Any]], int]:
        """`GET /admin/users`: one page of users, and how many there are."""
        rows, total = await store.users(conn, page, per_page)
        known = await store.identities(conn, [row["id"] for row in rows])
        return [shapes.user(row, known[row["id"]]) for row in rows], total

    async def admin_get(self, conn: Conn, user_id: uuid.UUID) -> dict[str, Any]:
        """`GET /admin/users/{id}`."""
        row = await store.user_by_id(conn, user_id)
        if row is None:
            raise not_found()
        return await self.user_document(conn, row)

    async def admin_update(self, conn: Conn, user_id: uuid.UUID, body: Mapping[str, Any]) -> dict[str, Any]:
        """`PUT /admin/users/{id}`: anything of a user."""
        row = await store.user_by_id(conn, user_id)
        if row is None:
            raise not_found()
        changes: dict[str, Any] = {}
        if body.get("email"):
            changes |= _new_email(clean_email(body["email"]))
        if body.get("email_confirm"):
            changes["email_confirmed_at"] = datetime.now(UTC)
        if body.get("phone"):
            changes["phone"] = str(body["phone"]).lstrip("+")
        if body.get("password"):
            changes["encrypted_password"] = await self._hash(body["password"])
        if body.get("password_hash"):
            changes["encrypted_password"] = str(body["password_hash"])
        if body.get("role"):
            changes["role"] = str(body["role"])
        if "user_metadata" in body:
            changes["raw_user_meta_data"] = _merged(row["raw_user_meta_data"], _object(body, "user_metadata"))
        if "app_metadata" in body:
            changes["raw_app_meta_data"] = _merged(row["raw_app_meta_data"], _object(body, "app_metadata"))
        if "ban_duration" in body:
            changes["banned_until"] = _ban(body)
        return await self._changed(conn, user_id, changes)

    async def admin_delete(self, conn: Conn, user_id: uuid.UUID) -> None:
        """`DELETE /admin/users/{id}`."""
        async with conn.transaction():
            if not await store.delete_user(conn, user_id):
                raise not_found()

    # -- shared ------------------------------------------------------------------------------------------------

    async def user_document(self, conn: Conn, row: Row) -> dict[str, Any]:
        """A user as JSON."""
        return shapes.user(row, (await store.identities(conn, [row["id"]]))[row["id"]])

    async def access_token(
        self, conn: Conn, row: Row, session_id: uuid.UUID, method: str, seconds: int | None = None
    ) -> tuple[str, dict[str, Any]]:
        """A signed access token and its claims, after the access token hook where one is configured."""
        claims = tokens.user_claims(
            row, issuer=self.issuer, seconds=seconds or self.config.jwt_expiry, session_id=session_id, method=method
        )
        if self.config.access_token_hook is not None:
            claims = await self._hooked(conn, self.config.access_token_hook, row, claims, method)
        return tokens.sign(claims, self.jwt_secret), claims

    async def _hooked(self, conn: Conn, hook: str, row: Row, claims: dict[str, Any], method: str) -> dict[str, Any]:
        event = {"user_id": str(row["id"]), "claims": claims, "authentication_method": method}
        try:
            answer = await store.run_hook(conn, hook, event)
        except psycopg.Error as error:
            raise AuthError(500, "unexpected_failure", f"Error running hook URI: {hook}: {error}") from error
        if isinstance(answer, dict) and "error" in answer:
            problem = answer["error"]
            status = int(problem.get("http_code") or 500)
            raise AuthError(status, "hook_error", str(problem.get("message") or "The hook refused."))
        if not isinstance(answer, dict) or not isinstance(answer.get("claims"), dict):
            raise AuthError(500, "hook_payload_invalid", "The hook's answer holds no claims.")
        return dict(answer["claims"])

    async def _new_session(self, conn: Conn, row: Row, agent: str | None, ip: str | None) -> dict[str, Any]:
        session_id = await store.start_session(conn, row["id"], agent, ip)
        refresh = await store.add_refresh_token(conn, row["id"], session_id)
        fresh = await store.user_by_id(conn, row["id"])
        assert fresh is not None
        return await self._session_document(conn, fresh, session_id, refresh, "password")

    async def _rotate(self, conn: Conn, row: Row, session_id: uuid.UUID, token: str) -> str:
        if not self.config.rotate_refresh_tokens:
            return token
        await store.revoke(conn, token)
        return await store.add_refresh_token(conn, row["id"], session_id, parent=token)

    async def _session_document(
        self, conn: Conn, row: Row, session_id: uuid.UUID, refresh: str, method: str
    ) -> dict[str, Any]:
        access, claims = await self.access_token(conn, row, session_id, method)
        expires_at = int(claims["exp"])
        who = await self.user_document(conn, row)
        return shapes.session(access, refresh, expires_at, self.config.jwt_expiry, who)

    async def _changed(self, conn: Conn, user_id: uuid.UUID, changes: dict[str, Any]) -> dict[str, Any]:
        taken = AuthError(422, "email_exists", "A user with this email address has already been registered")
        async with conn.transaction():
            row = await _unique(store.update_user(conn, user_id, changes), taken)
            if row is None:
                raise not_found()
            return await self.user_document(conn, row)

    async def _hash(self, password: Any) -> str:
        if not isinstance(password, str):
            raise validation("Password must be a text")
        if len(password) < self.config.minimum_password_length:
            message = f"Password should be at least {self.config.minimum_password_length} characters."
            raise AuthError(422, "weak_password", message, {"weak_password": {"reasons": ["length"]}})
        if len(password.encode()) > _LONGEST_PASSWORD:
            raise validation(f"Password cannot be longer than {_LONGEST_PASSWORD} characters")
        return await asyncio.to_thread(hash_password, password)


def hash_password(password: str) -> str:
    """A bcrypt hash, as auth.users keeps it."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()


def clean_email(value: Any) -> str:
    """The address in lower case.

    Raises:
        AuthError: it is no address.
    """
    if not isinstance(value, str) or not _EMAIL.fullmatch(value.strip()) or len(value) > 255:
        raise validation("Unable to validate email address: invalid format")
    return value.strip().lower()


async def _unique(coroutine: Any, taken: AuthError) -> Any:
    try:
        return await coroutine
    except psycopg.errors.UniqueViolation:
        raise taken from None


def _matches(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_LONGEST_PASSWORD], stored.encode())
    except ValueError:
        return False  # the stored hash is of another kind


def _refuse_banned(row: Row) -> None:
    if row["banned_until"] is not None and row["banned_until"] > datetime.now(UTC):
        raise AuthError(400, "user_banned", "User is banned")


def _new_email(email: str) -> dict[str, Any]:
    # Nothing is mailed here, so a new address counts as confirmed at once.
    return {"email": email, "email_confirmed_at": datetime.now(UTC)}


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise validation(f"{name} must be an object")
    return dict(value)


def _merged(before: Any, added: Mapping[str, Any]) -> Any:
    """Metadata is merged key by key; a null takes the key away."""
    from psycopg.types.json import Jsonb

    together = {**(before or {}), **added}
    return Jsonb({key: value for key, value in together.items() if value is not None})


def _ban(body: Mapping[str, Any]) -> datetime | None:
    text = body.get("ban_duration")
    if text in (None, "", "none"):
        return None
    try:
        return datetime.now(UTC) + min(tokens.parse_duration(str(text)), _FOREVER)
    except ValueError as error:
        raise validation(f"invalid format for ban duration: {error}") from error


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value)) if value else None
    except ValueError:
        return None
