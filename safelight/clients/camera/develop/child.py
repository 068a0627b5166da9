"""The developing process: takes open files over its one socket, answers with what they show, and can do nothing else.

Started by `pool`, never by hand: `python -m safelight.clients.camera.develop.child SOCKET`. The file comes as an open
descriptor, so this process needs to open nothing; the answer goes back as a 4-byte length and MessagePack.
"""

import codecs
import io
import os
import socket
import sys
from typing import BinaryIO

import msgspec
import pillow_heif
from PIL import ExifTags, Image, ImageCms

from safelight.clients.camera.develop import sandbox
from safelight.clients.camera.develop.messages import Answer, NotDeveloped
from safelight.clients.camera.develop.picture import MAX_PICTURE_PIXELS, develop

READY = b"R"
READY_UNFILTERED = b"r"


def serve(connection: socket.socket) -> None:
    """Develop what comes until the other end closes."""
    encoder = msgspec.msgpack.Encoder()
    while True:
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if not descriptors:
            return
        sandbox.allow_cpu_time()
        with os.fdopen(descriptors[0], "rb") as file:
            answer = encoder.encode(_develop(file))
        connection.sendall(len(answer).to_bytes(4, "big") + answer)


def _develop(file: BinaryIO) -> Answer:
    try:
        return develop(file)
    except MemoryError:
        return NotDeveloped("it needs more memory than developing may use")


def _prepare_decoders() -> None:
    """Load every decoder now, by using some: Pillow imports them when first needed, and then no file may be opened."""
    for name in ("ascii", "latin-1", "cp1252", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-8-sig", "mac-roman"):
        codecs.lookup(name)
    Image.MAX_IMAGE_PIXELS = MAX_PICTURE_PIXELS // 2  # Pillow warns at this and refuses at twice as much
    pillow_heif.register_heif_opener()
    pillow_heif.options.DECODE_THREADS = 1  # one process per core already
    Image.init()
    picture = Image.new("RGB", (48, 32), (200, 120, 40))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2000:01:01 00:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for image_format in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"):
        if image_format in Image.SAVE:
            buffer = io.BytesIO()
            picture.save(buffer, image_format, exif=exif, icc_profile=profile)
            develop(io.BytesIO(buffer.getvalue()))
    develop(io.BytesIO(b"no picture"))


def main() -> None:
    """Prepare, give up everything, say so, and serve."""
    sandbox.die_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    _prepare_decoders()
    filtered = sandbox.enter()
    connection.sendall(READY if filtered else READY_UNFILTERED)
    serve(connection)


if __name__ == "__main__":
    main()
