"""Download a file so that it is either there, whole and verified, or not there.

Written here because no library the project has does all of it: torch.hub and torchvision start over after a break and
know one address, pooch as well. The bytes go to `<file>.part`, which the next attempt continues (HTTP Range), at
whichever mirror; only a file with the right checksum gets its name.
"""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock
from tqdm.auto import tqdm

from .cards import File
from .errors import DamagedFile, DownloadFailed

CHUNK = 1 << 18  # bytes
TIMEOUT = 20.0  # seconds without a byte
ROUNDS = 3  # times through the list of addresses
PATIENCE = 15.0  # seconds before a slow server is left for the next one
SLOW = 150_000  # bytes/s
# What may pass by itself. A full disk is not among it.
PASSING = (TimeoutError, ConnectionError, ssl.SSLError, urllib.error.URLError, http.client.HTTPException)


class _Slow(Exception):
    """The server works, but another one may be faster."""


class _Final(Exception):
    """Asking this address again is pointless."""


def fetch(file: File, path: Path, *, progress: bool = True) -> Path:
    """Download `file` to `path` unless it is there, from its addresses in turn. Returns `path`.

    An address that breaks off, times out or is slower than SLOW is left for the next, which continues where it
    stopped; then the list is gone through again, without hurry. Two processes asking for one file do not disturb
    each other: the second waits.
    Raises DamagedFile if an address delivered other bytes than the card promises, and none the right ones;
    DownloadFailed if none delivered.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and file.matches(path):
            return path
        return _fetch(file, path, progress)


def _fetch(file: File, path: Path, progress: bool) -> Path:
    part = path.with_name(f"{path.name}.part")
    live, failures, damaged = list(file.urls), {}, {}
    for attempt in range(ROUNDS):
        for url in tuple(live):
            hurry = attempt == 0 and url != live[-1]
            try:
                resumed = _receive(url, part, file, hurry, progress)
                actual = file.digest(part)
                if actual != file.checksum and resumed:
                    # The start may have come from another version of the file: once more from the beginning.
                    part.unlink()
                    _receive(url, part, file, hurry, progress)
                    actual = file.digest(part)
            except _Final as error:
                live.remove(url)
                failures[url] = str(error)
            except (_Slow, *PASSING) as error:
                failures[url] = str(error) or type(error).__name__
            else:
                if actual == file.checksum:
                    os.replace(part, path)
                    return path
                live.remove(url)
                damaged[url] = actual
                part.unlink()
        if not live:
            break
        if attempt < ROUNDS - 1:
            time.sleep(1 + attempt)
    tried = "\n".join(f"  {url}: {reason}" for url, reason in failures.items())
    if damaged:
        actual = "\n".join(f"  {url}: {file.algorithm} {value}" for url, value in damaged.items())
        raise DamagedFile(
            f"{file.name} arrived damaged and was removed: expected {file.algorithm} {file.checksum}, received\n"
            f"{actual}\n{tried}\nA proxy or a log-in page may have answered in place of the server; try again later."
        )
    raise DownloadFailed(f"{file.name} could not be downloaded:\n{tried}")


def _receive(url: str, part: Path, file: File, hurry: bool, progress: bool) -> bool:
    """Bring `part` to the file's end. Returns whether a part from before was continued."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "compactlib (course data)", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing follows what we have: the checksum will tell
            return True
        if error.code in (408, 429) or error.code >= 500:
            raise
        raise _Final(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Final(f"no connection ({error.reason})") from error
    with response:
        start = f"bytes {have}-"
        resumed = have > 0 and response.status == 206 and response.headers.get("Content-Range", "").startswith(start)
        if not resumed:
            have = 0  # the server sends the whole file, whatever was asked
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            open(part, "ab" if resumed else "wb") as out,
            tqdm(
                desc=file.name,
                total=total or file.bytes,
                initial=have,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            began, received = time.monotonic(), 0
            while chunk := response.read(CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                seconds = time.monotonic() - began
                if hurry and seconds > PATIENCE and received / seconds < SLOW:
                    raise _Slow(f"slow ({received / seconds / 1000:.0f} kB/s)")
            out.flush()
            os.fsync(out.fileno())
    if total is not None and have + received < total:
        raise ConnectionError(f"the connection ended after {have + received:,} of {total:,} bytes")
    return resumed
