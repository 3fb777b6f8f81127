"""The HTTP client that huggingface_hub is given: what passes is tried again, what is no hub is
told as such, and every byte counts as it comes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from huggingface_hub import constants
from huggingface_hub.utils._http import hf_request_event_hook

from cvl.hub.messages import Busy, Reply, Trouble
from cvl.hub.problems import PASSING, refused, unanswered, web_page

WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Before the second try and those after it; up to a half less, so that many who were refused at
the same moment do not come back at the same moment."""
MOST_WAIT_S = 300.0
"""A server that asks for more patience than this is not waited for."""
TICK_S = 1.0
Say = Callable[[Reply], None]


class Client(httpx2.Client):
    """What huggingface_hub would make by itself, but for `send`. `arrived` is told of bytes of
    bodies that are read as they come."""

    def __init__(self, say: Say, arrived: Callable[[int], None]) -> None:
        super().__init__(
            event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=None
        )
        self._say = say
        self._arrived = arrived

    def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Raises WeightsError for what does not pass; its message says more than a status."""
        _end_somewhen(request)
        waits = iter(WAITS_S)
        while True:
            response = self._sent(request, next(waits, None), **how)
            if response is None:
                continue
            if response.status_code not in PASSING:
                return self._readable(response)
            asked, wait = _retry_after(response), next(waits, None)
            response.close()
            if wait is None or (asked or 0) > MOST_WAIT_S:
                raise refused(response.url.host, response.status_code, asked)
            self._wait(f"{response.url.host} answers {response.status_code}", wait, asked)

    def _sent(
        self, request: httpx2.Request, wait: float | None, *, stream: bool = False, **how: Any
    ) -> httpx2.Response | None:
        """None after a connection that broke, and a pause. Downloads are left to huggingface_hub,
        which goes on where they broke; it does so for errors of the protocol alone."""
        try:
            return super().send(request, stream=stream, **how)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as error:
            if stream:
                self._broke(request.url.host)
                raise httpx2.RemoteProtocolError(str(error), request=request) from error
            broken: httpx2.TransportError = error
        except httpx2.TimeoutException as error:
            if stream:
                raise
            broken = error
        if wait is None:
            raise unanswered(broken, request.url.host) from broken
        self._wait(f"the connection to {request.url.host} breaks", wait, None)
        return None

    def _wait(self, why: str, wait: float, asked: float | None) -> None:
        seconds = wait * random.uniform(0.5, 1) if asked is None else asked
        self._say(Trouble(f"{why}; trying again in {seconds:.0f} s"))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._say(Busy())
            time.sleep(min(left, TICK_S))

    def _broke(self, host: str) -> None:
        self._say(Trouble(f"the connection to {host} breaks; the download goes on"))

    def _readable(self, response: httpx2.Response) -> httpx2.Response:
        if _is_page(response):
            response.close()
            raise web_page(response.url)
        if not response.is_stream_consumed:
            assert isinstance(response.stream, httpx2.SyncByteStream)
            host = response.url.host
            response.stream = _Stream(response.stream, self._arrived, lambda: self._broke(host))
        return response


class _Stream(httpx2.SyncByteStream):
    """A body whose bytes are counted. A reset is told as any other break."""

    def __init__(
        self,
        stream: httpx2.SyncByteStream,
        arrived: Callable[[int], None],
        broke: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._arrived = arrived
        self._broke = broke

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._arrived(len(chunk))
                yield chunk
        except (httpx2.ReadError, httpx2.RemoteProtocolError) as error:
            self._broke()
            raise httpx2.RemoteProtocolError(str(error)) from error

    def close(self) -> None:
        self._stream.close()


def _end_somewhen(request: httpx2.Request) -> None:
    """No request waits for ever for an answer, although huggingface_hub lets some."""
    limits = request.extensions.get("timeout", {})
    if not any(limits.values()):
        limits = httpx2.Timeout(constants.HF_HUB_DOWNLOAD_TIMEOUT).as_dict()
        request.extensions = {**request.extensions, "timeout": limits}


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds; the hub says it in a header of its own, too. Dates are not understood."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    fields = response.headers.get("RateLimit", "").replace(" ", "").split(";")
    if response.status_code == 429 and "r=0" in fields:
        return next((float(f[2:]) for f in fields if f[:2] == "t=" and f[2:].isdigit()), None)
    return None


def _is_page(response: httpx2.Response) -> bool:
    """A login page of a network, a proxy's or a mirror's. The hub serves HTML files as text."""
    kind = response.headers.get("Content-Type", "")
    named = response.url.path.lower().endswith((".html", ".htm"))
    return response.status_code == 200 and kind.startswith("text/html") and not named
