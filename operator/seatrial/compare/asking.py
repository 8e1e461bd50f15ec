"""Ask a model a live request again. Whatever it does, the answer is a value, its size and its time are bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aiohttp
from yarl import URL

from seatrial.compare.verdict import Answer

OVERLOADED = frozenset({429, 503})


class Model:
    """One model behind its Service."""

    def __init__(self, session: aiohttp.ClientSession, base: str, timeout: float, largest: int) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._seconds = timeout
        self._largest = largest

    async def ask(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Its answer to one request. `path` begins with a slash and is sent as it stands, query included."""
        url = URL(self._base + path, encoded=True)
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                if response.status != 200:
                    overloaded = response.status in OVERLOADED
                    return Answer(failed=f"HTTP {response.status}", overloaded=overloaded)
                raw = await self._read(response)
        except TimeoutError:
            return Answer(failed=f"no answer within {self._seconds:g} s", overloaded=True)
        except aiohttp.ClientConnectorError as error:
            return Answer(failed=f"cannot be reached: {error.os_error}", overloaded=True)
        except aiohttp.ClientError as error:
            return Answer(failed=f"the connection broke: {error!r}", overloaded=True)
        if raw is None:
            return Answer(too_large=True)
        try:
            return Answer(json.loads(raw))
        except (ValueError, RecursionError):
            return Answer()

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The body; None where it has more bytes than are kept."""
        if (response.content_length or 0) > self._largest:
            return None
        raw = bytearray()
        async for chunk in response.content.iter_any():
            raw += chunk
            if len(raw) > self._largest:
                return None
        return bytes(raw)
