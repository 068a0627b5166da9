"""The developing process: takes open files over its one socket, answers with what they show, and can do nothing else.

Started by `pool`, never by hand: `python -m safelight.clients.camera.develop.child SOCKET`. The file comes as an open
descriptor, so this process needs to open nothing; what is to be watermarked comes over the socket, and the letters for
it are in memory by then. The answer goes back as a 4-byte length and MessagePack.
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

from safelight.clients.camera.develop import messages, sandbox
from safelight.clients.camera.develop.messages import Answer, NotDeveloped, WatermarkAnswer
from safelight.clients.camera.develop.picture import IMAGE_FORMAT, MAX_PICTURE_PIXELS, develop, watermark

READY = b"R"
READY_UNFILTERED = b"r"


def serve(connection: socket.socket) -> None:
    """Develop or watermark what comes until the other end closes."""
    encoder = msgspec.msgpack.Encoder()
    while True:
        kind, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        answer: Answer | WatermarkAnswer
        if kind == messages.DEVELOP and descriptors:
            sandbox.allow_cpu_time()
            with os.fdopen(descriptors[0], "rb") as file:
                answer = _develop(file)
        elif kind == messages.WATERMARK:
            text, picture = _receive(connection, _receive_sizes(connection))
            sandbox.allow_cpu_time()
            answer = _watermark(picture, text.decode())
        else:
            return
        packed = encoder.encode(answer)
        connection.sendall(len(packed).to_bytes(messages.SIZE_BYTES, "big") + packed)


def _receive_sizes(connection: socket.socket) -> list[int]:
    sizes = _receive(connection, [messages.SIZE_BYTES, messages.SIZE_BYTES])
    return [int.from_bytes(size, "big") for size in sizes]


def _receive(connection: socket.socket, sizes: list[int]) -> list[bytes]:
    """Receive values of these sizes; ends the process where the other end goes away in between."""
    values = []
    for size_bytes in sizes:
        value = memoryview(bytearray(size_bytes))
        rest = value
        while rest:
            received = connection.recv_into(rest)
            if not received:
                sys.exit(1)
            rest = rest[received:]
        values.append(bytes(value))
    return values


def _develop(file: BinaryIO) -> Answer:
    try:
        return develop(file)
    except MemoryError:
        return NotDeveloped("it needs more memory than developing may use")


def _watermark(picture: bytes, text: str) -> WatermarkAnswer:
    try:
        return watermark(io.BytesIO(picture), text)
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
            if image_format == IMAGE_FORMAT:
                watermark(io.BytesIO(buffer.getvalue()), "Safelight")  # reads the font
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
