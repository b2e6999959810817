"""Free ports."""

import socket

from taxi_platform.local.ports import HOST, free_port, is_free


def test_port_in_use_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_free_port_can_be_bound() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server((HOST, port)):
        pass
