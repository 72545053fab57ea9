"""So many visitors as the memory holds, and a sentence for the next one."""

import asyncio
import json
import os
import queue
import time
from pathlib import Path

import jupyter_client
import pytest
from jupyter_client.manager import start_new_kernel
from tornado.web import HTTPError

from compactlib.app import kernels
from compactlib.app.serve import configuration


def test_four_visitors_fit_into_8_gb_and_one_anywhere():
    assert [kernels.most_kernels(gb * 10**9) for gb in (0.5, 2, 8, 64)] == [1, 1, 5, 42]
    assert 4 * kernels.KERNEL_BYTES < 8e9 and kernels.most_kernels() >= 1


def test_one_more_is_turned_away_with_a_sentence(monkeypatch):
    manager = configuration().VoilaConfiguration.multi_kernel_manager_class()
    monkeypatch.setattr(kernels, "most_kernels", lambda: 0)
    with pytest.raises(HTTPError) as error:
        asyncio.run(manager.start_kernel())
    assert error.value.status_code == 503 and "0 visitors" in error.value.log_message % error.value.args
    assert not len(manager)


CRAFTED = [
    [], 5, None, {"method": "x"}, {"method": "update"}, {"method": "update", "state": []},
    {"method": "update", "state": {"value": {"a": 1}}}, {"method": "update", "state": {"_view_name": 5, "index": 99}},
    {"method": "update", "state": {"value": [{"name": 5, "content": "z"}]}, "buffer_paths": [["value", 0, "content"]]},
    {"method": "update", "state": {}, "buffer_paths": [[1, 2]]}, {"method": "custom", "content": [1]},
    {"method": "custom", "content": {"event": "click"}},
]  # fmt: skip


def messages(client: jupyter_client.BlockingKernelClient, until: str) -> list[dict]:
    """What a page is sent until the answer to the message of this id is complete."""
    found, limit = [], time.monotonic() + 120
    while time.monotonic() < limit:
        try:
            found.append(client.get_iopub_msg(timeout=1))
        except queue.Empty:
            continue
        last = found[-1]
        done = last["msg_type"] == "status" and last["content"]["execution_state"] == "idle"
        if done and last["parent_header"].get("msg_id") == until:
            return found
    raise TimeoutError(f"no answer to {until}")


def test_a_crafted_message_is_told_nothing_of_the_server_and_the_page_lives_on(tmp_path):
    """As a visitor can send it: every widget of the page gets what no widget sends."""
    env = {**os.environ, "SERVER_SOFTWARE": "voila/0.5", "COMPACT_RUNS": str(tmp_path)}
    del env["PYTEST_CURRENT_TEST"]  # ipykernel would send less to the page than it does
    with (tmp_path / "console").open("w") as console:  # where the server's own output goes
        manager, client = start_new_kernel(kernel_name="python3", env=env, stderr=console)
    try:
        opened = messages(client, client.execute("from compactlib import app\npage = app.page()\npage"))
        widgets = [message["content"]["comm_id"] for message in opened if message["msg_type"] == "comm_open"]
        assert len(widgets) > 50
        for kind, content in [("comm_msg", {"comm_id": i, "data": data}) for i in widgets for data in CRAFTED] + [
            ("comm_open", {"comm_id": "a", "target_name": "jupyter.widget", "data": None}),
            ("comm_open", {"comm_id": "b", "target_name": "no such", "data": {}}),
            ("comm_msg", {}),
        ]:
            client.shell_channel.send(client.session.msg(kind, content))
        told = json.dumps([message["content"] for message in messages(client, client.kernel_info())], default=str)
        assert str(Path.home()) not in told and "site-packages" not in told and "Traceback" not in told
        assert str(Path(kernels.__file__).parent) not in told
        assert "TraitError" in (tmp_path / "console").read_text()  # whoever runs the server can read what it was
        again = messages(client, client.execute("print(len(page.children) if hasattr(page, 'children') else 1)"))
        assert any(message["msg_type"] == "stream" for message in again)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
