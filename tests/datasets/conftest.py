"""No test of this folder reaches a network or the user's cache."""

import socket
from pathlib import Path

import pytest

from compactlib.paths import ROOT

SHARED = ROOT.parent / "shared" / "datasets"


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names resolve on the loopback only; the cache is empty; COMPACT_DATA is unset."""
    resolve = socket.getaddrinfo

    def loopback_only(host, *args, **kwargs):
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, f"tests have no network, asked for {host}")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", loopback_only)
    monkeypatch.delenv("COMPACT_DATA", raising=False)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    monkeypatch.setenv("COMPACT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def decoded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that read the large archives."""
    return tmp_path_factory.mktemp("decoded")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, decoded_once: Path) -> Path:
    """The folder of real archives, as COMPACT_DATA."""
    if not SHARED.is_dir():
        pytest.skip("The folder shared/datasets with the real archives does not stand beside the repository.")
    monkeypatch.setenv("COMPACT_DATA", str(SHARED))
    monkeypatch.setenv("COMPACT_CACHE", str(decoded_once))
    return SHARED
