"""Calls over REST: any PostgREST, such as a Supabase project's, with a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
from postgrest import AsyncPostgrestClient, AsyncRequestBuilder

from classbase.errors import InternalError, LimitExceeded
from classbase.transport.function import Function
from classbase.transport.translation import typed_errors
from classbase.values import dumps, loads

Token = str | Callable[[], str]


class AsyncRestTransport:
    """Sends calls to `<rest_url>/rpc/...`.

    Args:
        rest_url: where PostgREST is, such as `https://ref.supabase.co/rest/v1`.
        key: the project's anon or service key, sent as `apikey`.
        access_token: a signed-in user's token, or what returns a fresh one whenever it is called; the key when None.
        timeout: seconds to wait for an answer (hosted gateways give up after 60).
        headers: further headers of every request.
    """

    def __init__(
        self,
        rest_url: str,
        key: str,
        *,
        access_token: Token | None = None,
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._url = rest_url.rstrip("/")
        self._token: Token = access_token if access_token is not None else key
        self._headers = {"apikey": key, **(headers or {})}
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)))

    def _authorised(self) -> dict[str, str]:
        token = self._token if isinstance(self._token, str) else self._token()
        return {**self._headers, "Authorization": f"Bearer {token}"}

    def table(self, name: str) -> AsyncRequestBuilder:
        """The postgrest builder for a table or view."""
        with typed_errors():
            client = AsyncPostgrestClient(self._url, headers=self._authorised(), http_client=self._http)
        return client.table(name)

    async def send(self, function: Function[Any], arguments: Mapping[str, Any]) -> Any:
        """Calls the function once; a long answer is fetched in as many pages as the server cuts it into.

        Raises:
            ClassbaseError: translated; LimitExceeded when a changing function answered more rows than the server
                hands out (it has been done, but asking for the rest would do it again).
        """
        if function.shape not in ("rows", "values"):
            answer, _ = await self._post(function, arguments, {}, {})
            return answer
        rows, total = await self._post(function, arguments, {}, {"Prefer": "count=exact"})
        while len(rows) < total:
            if not function.read_only:
                raise LimitExceeded(
                    f"{function.name} was done, but only {len(rows)} of its {total} rows were answered.",
                    context={"returned": len(rows), "total": total},
                    hint="Raise PostgREST's db-max-rows, or do less at once.",
                )
            page, total = await self._post(function, arguments, {"offset": str(len(rows))}, {"Prefer": "count=exact"})
            if not page:
                break
            rows += page
        return rows

    async def _post(
        self, function: Function[Any], arguments: Mapping[str, Any], query: dict[str, str], headers: dict[str, str]
    ) -> tuple[Any, int]:
        with typed_errors():
            response = await self._http.post(
                f"{self._url}/rpc/{function.name}",
                params=query,
                content=dumps(arguments),
                headers={
                    **self._authorised(),
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    **headers,
                },
            )
            if response.status_code == 416:
                return [], 0  # rows went away between two pages
            response.raise_for_status()
        if not response.content:
            return None, 0
        try:
            answer = loads(response.content)
        except ValueError as error:
            raise InternalError(
                f"{function.name} answered something that is not JSON.",
                context={"status": response.status_code, "detail": response.text[:1000]},
                hint="Is this the address of a classbase backend?",
                outcome_unknown=True,
            ) from error
        return answer, _total(response.headers.get("Content-Range"), answer)

    async def close(self) -> None:
        """Closes the HTTP connections."""
        await self._http.aclose()


def _total(content_range: str | None, answer: Any) -> int:
    """How many rows there are in all: the part of Content-Range after the slash."""
    _, _, total = (content_range or "").partition("/")
    if total.isdigit():
        return int(total)
    return len(answer) if isinstance(answer, list) else 0
