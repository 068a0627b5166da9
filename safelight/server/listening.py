"""Taking an address to listen at."""

import socket


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address; raises OSError with the address in its words.

    Bound before anything else is done: links carry the port, and a port in use is found out at once.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)  # noqa: FBT003 - it has no other parameter
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
    except BaseException:
        listener.close()
        raise
    return listener
