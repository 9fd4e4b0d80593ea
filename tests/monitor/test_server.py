from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import ClientTimeout
from aiohttp.test_utils import TestClient, TestServer

from flashsim.errors import OutputFileError
from flashsim.monitor.catalogue import Catalogue
from flashsim.monitor.page import SCRIPTS
from flashsim.monitor.server import application, serve

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def ask(root, talk, hosts=LOCAL):
    """Talk to a server of a folder, in a loop of its own."""

    async def run():
        app = application(Catalogue(root), hosts)
        async with TestClient(TestServer(app), timeout=ClientTimeout(total=60)) as client:
            return await talk(client)

    return asyncio.run(run())


async def next_message(response):
    while True:
        line = await response.content.readline()
        if line.startswith(b"data: "):
            return json.loads(line.removeprefix(b"data: "))


def test_the_page_and_all_that_it_needs_are_served(half_grid):
    async def talk(client):
        found = {}
        for path in ("/", *(f"/static/{name}" for name in (*SCRIPTS, "page.css")), "/export"):
            response = await client.get(path)
            found[path] = (response.status, response.content_type, response.headers, await response.read())
        return found

    found = ask(half_grid[0], talk)
    assert {status for status, *_ in found.values()} == {200}
    assert found["/static/page.js"][1] == "text/javascript"
    for _, _, headers, _ in found.values():
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert found["/export"][2]["Content-Disposition"] == 'attachment; filename="runs.html"'
    assert b"point_0003" in found["/export"][3]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/events", "/export", "/static/page.js"])
def test_nothing_is_taken_in(half_grid, method, path):
    async def talk(client):
        return (await client.request(method, path, data=b"x")).status

    assert ask(half_grid[0], talk) == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fserver.py",
        "/static/%2e%2e/page.py",
        "/static/page.html",
        "/static/%2fetc%2fpasswd",
        "/grid/point_0000/run.jsonl",
        "/../../etc/passwd",
    ],
)
def test_no_other_path_is_answered(half_grid, path):
    async def talk(client):
        from yarl import URL

        return (await client.get(URL(path, encoded=True))).status

    assert ask(half_grid[0], talk) in {400, 404}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("evil.example", 403),
        ("evil.example:80", 403),
        ("localhost:9", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
    ],
)
def test_a_name_that_points_here_from_elsewhere_is_refused(half_grid, name, status):
    async def talk(client):
        return (await client.get("/", headers={"Host": name})).status

    assert ask(half_grid[0], talk) == status
    assert ask(half_grid[0], talk, hosts=None) == 200


def test_news_come_within_two_seconds(half_grid):
    root, writers = half_grid

    async def talk(client):
        async with client.get("/events") as one, client.get("/events") as other:
            first = [await next_message(one), await next_message(other)]
            written = time.monotonic()
            writers[2].epoch(0.125)
            told = [await next_message(one), await next_message(other)]
            return first, told, time.monotonic() - written

    first, told, took = ask(root, talk)
    assert [len(message["trainings"]) for message in first] == [6, 6]
    for message in told:
        (training,) = message["trainings"]
        assert training["networks"]["refiner"]["losses"]["validation"] == [1.5, 1.25, 0.125]
    assert took < 10.0  # seconds, on a machine that may be busy; two where it is not


def test_a_page_that_is_closed_is_forgotten(half_grid):
    async def talk(client):
        async with client.get("/events") as response:
            await next_message(response)
        return (await client.get("/")).status

    assert ask(half_grid[0], talk) == 200


def test_a_port_that_is_taken_is_an_error(half_grid):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutputFileError, match=f"127.0.0.1:{port}: cannot be listened to"):
            serve(Catalogue(half_grid[0]), host="127.0.0.1", port=port, ready=lambda _: None)
