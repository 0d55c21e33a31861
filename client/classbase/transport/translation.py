"""From whatever went wrong to one of `classbase.errors`: the one place that knows every other vocabulary.

The database's own refusals carry their code: in the body over REST, as JSON in the message of SQLSTATE PGRST over
psycopg. Raw Postgres errors are the last line of defence (a constraint spoke before a function did) and are mapped
to the same codes. Only what both ways can tell goes into the context, so that an error does not depend on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import psycopg
from postgrest import APIError

from classbase import errors
from classbase.errors import Category, ClassbaseError, FieldError
from classbase.values import loads

_OURS = re.compile(r"[a-z]+(_[a-z]+)*")

# By SQLSTATE, then by its class (the first two characters).
_BY_SQLSTATE: Mapping[str, type[ClassbaseError]] = {
    "23P01": errors.TimeConflict,
    "23505": errors.Duplicate,
    "23": errors.InvalidInput,
    "22": errors.InvalidInput,
    "21": errors.InvalidInput,
    "44": errors.InvalidInput,
    "P0001": errors.InvalidInput,
    "428C9": errors.InvalidInput,
    "42501": errors.Forbidden,
    "28": errors.Forbidden,
    "40": errors.Busy,
    "55P03": errors.Busy,
    "55006": errors.Busy,
    "53300": errors.Busy,
    "54": errors.LimitExceeded,
    "57014": errors.TimedOut,
    "57": errors.NetworkError,
    "08": errors.NetworkError,
    "42883": errors.OutOfDate,
    "42P01": errors.OutOfDate,
    "42703": errors.OutOfDate,
    "42704": errors.OutOfDate,
    "3F000": errors.OutOfDate,
}

# PostgREST's own codes, the longest match first.
_BY_POSTGREST: Mapping[str, type[ClassbaseError]] = {
    "PGRST000": errors.NetworkError,
    "PGRST001": errors.NetworkError,
    "PGRST002": errors.NetworkError,
    "PGRST003": errors.Busy,
    "PGRST102": errors.InvalidInput,
    "PGRST103": errors.InvalidInput,
    "PGRST106": errors.OutOfDate,
    "PGRST116": errors.NotFound,
    "PGRST300": errors.InternalError,
    "PGRST30": errors.Forbidden,
    "PGRST2": errors.OutOfDate,
}

# What a gateway between us and PostgREST may say.
_BY_STATUS: Mapping[int, type[ClassbaseError]] = {
    401: errors.Forbidden,
    403: errors.Forbidden,
    408: errors.NetworkError,
    413: errors.LimitExceeded,
    429: errors.RateLimited,
    502: errors.NetworkError,
    503: errors.NetworkError,
    504: errors.NetworkError,
}

# A broken connection, or a server that was told to stop: nobody knows whether the commit came first. Whatever else
# Postgres reports, the transaction was undone.
_UNKNOWN_OUTCOME = re.compile(r"08...|57P0[12]|PGRST001")

_HINTS: Mapping[type[ClassbaseError], str] = {
    errors.OutOfDate: "Apply the migrations (classbase migrate), or use the client of the database's release.",
    errors.TimedOut: "Ask for less at once.",
}

_CONSTRAINT = re.compile(r'constraint "([^"]+)"')


def from_codes(
    code: str | None,
    message: str | None,
    details: Any,
    hint: str | None,
    *,
    status: int | None = None,
    retry_after: str | None = None,
) -> ClassbaseError:
    """The error for a code and what came with it.

    Args:
        code: ours, a SQLSTATE, one of PostgREST's, or None when whoever answered is none of these.
        details: JSON text for ours, a sentence for Postgres' errors.
        status: the HTTP status, where there was one.
        retry_after: the Retry-After header, where there was one.
    """
    if code is not None and _OURS.fullmatch(code):
        return _ours(code, message, _details(details), hint, status, retry_after)
    if code is None or (code.isdigit() and len(code) == 3):
        return _from_gateway(status or int(code or 500), message, details, retry_after)
    context: dict[str, Any] = {"sqlstate": code} if not code.startswith("PGRST") else {"postgrest": code}
    if details:
        context["detail"] = details
    if found := _CONSTRAINT.search(message or ""):
        context["constraint"] = found[1]
    kind = _kind(code)
    return kind(
        message,
        context=context,
        hint=_HINTS.get(kind) or hint,
        outcome_unknown=_UNKNOWN_OUTCOME.fullmatch(code) is not None,
    )


def _kind(code: str) -> type[ClassbaseError]:
    table = _BY_POSTGREST if code.startswith("PGRST") else _BY_SQLSTATE
    for length in range(len(code), 1, -1):
        if kind := table.get(code[:length]):
            return kind
    return errors.InternalError


def _details(details: Any) -> dict[str, Any]:
    if isinstance(details, str):
        try:
            details = loads(details)
        except ValueError:
            return {"detail": details}
    return dict(details) if isinstance(details, Mapping) else {} if details is None else {"details": details}


def _ours(
    code: str,
    message: str | None,
    context: dict[str, Any],
    hint: str | None,
    status: int | None,
    retry_after: str | None,
) -> ClassbaseError:
    if retry_after is not None and "retry_after" not in context:
        context["retry_after"] = _seconds(retry_after)
    listed = context.get("errors")
    fields = [
        FieldError(each.get("field"), str(each.get("message", "")))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, Mapping)
    ]
    field = context.get("field")
    kind = errors.BY_CODE.get(code)
    # A newer database's code, or a gateway's: its status still says what sort of refusal it is.
    fallback = {401: errors.Forbidden, 403: errors.Forbidden, 404: errors.NotFound, 429: errors.RateLimited}
    error = (kind or fallback.get(status or 400, ClassbaseError))(
        message, code=code, context=context, hint=hint, field=field if isinstance(field, str) else None, errors=fields
    )
    if type(error) is ClassbaseError:
        error.http_status = status or 400
        error.severity = "warning"
        error.category = _category(error.http_status)
    return error


def _category(status: int) -> Category:
    if status >= 500:
        return "system"
    return "permission" if status in (401, 403) else "integrity" if status == 409 else "validation"


def _from_gateway(status: int, message: str | None, details: Any, retry_after: str | None) -> ClassbaseError:
    context: dict[str, Any] = {"status": status}
    if details:
        context["detail"] = str(details)[:1000]
    if retry_after is not None:
        context["retry_after"] = _seconds(retry_after)
    kind = _BY_STATUS.get(status, errors.InternalError)
    return kind(
        message or f"The backend answered with HTTP status {status}.",
        context=context,
        hint="Is this the address of a classbase backend?" if kind is errors.InternalError else None,
        outcome_unknown=status in (408, 500, 502, 503, 504),
    )


def _seconds(retry_after: str) -> float | None:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def from_response(response: httpx.Response) -> ClassbaseError:
    """The error an HTTP answer of 400 or more stands for."""
    try:
        body = loads(response.content)
    except ValueError:
        body = None
    known = body if isinstance(body, dict) else {}
    return from_codes(
        _text(known.get("code")),
        _text(known.get("message")),
        known.get("details") if known else response.text,
        _text(known.get("hint")),
        status=response.status_code,
        retry_after=response.headers.get("Retry-After"),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def from_psycopg(error: psycopg.Error) -> ClassbaseError:
    """The error a psycopg exception stands for."""
    if error.sqlstate is None:
        return _from_connection(error)
    message, details, hint = error.diag.message_primary, error.diag.message_detail, error.diag.message_hint
    if error.sqlstate == "PGRST":
        try:
            known, answer = loads(message or ""), _details(details)
        except ValueError:
            known, answer = None, {}
        if isinstance(known, dict):
            headers = answer.get("headers") or {}
            return from_codes(
                _text(known.get("code")) or errors.InternalError.default_code,
                _text(known.get("message")),
                known.get("details"),
                _text(known.get("hint")),
                status=answer.get("status"),
                retry_after=_text(headers.get("Retry-After")) if isinstance(headers, dict) else None,
            )
    return from_codes(error.sqlstate, message, details, hint)


def _from_connection(error: psycopg.Error) -> ClassbaseError:
    text = str(error).strip()
    if not isinstance(error, psycopg.OperationalError):
        return errors.InternalError(text)
    # libpq gives no SQLSTATE for a failed connection; a wrong password stays wrong, however often it is tried.
    if "authentication failed" in text or "no password supplied" in text or "pg_hba.conf" in text:
        return errors.Forbidden(text, hint="Check the user and password of the database URL.")
    return errors.NetworkError(text, outcome_unknown=True)


def from_httpx(error: httpx.RequestError) -> ClassbaseError:
    """The error of a request that got no answer; only what failed before it was sent surely was not done."""
    not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return errors.InternalError(str(error), hint="Is the URL complete, with http:// or https://?")
    return errors.NetworkError(str(error) or type(error).__name__, outcome_unknown=not not_sent)


def from_api_error(error: APIError) -> ClassbaseError:
    """The error that the table builder's exception stands for."""
    return from_codes(error.code, error.message, error.details, error.hint)


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turns what psycopg, httpx and the table builder raise inside the block into `classbase.errors`.

    The transports use it; use it yourself around `cb.table(...)`, whose builder raises postgrest's own errors.

    Raises:
        ClassbaseError: with the original exception as its cause.
    """
    try:
        yield
    except psycopg.Error as error:
        raise from_psycopg(error) from error
    except httpx.HTTPStatusError as error:
        raise from_response(error.response) from error
    except httpx.RequestError as error:
        raise from_httpx(error) from error
    except APIError as error:
        raise from_api_error(error) from error
