"""The guard works: nothing in these tests, nor in a kernel that they start, reaches beyond this machine."""

import socket
import subprocess
import sys

import pytest

CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"  # an address for documentation


def test_this_process_cannot_connect_or_look_up():
    with pytest.raises(OSError, match="without a network"):
        exec(CONNECT)
    with pytest.raises(OSError, match=r"looked up example\.org"):
        socket.create_connection(("example.org", 80), timeout=5)


def test_a_process_started_from_here_cannot_either():
    done = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True)
    assert done.returncode == 1 and "the tests run without a network" in done.stderr


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
