"""The SQLSTATE with which a server refuses a connection.

libpq keeps only the server's message, which is in the server's language. Its trace has the SQLSTATE, so a connection
that was refused is attempted once more with a trace.
"""

import os
import re
import select

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

_SECONDS = 10
_SQLSTATE = re.compile(r'\tErrorResponse\t.* C "(\w{5})"')


def sqlstate_of_refusal(url: str) -> str:
    """Return the SQLSTATE with which the server refuses a connection to the URL.

    Return an empty text if it accepts one or does not respond, and where libpq traces no responses: it does on Linux
    from version 18, which psycopg's wheels contain.
    """
    conninfo = make_conninfo(url, connect_timeout=_SECONDS).encode()
    if not hasattr(os, "memfd_create") or pq.PGconn.ping(conninfo) != pq.Ping.OK:
        return ""
    # In memory, because a server that requires the password as plain text gets it in the trace.
    with os.fdopen(os.memfd_create("trace"), encoding="utf-8", errors="replace") as trace:
        connection = pq.PGconn.connect_start(conninfo)
        try:
            connection.trace(trace.fileno())
            _connect(connection)
            connection.untrace()
        except psycopg.Error:
            return ""
        finally:
            connection.finish()
        trace.seek(0)
        found = _SQLSTATE.search(trace.read())
    return found[1] if found else ""


def _connect(connection: pq.abc.PGconn) -> None:
    """Wait until the connection is established, refused, or silent for too long."""
    status = pq.PollingStatus.WRITING
    while status in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
        reading = status == pq.PollingStatus.READING
        waiting = ([connection.socket], []) if reading else ([], [connection.socket])
        if not any(select.select(*waiting, [], _SECONDS)):
            return
        status = connection.connect_poll()
