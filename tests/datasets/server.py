"""A small file server on the loopback with the faults that real ones have."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `content` under every path. Faults: `ranges=False` ignores Range; `cut=n` ends the first `cuts` answers
    after n bytes; `status` answers with an error; `pause` waits that many seconds every 10,000 bytes."""

    def __init__(self, content: bytes, *, ranges=True, cut=None, cuts=1, status=None, pause=0.0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.ranges, self.cut, self.cuts = content, ranges, cut, cuts
        self.status, self.pause = status, pause
        self.requests: list[str | None] = []  # the Range header of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append(asked)
        if self.server.status:
            self.send_error(self.server.status)
            return
        content, start = self.server.content, 0
        if asked and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cut is not None and len(self.server.requests) <= self.server.cuts:
            body = body[: self.server.cut]
        for begin in range(0, len(body), 10_000):
            time.sleep(self.server.pause)
            self.wfile.write(body[begin : begin + 10_000])

    def log_message(self, *args) -> None:
        """Quiet."""


@contextmanager
def serving(content: bytes, **faults) -> Iterator[FileServer]:
    with FileServer(content, **faults) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
