"""A helper process: answers one request after the other on the socket it was started with, until that is closed.

It reads no files and no environment, and talks to nobody else. The keys that it is sent to open assets with are in its
memory alone, of which no crash leaves a core file, and go with it.
"""

import resource
import socket
import sys

import msgspec

from safelight.clients.engine.garbage import collect_seldom
from safelight.clients.engine.helper_work import SIZE_BYTES, ListAssets, Request, list_assets, verify_all

_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_encoder = msgspec.msgpack.Encoder()


def _receive(connection: socket.socket, size_bytes: int) -> bytes:
    """Return so many bytes; none where the other side has closed or ended."""
    data = bytearray(size_bytes)
    view = memoryview(data)
    while view:
        received = connection.recv_into(view)
        if not received:
            return b""
        view = view[received:]
    return bytes(data)


def answer(data: bytes) -> bytes:
    """Do what is asked and return the packed answer."""
    request = _decoder.decode(data)
    return _encoder.encode(list_assets(request) if isinstance(request, ListAssets) else verify_all(request))


def main(descriptor: int) -> None:
    """Serve the socket of this *descriptor*."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    collect_seldom()
    with socket.socket(fileno=descriptor) as connection:
        while size := _receive(connection, SIZE_BYTES):
            answered = answer(_receive(connection, int.from_bytes(size, "big")))
            connection.sendall(len(answered).to_bytes(SIZE_BYTES, "big") + answered)


if __name__ == "__main__":
    main(int(sys.argv[1]))
