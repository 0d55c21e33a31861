"""Calls over REST: any PostgREST, such as a Supabase project's, with a key."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import httpx
from postgrest import AsyncPostgrestClient, AsyncRequestBuilder

from classbase.changes import Told, read_change
from classbase.errors import InternalError, LimitExceeded, NetworkError
from classbase.transport.function import Function
from classbase.transport.translation import from_codes, typed_errors
from classbase.values import dumps, loads

Token = str | Callable[[], str]

# The function says something every 15 seconds.
_QUIET_FOR_LONG = 40.0


class AsyncRestTransport:
    """Sends calls to `<rest_url>/rpc/...`.

    Args:
        rest_url: where PostgREST is, such as `https://ref.supabase.co/rest/v1`.
        key: the project's anon or service key, sent as `apikey`.
        access_token: a signed-in user's token, or what returns a fresh one whenever it is called; the key when None.
        timeout: seconds to wait for an answer (hosted gateways give up after 60).
        headers: further headers of every request.
        functions_url: where Edge Functions are, such as `https://ref.supabase.co/functions/v1`; None for nowhere.
    """

    def __init__(
        self,
        rest_url: str,
        key: str,
        *,
        access_token: Token | None = None,
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
        functions_url: str | None = None,
    ) -> None:
        self._url = rest_url.rstrip("/")
        self._functions_url = functions_url.rstrip("/") if functions_url is not None else None
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

    async def watch(self, topics: Sequence[str], cursor: str, every: float) -> AsyncGenerator[Told, None]:
        """What the Edge Function `changes` sends from a cursor on.

        Raises:
            ClassbaseError: there is no such function, the stream broke or was refused.
        """
        if self._functions_url is None:
            raise NetworkError("There are no Edge Functions here.")
        with typed_errors():
            stream = self._http.stream(
                "GET",
                f"{self._functions_url}/changes",
                params={"topics": ",".join(topics)},
                headers={**self._authorised(), "Accept": "text/event-stream", "Last-Event-ID": cursor},
                timeout=httpx.Timeout(_QUIET_FOR_LONG, connect=10.0),
            )
            async with stream as response:
                if response.status_code != 200:
                    await response.aread()
                    response.raise_for_status()
                if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise InternalError("This is no stream of events.", hint="Is the function `changes` deployed?")
                name, data = "message", ""
                async for line in response.aiter_lines():
                    field, _, value = line.partition(":")
                    value = value.removeprefix(" ")
                    if field == "id":
                        cursor = value
                    elif field == "event":
                        name = value
                    elif field == "data":
                        data += value
                    elif line == "":
                        yield _told(name, data, cursor)
                        name, data = "message", ""
        raise NetworkError("The stream of changes ended.")

    async def close(self) -> None:
        """Closes the HTTP connections."""
        await self._http.aclose()


def _told(name: str, data: str, cursor: str) -> Told:
    """What one server-sent event says; an empty one moves the cursor on.

    Raises:
        ClassbaseError: the stream ends with it.
    """
    try:
        said = loads(data) if data else {}
        if name == "change":
            return Told(change=read_change(said, cursor))
        if name == "ready":
            return Told(state="live" if said["state"] == "live" else "polling")
    except (KeyError, TypeError, ValueError) as error:
        raise InternalError("The function `changes` sent what this client cannot read.") from error
    if name == "end":
        raise from_codes(said.get("code"), said.get("message"), None, said.get("hint"))
    return Told(cursor=cursor)


def _total(content_range: str | None, answer: Any) -> int:
    """How many rows there are in all: the part of Content-Range after the slash."""
    _, _, total = (content_range or "").partition("/")
    if total.isdigit():
        return int(total)
    return len(answer) if isinstance(answer, list) else 0
