"""Developing: what a picture's file becomes, through the real developing process."""

import asyncio
import io
import os
import random
import signal
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import ExifTags, Image, ImageCms

from safelight.clients.camera.develop import pool as pool_module
from safelight.clients.camera.develop.messages import MAX_EXIF_SIZE_BYTES, Developed, NotDeveloped
from safelight.clients.camera.develop.pool import Developers, developers
from tests.support.samples import encoded, exif, picture


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Developers]:
    """One developing process."""
    async with developers(1) as opened:
        yield opened


async def _developed(pool: Developers, path: Path) -> Developed:
    answer = await pool.develop(path)
    assert isinstance(answer, Developed), answer
    return answer


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
async def test_makes_renditions_of_every_format(pool: Developers, tmp_path: Path, image_format: str) -> None:
    """Preview, thumbnail, placeholder and size, whatever the format."""
    path = _write(tmp_path / "picture", encoded(picture(1, (2000, 1000)), image_format))
    answer = await _developed(pool, path)
    assert (answer.width, answer.height) == (2000, 1000)
    assert (answer.preview.width, answer.preview.height) == (1600, 800)
    assert (answer.thumbnail.width, answer.thumbnail.height) == (640, 320)
    for made in (answer.preview, answer.thumbnail):
        with Image.open(io.BytesIO(made.data)) as image:
            assert (image.format, image.size) == ("WEBP", (made.width, made.height))
    assert 5 <= len(answer.thumbhash) <= 40


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_applies_the_orientation(pool: Developers, tmp_path: Path, orientation: int) -> None:
    """The corner that is red when the picture is held the right way is red in the preview, and sizes are as shown."""
    upright = Image.new("RGB", (300, 200), "white")
    upright.paste("red", (0, 0, 60, 60))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the orientation's viewer undoes
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation in undo else upright
    path = _write(tmp_path / "turned.jpg", encoded(stored, "JPEG", exif=exif(orientation), quality=95))
    answer = await _developed(pool, path)
    assert (answer.width, answer.height) == (300, 200)
    with Image.open(io.BytesIO(answer.preview.data)) as image:
        red, green, blue = image.convert("RGB").getpixel((20, 20))  # type: ignore[misc]  # three bands
    assert red > 200
    assert green < 60
    assert blue < 60


async def test_previews_carry_nothing_but_pixels(pool: Developers, tmp_path: Path) -> None:
    """No EXIF, XMP, profile or comment of the original is in its renditions, and neither is a word of theirs."""
    said = exif()
    said[ExifTags.Base.ImageDescription] = "CANARY-description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">CANARY-xmp</x:xmpmeta>'
    data = encoded(picture(2), "JPEG", exif=said, icc_profile=profile, xmp=xmp, comment=b"CANARY-comment")
    answer = await _developed(pool, _write(tmp_path / "said.jpg", data))
    for made in (answer.preview, answer.thumbnail):
        assert b"CANARY" not in made.data
        with Image.open(io.BytesIO(made.data)) as image:
            assert not image.getexif()
            assert {"exif", "xmp", "icc_profile"}.isdisjoint(image.info)
    assert answer.metadata.exif["ImageDescription"] == "CANARY-description"


async def test_converts_colours_to_srgb(pool: Developers, tmp_path: Path) -> None:
    """A picture with a profile of its own looks the same without it."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    in_lab = ImageCms.profileToProfile(Image.new("RGB", (64, 64), (200, 80, 40)), srgb, lab, outputMode="LAB")
    assert in_lab is not None
    path = _write(tmp_path / "lab.tif", encoded(in_lab, "TIFF", icc_profile=lab.tobytes()))
    answer = await _developed(pool, path)
    with Image.open(io.BytesIO(answer.preview.data)) as image:
        colour = image.convert("RGB").getpixel((32, 32))
    assert isinstance(colour, tuple)
    assert all(abs(found - wanted) < 16 for found, wanted in zip(colour, (200, 80, 40), strict=True))


async def test_reads_what_the_picture_says(pool: Developers, tmp_path: Path) -> None:
    """Capture time with offset, place, device, lens, rights and keywords."""
    said = exif(taken="2024:03:01 12:34:56")
    said[ExifTags.Base.Copyright] = "(c) Somebody"
    said[ExifTags.Base.XPKeywords] = "sea;summer\0".encode("utf-16-le")
    detail = said.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.OffsetTimeOriginal] = "-03:30"
    detail[ExifTags.Base.SubsecTimeOriginal] = "250"
    detail[ExifTags.Base.LensModel] = "50mm"
    path = _write(tmp_path / "said.jpg", encoded(picture(3), "JPEG", exif=said))
    metadata = (await _developed(pool, path)).metadata
    assert (metadata.taken_local, metadata.taken_offset_min) == ("2024-03-01T12:34:56.250", -210)
    assert metadata.latitude == pytest.approx(48.2083333)
    assert metadata.longitude == pytest.approx(16.3666667)
    assert (metadata.make, metadata.model, metadata.lens) == ("Safelight", "Test phone", "50mm")
    assert metadata.rights == "(c) Somebody"
    assert metadata.keywords == ["sea", "summer"]


async def test_a_megabyte_of_exif_stays_small(pool: Developers, tmp_path: Path) -> None:
    """However much a file says of itself, what is kept of it fits into a record."""
    said = exif()
    detail = said.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + b"x" * 60_000
    said[ExifTags.Base.ImageDescription] = "y" * 4000
    path = tmp_path / "said.tif"
    big = Image.Exif()
    for tag in range(0xC000, 0xC000 + 250):
        big[tag] = "z" * 4000
    big[ExifTags.Base.ImageDescription] = "w" * 500_000
    _write(path, encoded(picture(4), "TIFF", tiffinfo=dict(big)))
    for answer in (
        await _developed(pool, path),
        await _developed(pool, _write(path, encoded(picture(4), "JPEG", exif=said))),
    ):
        size = sum(len(name) + len(text.encode()) for name, text in answer.metadata.exif.items())
        assert 100 < size <= MAX_EXIF_SIZE_BYTES  # cut, not left out


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = zlib.compress(bytes(4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [16_000, 50_000])
async def test_a_decompression_bomb_is_not_developed(pool: Developers, tmp_path: Path, side: int) -> None:
    """A small file that asks for gigabytes of pixels loses its preview and takes nothing down."""
    answer = await pool.develop(_write(tmp_path / "bomb.png", _png_that_claims(side, side)))
    assert isinstance(answer, NotDeveloped)
    await _developed(pool, _write(tmp_path / "next.png", encoded(picture(5), "PNG")))


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\xff\xd8\xff\xe1", b"<svg xmlns='http://www.w3.org/2000/svg'/>", random.Random(7).randbytes(5000)],
    ids=["empty", "one byte", "only a beginning", "svg", "noise"],
)
async def test_what_is_no_picture_is_said_to_be_none(pool: Developers, tmp_path: Path, data: bytes) -> None:
    """A reason instead of renditions, and the process serves on."""
    answer = await pool.develop(_write(tmp_path / "file", data))
    assert isinstance(answer, NotDeveloped)
    assert answer.reason


async def test_damaged_pictures_never_stop_it(pool: Developers, tmp_path: Path) -> None:
    """Cut, overwritten and bit-flipped pictures are developed or not; the pool outlives them all."""
    chance = random.Random(11)
    outcomes = Counter[bool]()
    for image_format in ("JPEG", "HEIF", "WEBP", "PNG", "TIFF", "GIF"):
        whole = encoded(picture(6, (320, 240)), image_format)
        for _ in range(12):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 30)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path = _write(tmp_path / "damaged", bytes(data[: chance.randint(1, len(data))]))
            outcomes[isinstance(await pool.develop(path), NotDeveloped)] += 1
    assert min(outcomes[True], outcomes[False]) > 5  # enough damage to matter, and little enough to get into a decoder
    await _developed(pool, _write(tmp_path / "whole.png", encoded(picture(6), "PNG")))


async def test_a_process_that_dies_is_replaced(pool: Developers, tmp_path: Path) -> None:
    """A decoder that crashes costs its own picture's preview and nothing else."""
    path = _write(tmp_path / "picture.png", encoded(picture(8), "PNG"))
    await _developed(pool, path)
    process = pool._workers[0]._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert isinstance(await pool.develop(path), NotDeveloped)
    await _developed(pool, path)


async def test_a_process_that_hangs_is_ended(pool: Developers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that loops for ever is killed, and the next picture is developed."""
    path = _write(tmp_path / "picture.png", encoded(picture(8), "PNG"))
    await _developed(pool, path)
    process = pool._workers[0]._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(pool_module, "ANSWER_TIMEOUT_S", 0.2)
    answer = await pool.develop(path)
    assert isinstance(answer, NotDeveloped)
    assert "too long" in answer.reason
    assert process.poll() is not None
    monkeypatch.setattr(pool_module, "ANSWER_TIMEOUT_S", 60.0)
    await _developed(pool, path)


async def test_several_pictures_at_once(tmp_path: Path) -> None:
    """Two processes develop at the same time, and every answer belongs to its own picture."""
    paths = [_write(tmp_path / f"{side}.png", encoded(picture(side, (side, side)), "PNG")) for side in range(50, 62)]
    async with developers(2) as opened:
        answers = await asyncio.gather(*(_developed(opened, path) for path in paths))
    assert [answer.width for answer in answers] == list(range(50, 62))


async def test_a_pipe_is_not_waited_for(pool: Developers, tmp_path: Path) -> None:
    """A FIFO, a folder or a device that took the picture's place holds nothing up."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        async with asyncio.timeout(5):
            answer = await pool.develop(path)
        assert isinstance(answer, NotDeveloped)
