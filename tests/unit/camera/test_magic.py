"""Kind and media type by a file's first bytes."""

import pytest

from safelight.clients.camera.magic import file_type


@pytest.mark.parametrize(
    ("head", "name", "kind", "media_type"),
    [
        (b"\xff\xd8\xff\xe1", "x.png", "photo", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "x", "photo", "image/png"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "x.jpg", "photo", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "x.heif", "photo", "image/heif"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "x", "photo", "image/avif"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "x.MOV", "video", "video/quicktime"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "x.mp4", "video", "video/mp4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "x.mov", "video", "video/quicktime"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "x", "photo", "image/webp"),
        (b"RIFF\0\0\0\0AVI LIST", "x", "video", "video/x-msvideo"),
        (b"RIFF\0\0\0\0WAVEfmt ", "x", "file", "application/octet-stream"),
        (b"MM\0\x2a\0\0\0\x08", "DSC_0001.NEF", "photo", "image/x-nikon-nef"),
        (b"MM\0\x2a\0\0\0\x08", "scan.tif", "photo", "image/tiff"),
        (b"<svg xmlns=", "x.svg", "file", "application/octet-stream"),
        (b"", "empty.jpg", "file", "application/octet-stream"),
    ],
)
def test_first_bytes_tell(head: bytes, name: str, kind: str, media_type: str) -> None:
    """The first bytes decide, and a name only between formats that begin alike."""
    found = file_type(head, name)
    assert (found.kind, found.media_type) == (kind, media_type)
