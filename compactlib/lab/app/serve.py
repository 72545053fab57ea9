"""The app without a notebook around it: Voila shows one cell of notebook 91, to whoever has the token."""

import ipaddress
import logging
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import Config
from voila.app import Voila

from compactlib.lab.app.uploads import UPLOAD_LIMIT
from compactlib.paths import NOTEBOOKS

NOTEBOOK = NOTEBOOKS / "91_segmentation_app.ipynb"
MARK = "app"  # metadata of the cells that are the page
SHARE = Path(__file__).parent / "share"  # where Jupyter finds our template
# Of the JupyterLab extensions that are installed, those that show widgets; others only log that they miss something.
WIDGETS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
IDLE = 1800  # seconds after which a kernel that nobody looks at any more is ended


def serve(port: int = 8866, ip: str = "127.0.0.1", token: str | None = None) -> None:
    """Serve the page until Ctrl-C, and print its address. A port that is taken: one near it.

    token: what a visitor has to know; None draws one, "" lets everybody in. Only the page is served: no other
    notebook, no file, no source. A visitor cannot run code in the kernel, only use the widgets.
    """
    token = secrets.token_urlsafe(24) if token is None else token
    if warning := _warning(ip, bool(token)):
        print(warning, file=sys.stderr, flush=True)
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(SHARE), os.environ.get("JUPYTER_PATH")]))
    server = Server(
        config=configuration(),
        config_file_paths=[],  # no settings that happen to lie in this folder
        notebook_path=str(NOTEBOOK),
        ip=ip,
        port=port,
        token=token,
        log_level=logging.ERROR,
        tornado_settings={
            "websocket_max_message_size": UPLOAD_LIMIT + 10_000_000,
            # On loopback, requests for any other name come from a page that has bent its own name to this address.
            "allow_remote_access": not is_loopback(ip),
            "local_hostnames": ["localhost"],
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


class Server(Voila):
    """Voila, which says where it is once it listens."""

    def launch_browser(self) -> None:
        query = f"?token={self.token}" if self.token else ""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        print(f"The segmentation app: http://{host}:{self.port}/{query}\nCtrl-C ends it.", flush=True)


def is_loopback(ip: str) -> bool:
    """Whether only this machine reaches the address."""
    if ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _warning(ip: str, has_token: bool) -> str:
    if is_loopback(ip):
        return "" if has_token else "Warning: without a token, every user of this machine can open the page."
    who = "who has the token" if has_token else "at all, as there is no token,"
    return (
        f"Warning: {ip} can be reached from other machines. Anyone {who} can use this machine's processor and see the "
        "models in runs/. Nothing is encrypted on the way. Safer: leave out --ip, and use ssh -L 8866:localhost:8866."
    )
