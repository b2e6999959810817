"""Free TCP ports of 127.0.0.1."""

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port now."""
    with socket.socket() as listener:
        # As servers do, so that recently closed connections do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
