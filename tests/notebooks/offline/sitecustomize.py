"""Python imports this by itself when its folder is on PYTHONPATH: nothing may reach the network, kernels included.

Addresses on this machine stay reachable: Jupyter, Spark and the tests' own servers talk to themselves.
"""

import ipaddress
import socket

_connect, _getaddrinfo = socket.socket.connect, socket.getaddrinfo


def _local(host: object) -> bool:
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


def connect(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
        raise OSError(f"the tests run without a network; something tried to reach {address[0]}")
    return _connect(self, address)


def getaddrinfo(host: object, *args: object, **kwargs: object) -> list:
    if not _local(host):
        raise socket.gaierror(f"the tests run without a network; something looked up {host}")
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = connect
socket.getaddrinfo = getaddrinfo
