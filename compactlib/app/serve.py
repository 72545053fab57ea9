"""The app without a notebook around it: Voila shows one cell of notebook 91, to whoever has the token."""

import ipaddress
import logging
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from traitlets import Unicode
from traitlets.config import Config
from voila.app import Voila

from compactlib.app.kernels import IDLE, Kernels
from compactlib.app.uploads import UPLOAD_LIMIT
from compactlib.paths import NOTEBOOKS

NOTEBOOK = NOTEBOOKS / "91_segmentation_app.ipynb"
MARK = "app"  # metadata of the cells that are the page
SHARE = Path(__file__).parent / "share"  # where Jupyter finds our template
# Of the JupyterLab extensions that are installed, those that show widgets; others only log that they miss something.
WIDGETS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
PATH = re.compile(r"(?!.*(//|\.\.))[\w.~%@:+/-]*", re.ASCII)  # of an address, without the slashes around it


def serve(port: int = 8866, ip: str = "127.0.0.1", token: str | None = None, base_url: str = "/") -> None:
    """Serve the page until Ctrl-C, and print its address. A port that is taken: one near it.

    token: what a visitor has to know; None draws one, "" lets everybody in. Only the page is served: no other
    notebook, no file, no source. A visitor cannot run code in the kernel, only use the widgets.
    base_url: where a proxy shows the page, see `behind`. Raises ValueError for what is no such address.
    """
    origin, path = behind(base_url)
    token = secrets.token_urlsafe(24) if token is None else token
    if warning := _warning(ip, bool(token), proxied=base_url != "/"):
        print(warning, file=sys.stderr, flush=True)
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(SHARE), os.environ.get("JUPYTER_PATH")]))
    server = Server(
        config=configuration(),
        config_file_paths=[],  # no settings that happen to lie in this folder
        notebook_path=str(NOTEBOOK),
        ip=ip,
        port=port,
        token=token,
        base_url=path,
        outside=origin,
        log_level=logging.ERROR,
        tornado_settings={
            "websocket_max_message_size": UPLOAD_LIMIT + 10_000_000,
            **admission(ip, bool(token), origin, path),
        },
    )
    server.initialize([])
    server.start()


def configuration() -> Config:
    """Voila's settings: what is shown, and what is not served."""
    return Config(
        {
            "VoilaConfiguration": {
                "template": "segmentation",
                "multi_kernel_manager_class": Kernels,
                "allow_template_override": "NO",
                "allow_theme_override": "NO",
                "strip_sources": True,
                "show_tracebacks": False,
                "extension_allowlist": WIDGETS,
                "file_allowlist": [],  # Voila would serve every picture in the folder, and asks for no token there
                "prelaunch_hook": only_the_page,
                "resources": {"upload_limit": UPLOAD_LIMIT},
            },
            "PasswordIdentityProvider": {"allow_password_change": False},
            "MappingKernelManager": {"cull_idle_timeout": IDLE, "cull_interval": 60, "cull_connected": False},
        }
    )


def only_the_page(handler: Any, notebook: nbformat.NotebookNode, cwd: str) -> nbformat.NotebookNode:
    """Of a notebook, the cells that are marked as the page; called by Voila for every visitor."""
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.get(MARK)]
    notebook.metadata["title"] = "Segmentation"
    return notebook


def admission(ip: str, has_token: bool, origin: str, path: str) -> dict[str, Any]:
    """Which requests are let in, by the name that they use for this machine and by the page that they come from."""
    # On loopback, requests for any other name come from a page that has bent its own name to this address, or from a
    # proxy, whose name we need not know: the token keeps such a page out.
    settings = {
        "allow_remote_access": not is_loopback(ip) or (path != "/" and has_token),
        "local_hostnames": ["localhost", *filter(None, [urlsplit(origin).hostname])],
    }
    # A proxy that changes the Host header makes its page look like a foreign one.
    return settings | ({"allow_origin": origin} if origin else {})


def behind(base_url: str) -> tuple[str, str]:
    """Where a proxy shows the page: the origin, "" if unknown, and the path, which begins and ends with a slash.

    "/user/ann/proxy/8866/" (JupyterHub), or the whole address "https://hub.example.org/user/ann/proxy/8866/".
    Raises ValueError.
    """
    parts = urlsplit(base_url)
    whole = parts.scheme in ("http", "https") and parts.netloc
    inner = parts.path.strip("/")
    alone = base_url[:1] == "/" and not parts.netloc
    if not (whole or alone) or parts.query or parts.fragment or not PATH.fullmatch(inner):
        raise ValueError(
            f"the base URL is {base_url!r}, expected a path such as /user/ann/proxy/8866/, or the whole address that "
            "visitors open: https://hub.example.org/user/ann/proxy/8866/"
        )
    return (f"{parts.scheme}://{parts.netloc}".lower() if whole else ""), f"/{inner}/" if inner else "/"


class Server(Voila):
    """Voila, which says where it is once it listens."""

    outside = Unicode("", help="the origin that a proxy gives the page")

    def init_handlers(self) -> list:
        """All addresses with the prefix, as a proxy passes them on that keeps it, and without, as from others."""
        handlers = []
        for prefix in dict.fromkeys([re.escape(self.base_url), "/"]):
            self.server_url = prefix
            handlers += super().init_handlers()
        return handlers

    def launch_browser(self) -> None:
        query = f"?token={self.token}" if self.token else ""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        here = f"http://{host}:{self.port}{self.base_url}{query}"
        print(f"The segmentation app: {here}", flush=True)
        if self.base_url != "/" or self.outside:
            print(f"Behind the proxy: {self.outside}{self.base_url}{query}", flush=True)
        print("Ctrl-C ends it.", flush=True)


def is_loopback(ip: str) -> bool:
    """Whether only this machine reaches the address."""
    if ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _warning(ip: str, has_token: bool, proxied: bool = False) -> str:
    if is_loopback(ip):
        who = "every user of this machine" + (" and everybody whom the proxy lets in" if proxied else "")
        return "" if has_token else f"Warning: without a token, {who} can open the page."
    who = "who has the token" if has_token else "at all, as there is no token,"
    return (
        f"Warning: {ip} can be reached from other machines. Anyone {who} can use this machine's processor and see the "
        "models in runs/. Nothing is encrypted on the way. Safer: leave out --ip, and use ssh -L 8866:localhost:8866."
    )
