"""The server of the page: gives it out, and tells open pages what is new. It takes nothing in."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
from typing import TYPE_CHECKING

from flashsim.errors import OutputFileError
from flashsim.execution.extras import needs_extra
from flashsim.monitor.page import SCRIPTS, live_page, read_static, saved_page

with needs_extra("monitor", "the page of trainings"):
    from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aiohttp.typedefs import Handler, Middleware

    from flashsim.monitor.catalogue import Catalogue

__all__ = ["application", "serve"]

_PERIOD = 1.0
"""Seconds between two looks at the logs."""
_SILENCE = 15.0
"""Seconds after which an open page is told that the server is there."""
_TYPES = {"js": "text/javascript", "css": "text/css"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class _Watch:
    """Looks at the logs as long as a page is open, and wakes those that wait for news."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._readers = asyncio.Lock()
        self._news = asyncio.Condition()
        self._pages = 0

    async def look(self) -> None:
        """Read what is new in the logs; on another thread, since disks may be slow."""
        async with self._readers:
            new = await asyncio.to_thread(self.catalogue.update)
        if new:
            async with self._news:
                self._news.notify_all()

    async def message(self, since: int) -> tuple[int, str]:
        """Revision and text of what is new since one."""
        async with self._readers:
            revision = self.catalogue.revision
            told = await asyncio.to_thread(self.catalogue.message, since)
        return revision, json.dumps(told, allow_nan=False)

    async def messages(self) -> AsyncGenerator[str]:
        """All there is, and then what is new, as server-sent events."""
        await self.look()
        self._pages += 1
        try:
            revision, text = await self.message(0)
            yield f"data: {text}\n\n"
            while True:
                try:
                    async with asyncio.timeout(_SILENCE):
                        await self._newer_than(revision)
                    revision, text = await self.message(revision)
                    yield f"data: {text}\n\n"
                except TimeoutError:
                    yield ": here\n\n"
        finally:
            self._pages -= 1

    async def _newer_than(self, revision: int) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self.catalogue.changed > revision)

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Keep looking while the application runs."""

        async def keep_looking() -> None:
            while True:
                await asyncio.sleep(_PERIOD)
                if self._pages:
                    await self.look()

        task = asyncio.create_task(keep_looking())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def application(catalogue: Catalogue, hosts: frozenset[str] | None) -> web.Application:
    """Web application of the monitor.

    Parameters
    ----------
    catalogue
        The trainings.
    hosts
        Names that a browser may call the server by; none for any. A page from elsewhere that has its own name
        point to this machine must not read here.
    """
    watch = _Watch(catalogue)

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=live_page(catalogue.root.name), content_type="text/html")

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in {*SCRIPTS, "page.css"}:
            raise web.HTTPNotFound
        return web.Response(text=read_static(name), content_type=_TYPES[name.rpartition(".")[2]])

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **_HEADERS})
        await response.prepare(request)
        async with contextlib.aclosing(watch.messages()) as messages:
            with contextlib.suppress(ConnectionError):
                async for text in messages:
                    await response.write(text.encode())
        return response

    async def export(_: web.Request) -> web.Response:
        await watch.look()
        text = (await watch.message(0))[1]
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in catalogue.root.name)
        return web.Response(
            text=saved_page(json.loads(text)),
            content_type="text/html",
            headers={"Content-Disposition": f'attachment; filename="{name or "trainings"}.html"'},
        )

    app = web.Application(middlewares=[_guard(hosts)])
    app.cleanup_ctx.append(watch.run)
    app.router.add_get("/", index)
    app.router.add_get("/static/{name}", static)
    app.router.add_get("/events", events, allow_head=False)
    app.router.add_get("/export", export)
    return app


def _guard(hosts: frozenset[str] | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        called = request.host.rpartition(":")[0] if request.host[-1:].isdigit() else request.host
        if hosts is not None and called.strip("[]") not in hosts and request.host.strip("[]") not in hosts:
            raise web.HTTPForbidden(text="this name is not one of the server's")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    return guard


def serve(catalogue: Catalogue, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until the process is stopped.

    Parameters
    ----------
    catalogue
        The trainings.
    host, port
        Where to listen; port 0 takes a free one.
    ready
        Called with the address of the page once it can be opened.

    Raises
    ------
    OutputFileError
        If the address cannot be had, as when another server has it.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        msg = f"{host}:{port}: cannot be listened to ({error}); name another --port"
        raise OutputFileError(msg) from error
    bound = listener.getsockname()[1]
    local = host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
    hosts = frozenset({"localhost", "127.0.0.1", "::1", host}) if local else None
    shown = f"[{host}]" if ":" in host else host
    web.run_app(
        application(catalogue, hosts),
        sock=listener,
        access_log=None,
        print=lambda *_: ready(f"http://{shown}:{bound}/"),
        shutdown_timeout=0.5,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
