"""The app behind a proxy. What a proxy passes on is the path, with its prefix or without, and a Host header, the
visitor's or its own; here requests arrive as from each kind."""

import asyncio
import json
import os
import re
import select
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from compactlib.app import serve
from compactlib.paths import ROOT

PREFIX, SITE = "/user/ann/proxy/8866/", "http://hub.example.org"


@pytest.fixture
def app(tmp_path):
    """The command with the option: its port, its token and what it says."""
    command = [sys.executable, "-m", "compactlib", "app", "--port", "18866", "--base-url", SITE + PREFIX]
    options = dict(text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"COMPACT_RUNS": str(tmp_path)}, **options)
    try:
        assert select.select([process.stdout], [], [], 90)[0], "the app said nothing for 90 s"
        said = process.stdout.readline() + process.stdout.readline()
        port, token = re.search(rf"http://127\.0\.0\.1:(\d+){PREFIX}\?token=(\S{{30,}})", said).groups()
        yield int(port), token, said
    finally:
        process.terminate()
        process.wait(30)


def get(port, path, host, **headers):
    """The answer's text and cookies."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host, **headers})
    with urllib.request.urlopen(request, timeout=120) as answer:
        cookies = [cookie.split(";")[0] for cookie in answer.headers.get_all("Set-Cookie", [])]
        return answer.read().decode(errors="replace"), "; ".join(cookies)


async def ask_kernel(port, path, host, cookie, origin=SITE):
    """What the kernel answers to a kernel_info_request of a browser, which has the page's cookie."""
    headers = {"Host": host, "Origin": origin, "Cookie": cookie}
    socket = await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{port}{path}", headers=headers))
    header = {"msg_id": "a", "msg_type": "kernel_info_request", "username": "", "session": "s", "version": "5.3"}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": {}, "channel": "shell", "buffers": []}
    await socket.write_message(json.dumps(message))
    while True:
        answer = json.loads(await asyncio.wait_for(socket.read_message(), 60))
        if answer["header"]["msg_type"] == "kernel_info_reply":
            socket.close()
            return answer["content"]["implementation"]


def test_page_assets_and_kernel_are_reached_through_every_kind_of_proxy(app):
    port, token, said = app
    outside, own = "hub.example.org", f"127.0.0.1:{port}"
    assert f"Behind the proxy: {SITE}{PREFIX}?token={token}" in said
    page, _ = get(port, f"{PREFIX}?token={token}", outside)
    assert f'"baseUrl": "{PREFIX}"' in page
    assets = set(re.findall(r'(?:src|href)="(/[^"]+)"', page))
    assert assets and all(path.startswith(PREFIX) for path in assets)
    kernel = "api/kernels/" + re.search(r'"kernelId": "([\w-]+)"', page)[1]
    for host in (outside, own):
        for prefix in (PREFIX, "/"):  # kept, and taken off
            _, cookie = get(port, f"{prefix}{kernel}?token={token}", host)
            for path in sorted(assets)[:3]:
                assert get(port, path.replace(PREFIX, prefix, 1), host, Cookie=cookie)[0]
            assert asyncio.run(ask_kernel(port, f"{prefix}{kernel}/channels", host, cookie)) == "ipython"
            for origin, sent in (("http://evil.example", cookie), (SITE, "a=b")):
                with pytest.raises(HTTPClientError, match="403"):
                    asyncio.run(ask_kernel(port, f"{prefix}{kernel}/channels", host, sent, origin))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(port, f"{PREFIX}{kernel}", outside)


@pytest.mark.parametrize(
    ("base_url", "has_token", "any_name", "names", "origin"),
    [
        ("/", True, False, {"localhost"}, None),  # as ever
        (PREFIX, True, True, {"localhost"}, None),  # a proxy of any name that passes the visitor's Host on
        (PREFIX, False, False, {"localhost"}, None),  # without a token, a foreign page could come by any name
        (SITE + PREFIX, True, True, {"localhost", "hub.example.org"}, SITE),
        (SITE, False, False, {"localhost", "hub.example.org"}, SITE),
    ],
)
def test_whom_the_app_lets_in(base_url, has_token, any_name, names, origin):
    settings = serve.admission("127.0.0.1", has_token, *serve.behind(base_url))
    assert settings["allow_remote_access"] is any_name and set(settings["local_hostnames"]) == names
    assert settings.get("allow_origin") == origin
