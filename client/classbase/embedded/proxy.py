"""Passing a request on and its answer back, in both directions as it comes: nothing is collected in between."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from classbase.embedded.web import Refusal

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "expect",
    }
)  # fmt: skip
_MAX_LINE = 64 * 1024


def client_session() -> aiohttp.ClientSession:
    """The session to pass requests on with: no time limit (events may stream for hours), nothing decompressed."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        connector=aiohttp.TCPConnector(limit=0, force_close=False),
        skip_auto_headers={"User-Agent", "Accept", "Accept-Encoding", "Content-Type"},
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        trust_env=False,
    )


async def forward(
    session: aiohttp.ClientSession,
    request: web.Request,
    target: URL,
    *,
    headers: Mapping[str, str] | None = None,
    answer_headers: Mapping[str, str] | None = None,
    unreachable: Refusal,
) -> web.StreamResponse:
    """Sends `request` to `target` and streams the answer.

    Args:
        session: from `client_session`.
        request: what came in; its body is read as it arrives.
        target: the whole URL, already encoded.
        headers: set on what is sent, over the caller's.
        answer_headers: when given, replace every cross-origin header of the answer.
        unreachable: the answer when nobody listens at `target`.
    """
    sent = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP)
    sent.update(headers or {})
    sent["X-Forwarded-Host"] = request.host
    sent["X-Forwarded-Proto"] = "http"
    sent["X-Forwarded-For"] = request.remote or ""
    try:
        upstream = await session.request(
            request.method,
            target,
            headers=sent,
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        )
    except aiohttp.ClientConnectionError:
        raise unreachable from None
    try:
        answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
        for name, value in upstream.headers.items():
            lowered = name.lower()
            if lowered in _HOP_BY_HOP or (answer_headers is not None and lowered.startswith("access-control-")):
                continue
            answer.headers.add(name, value)
        answer.headers.update(answer_headers or {})
        await answer.prepare(request)
        async for chunk in upstream.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
        return answer
    finally:
        # Closed, not released: when the caller went away in the middle, the one behind shall learn of it.
        upstream.close()
