"""The errors a call may end with: one class a code, the same over REST and over psycopg.

The codes are the database's (`private.error_codes`), plus a few for what a database cannot say about itself: that
nobody answered, that it was too busy, that it does not know the function. What is written here is what a program
needs to decide: `code` (stable), `category`, `retryable`, `context`. How an HTTP answer or a Postgres error becomes
one of these is in `classbase.transport.translation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Category = Literal["network", "validation", "integrity", "permission", "system"]
Severity = Literal["warning", "error", "critical"]


@dataclass(frozen=True)
class FieldError:
    """One offending field of a call's input, with a message of its own."""

    field: str | None
    message: str


class ClassbaseError(Exception):
    """Something the backend refused or could not do; every other error of this package is a subclass.

    Attributes:
        message: a sentence for people.
        code: stable, for programs; one of docs/errors.md, or a newer database's that this client does not know.
        category: "network", "validation", "integrity", "permission" or "system".
        severity: "warning" for an ordinary refusal, "error" when the call or its surroundings are wrong,
            "critical" when the system needs a person.
        retryable: whether the very same call may succeed later.
        http_status: the status this code has over REST, whichever way the call went.
        context: the details, as the database gave them (ids as text, amounts as Decimal).
        hint: what to do about it, or None.
        field: the parameter or column at fault, or None.
        errors: every offending field, when there are several.
        outcome_unknown: whether the call may have been done although no answer came.
    The original exception, where there is one, is `__cause__`.
    """

    default_code: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "The call failed."
    category: Category = "system"
    severity: Severity = "error"
    retryable: bool = False
    http_status: int = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        context: Mapping[str, Any] | None = None,
        hint: str | None = None,
        field: str | None = None,
        errors: Sequence[FieldError] = (),
        outcome_unknown: bool = False,
    ) -> None:
        self.message = message or self.default_message
        super().__init__(self.message)
        self.code = code or self.default_code
        self.context: dict[str, Any] = dict(context or {})
        self.hint = hint
        self.field = field
        self.errors = tuple(errors)
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r}, context={self.context!r})"

    def as_dict(self) -> dict[str, Any]:
        """The error as a document of plain values (amounts in the context stay Decimal), for logs and `--json`."""
        return {
            "code": self.code,
            "message": self.message,
            "category": self.category,
            "severity": self.severity,
            "retryable": self.retryable,
            "http_status": self.http_status,
            "hint": self.hint,
            "field": self.field,
            "errors": [{"field": error.field, "message": error.message} for error in self.errors],
            "context": self.context,
        }


# -- what the database says (private.error_codes) ------------------------------------------------------------------


class InvalidInput(ClassbaseError):
    """A value is missing or does not make sense; `errors` lists every field at fault."""

    default_code = "invalid_input"
    category = "validation"
    severity = "warning"
    http_status = 400


class Forbidden(ClassbaseError):
    """The caller may not do this, or is not (or no longer) signed in."""

    default_code = "forbidden"
    category = "permission"
    severity = "warning"
    http_status = 403


class NotFound(ClassbaseError):
    """There is no such row, or the caller may not see it."""

    default_code = "not_found"
    category = "validation"
    severity = "warning"
    http_status = 404


class TimeConflict(ClassbaseError):
    """Somebody or something would be in two places; `conflicts` lists what is already there."""

    default_code = "time_conflict"
    category = "integrity"
    severity = "warning"
    http_status = 409

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        """The happenings that stand in the way; empty when only the raw constraint spoke."""
        found = self.context.get("conflicts")
        return list(found) if isinstance(found, list) else []


class SeatsFull(ClassbaseError):
    """There are not enough free places."""

    default_code = "seats_full"
    category = "integrity"
    severity = "warning"
    http_status = 409


class StaleVersion(ClassbaseError):
    """The row was changed since it was read; `current` holds it as it is now."""

    default_code = "stale_version"
    category = "integrity"
    severity = "warning"
    http_status = 409

    @property
    def current(self) -> dict[str, Any] | None:
        """The row as it is now, by column; None when the database did not tell."""
        row = self.context.get("current")
        return dict(row) if isinstance(row, dict) else None


class IllegalTransition(ClassbaseError):
    """The row cannot go from its status to that one."""

    default_code = "illegal_transition"
    category = "integrity"
    severity = "warning"
    http_status = 409


class Duplicate(ClassbaseError):
    """There is one like it already."""

    default_code = "duplicate"
    category = "integrity"
    severity = "warning"
    http_status = 409


class InProgress(ClassbaseError):
    """The same call, with the same idempotency key, is still running."""

    default_code = "in_progress"
    category = "system"
    severity = "warning"
    retryable = True
    http_status = 409


class LimitExceeded(ClassbaseError):
    """More than may be asked for at once, or further ahead than allowed."""

    default_code = "limit_exceeded"
    category = "validation"
    severity = "warning"
    http_status = 413


class IdempotencyMismatch(ClassbaseError):
    """The idempotency key was used before with other arguments."""

    default_code = "idempotency_mismatch"
    category = "validation"
    severity = "error"
    http_status = 422


class CursorExpired(ClassbaseError):
    """What followed the cursor is no longer known: start again without one, and read the rows themselves."""

    default_code = "cursor_expired"
    category = "validation"
    severity = "warning"
    http_status = 410


class RateLimited(ClassbaseError):
    """Too many calls in a minute; `retry_after` says for how many seconds to wait."""

    default_code = "rate_limited"
    category = "system"
    severity = "warning"
    retryable = True
    http_status = 429

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before the next try, or None when nobody said."""
        seconds = self.context.get("retry_after")
        try:
            return None if seconds is None else max(0.0, float(seconds))
        except (TypeError, ValueError):
            return None


# -- what only the client can say ----------------------------------------------------------------------------------


class NetworkError(ClassbaseError):
    """Nobody answered, or the connection broke; with `outcome_unknown` the call may have been done."""

    default_code = "network_error"
    default_message = "The backend cannot be reached."
    category = "network"
    severity = "error"
    retryable = True
    http_status = 503


class Busy(ClassbaseError):
    """The database gave up on the call for the sake of others (a deadlock, a lock not free, no free connection)."""

    default_code = "busy"
    category = "system"
    severity = "warning"
    retryable = True
    http_status = 503


class TimedOut(ClassbaseError):
    """The call took longer than its role's statement timeout and was undone; ask for less at once."""

    default_code = "timed_out"
    category = "system"
    severity = "error"
    http_status = 504


class OutOfDate(ClassbaseError):
    """The database does not know what this client calls: it, or the client, needs an upgrade."""

    default_code = "out_of_date"
    category = "system"
    severity = "error"
    http_status = 501


class InternalError(ClassbaseError):
    """Something that should not happen: a fault of the backend or of this client, or an answer nobody can read."""

    default_code = "internal_error"
    category = "system"
    severity = "critical"
    http_status = 500


FROM_DATABASE: tuple[type[ClassbaseError], ...] = (
    InvalidInput,
    Forbidden,
    NotFound,
    TimeConflict,
    SeatsFull,
    StaleVersion,
    IllegalTransition,
    Duplicate,
    InProgress,
    LimitExceeded,
    IdempotencyMismatch,
    CursorExpired,
    RateLimited,
)
FROM_CLIENT: tuple[type[ClassbaseError], ...] = (NetworkError, Busy, TimedOut, OutOfDate, InternalError)

BY_CODE: Mapping[str, type[ClassbaseError]] = {kind.default_code: kind for kind in (*FROM_DATABASE, *FROM_CLIENT)}
"""The class of every code this client knows."""
