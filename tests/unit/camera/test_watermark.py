"""Watermarks: which texts can be one, where they are drawn, and by which process."""

import asyncio
import io
import os
import platform
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from safelight.clients.camera.develop import messages, picture, watermark
from safelight.clients.camera.develop import pool as pool_module
from safelight.clients.camera.develop.messages import NotDeveloped, Watermarked
from safelight.clients.camera.develop.pool import Developers, Purpose, developers
from safelight.clients.camera.watermarks import check_text
from safelight.clients.camera.watermarks import watermark as watermark_of
from safelight.sync_protocol.refusals import Code, Refused
from tests.support.samples import encoded, exif
from tests.support.samples import picture as sample

LINK = Purpose()
TEXTS = ("PROOF", "Проба · Δοκιμή", "© Anna Müller 2026 · for Kolibri only, not for publication", "W" * 100, "i")
SIZES = ((1600, 1200), (1200, 1600), (1600, 260), (200, 1600), (427, 320), (96, 72))


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[Developers]:
    """One developing process."""
    async with developers(1) as opened:
        yield opened


async def _watermarked(pool: Developers, data: bytes, text: str = "Proof") -> Watermarked:
    answer = await pool.watermark(data, text, LINK)
    assert isinstance(answer, Watermarked), answer
    return answer


def _drawn(colour: str, size: tuple[int, int], text: str, seed: bytes = b"seed") -> Image.Image:
    image = Image.new("RGB", size, colour)
    watermark.draw(image, text, seed)
    return image


def _strongest(image: Image.Image, plain: Image.Image, box: tuple[int, int, int, int]) -> int:
    extrema = ImageChops.difference(image, plain).convert("L").crop(box).getextrema()
    return int(extrema[1])  # type: ignore[arg-type]  # one band


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colour", ["white", "black", "#808080", "#c02020"])
def test_no_part_is_without_it(text: str, size: tuple[int, int], colour: str) -> None:
    """On light, dark and coloured pictures of every shape, no square of a third of the shorter side is untouched."""
    image, plain = _drawn(colour, size, text), Image.new("RGB", size, colour)
    side = min(size) // 3
    for left in range(0, size[0] - side + 1, side):
        for top in range(0, size[1] - side + 1, side):
            assert _strongest(image, plain, (left, top, left + side, top + side)) > 30, (left, top)


def test_it_lets_the_picture_through() -> None:
    """It is translucent: what is under it still tells light from dark, and most of the picture is as it was."""
    on_white, on_black = _drawn("white", (800, 600), "Proof"), _drawn("black", (800, 600), "Proof")
    darkest, lightest = on_white.convert("L").getextrema()[0], on_black.convert("L").getextrema()[1]
    assert int(darkest) > 120  # type: ignore[arg-type]  # one band
    assert int(lightest) < 135  # type: ignore[arg-type]  # one band
    histogram = on_white.convert("L").histogram()
    assert histogram[255] / sum(histogram) > 0.5


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (16, 16), (40, 30)])
async def test_tiny_pictures_are_watermarked_too(pool: Developers, size: tuple[int, int]) -> None:
    """What is too small for letters is changed all the same, and nothing fails."""
    data = encoded(sample(1).resize(size), "PNG")
    answer = await _watermarked(pool, data)
    assert (answer.preview.width, answer.preview.height) == size
    if min(size) >= 16:
        with Image.open(io.BytesIO(answer.preview.data)) as image, Image.open(io.BytesIO(data)) as plain:
            assert _strongest(image.convert("RGB"), plain.convert("RGB"), (0, 0, *size)) > 40


async def test_both_sizes_have_letters_of_their_own(pool: Developers) -> None:
    """Preview and thumbnail keep the sizes that developing gives, and both carry the text, the right way up."""
    for size, orientation in (((2000, 1000), 1), ((1000, 2000), 1), ((2000, 1000), 6)):
        data = encoded(Image.new("RGB", size, "white"), "JPEG", exif=exif(orientation))
        answer = await _watermarked(pool, data)
        plain = picture.develop(io.BytesIO(data))
        assert isinstance(plain, messages.Developed)
        for made, like in ((answer.preview, plain.preview), (answer.thumbnail, plain.thumbnail)):
            assert (made.width, made.height) == (like.width, like.height)
            with Image.open(io.BytesIO(made.data)) as image, Image.open(io.BytesIO(like.data)) as clean:
                assert image.format == "WEBP"
                assert not image.getexif()
                assert _strongest(image.convert("RGB"), clean.convert("RGB"), (0, 0, *image.size)) > 40


async def test_pictures_differ_in_place_and_angle(pool: Developers) -> None:
    """The same picture gives the same; of another the text stands elsewhere, so that one does not clean the next."""
    one, other = Image.new("RGB", (640, 480), "white"), Image.new("RGB", (640, 480), "#fefefe")
    first = await _watermarked(pool, encoded(one, "PNG"))
    assert await _watermarked(pool, encoded(one, "PNG")) == first
    second = await _watermarked(pool, encoded(other, "PNG"))
    with Image.open(io.BytesIO(first.preview.data)) as a, Image.open(io.BytesIO(second.preview.data)) as b:
        assert _strongest(a.convert("RGB"), b.convert("RGB"), (0, 0, 640, 480)) > 40


async def test_what_is_seen_through_is_watermarked(pool: Developers) -> None:
    """A picture with transparent parts shows the text there, too."""
    clear = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    answer = await _watermarked(pool, encoded(clear, "PNG"))
    with Image.open(io.BytesIO(answer.preview.data)) as image:
        alpha = image.convert("RGBA").getchannel("A")
    assert int(alpha.getextrema()[1]) > 60  # type: ignore[arg-type]  # one band


@pytest.mark.parametrize("data", [b"", b"RIFF no picture", random.Random(7).randbytes(5000)])
async def test_what_is_no_picture_is_said_to_be_none(pool: Developers, data: bytes) -> None:
    """A reason, never the bytes as they came; and the process serves on."""
    answer = await pool.watermark(data, "Proof", LINK)
    assert isinstance(answer, NotDeveloped)
    await _watermarked(pool, encoded(sample(2), "WEBP"))


async def test_damaged_pictures_never_stop_it(pool: Developers) -> None:
    """Bit-flipped previews are drawn over or not; the pool outlives them all."""
    chance = random.Random(11)
    whole = encoded(sample(6, (320, 240)), "WEBP")
    for _ in range(12):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        await pool.watermark(bytes(data), "Proof", LINK)
    await _watermarked(pool, whole)


async def test_it_takes_no_more_than_a_preview(pool: Developers) -> None:
    """What is larger than any preview is not even sent."""
    answer = await pool.watermark(bytes(messages.MAX_PICTURE_SIZE_BYTES + 1), "Proof", LINK)
    assert isinstance(answer, NotDeveloped)


async def test_many_at_once_and_one_that_dies(pool: Developers) -> None:
    """Each answer belongs to its own picture; a process that is killed costs one picture and is replaced."""
    pictures = [encoded(sample(side, (side, side)), "PNG") for side in range(50, 58)]
    answers = await asyncio.gather(*(_watermarked(pool, data) for data in pictures))
    assert [answer.preview.width for answer in answers] == list(range(50, 58))
    process = pool._workers[0]._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert isinstance(await pool.watermark(pictures[0], "Proof", LINK), NotDeveloped)
    await _watermarked(pool, pictures[0])


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="system calls are filtered on Linux, on x86-64 and arm64",
)
def test_the_sandbox_is_closed_before_the_first_picture() -> None:
    """What developing prepares is all that watermarking needs: it works where no file can be opened any more."""
    script = (
        "import io\n"
        "from PIL import Image\n"
        "from safelight.clients.camera.develop import child, sandbox\n"
        "data = io.BytesIO(); Image.new('RGB', (900, 700)).save(data, 'WEBP')\n"
        "child._prepare_decoders()\n"
        "assert sandbox.enter()\n"
        "for text in ('Another text, Ω and Я', 'x' * 100):\n"
        "    print(type(child._watermark(data.getvalue(), text)).__name__)\n"
        "try:\n    open('/etc/passwd')\nexcept OSError:\n    print('refused', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["Watermarked", "Watermarked", "refused"], done


@pytest.mark.parametrize(
    ("given", "drawn"),
    [("  Proof  ", "Proof"), ("Ångström", "Ångström"), ("Vie\u0302\u0323t", "Việt"), ("x" * 100, "x" * 100)],
)
def test_texts_that_can_be_drawn(given: str, drawn: str) -> None:
    """Space around it goes; letters with accents are put together; Latin, Greek and Cyrillic are there."""
    assert check_text(given) == drawn
    for text in TEXTS:
        assert check_text(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a text"),
        (" \t ", "needs a text"),
        ("x" * 101, "at most 100"),
        ("two\nlines", "one line"),
        ("bell\x07", "one line"),
        ("line\u2028separator", "one line"),
        ("日本", "日 (U+65E5), 本 (U+672C)"),
        ("צילום", "U+05E6"),
        ("proof 📷", "U+1F4F7"),
        ("\u202eturned", "U+202E"),
        ("x\u0323\u0307\u0301", "U+0323"),
        ("नमूना", "U+0928"),
        ("\udcff", "U+DCFF"),
        ("אבגדהוז", "and 2 more"),
    ],
)
def test_texts_that_cannot_be_drawn(text: str, said: str) -> None:
    """A clear sentence that names the characters, before anything is downloaded or sent."""
    with pytest.raises(Refused) as caught:
        check_text(text)
    assert caught.value.code is Code.BAD_REQUEST
    assert said in caught.value.detail


# A decoder that a picture took over: it gives out the first picture that it ever saw, clean, for every other.
_TAKEN_OVER = """
import sys
from safelight.clients.camera.develop import child
from safelight.clients.camera.develop.messages import Image, Watermarked
seen = []
def give_out_the_first(file, text):
    seen.append(Image(file.read(), 1, 1))
    return Watermarked(seen[0], seen[0])
child.watermark = give_out_the_first
def develop_and_keep(file):
    file.seek(0)
    seen.append(Image(file.read(), 1, 1))
    return child.NotDeveloped("kept")
child.develop = develop_and_keep
child._prepare_decoders = lambda: None
child.main()
"""


@pytest.fixture
async def taken_over(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Developers]:
    """One developing process that a picture took over."""
    monkeypatch.setattr(pool_module, "_CHILD", ("-c", _TAKEN_OVER))
    async with developers(1) as opened:
        yield opened


async def test_a_process_sees_the_pictures_of_one_link(taken_over: Developers, tmp_path: Path) -> None:
    """*Clean proofs of one client in another's link*: what took over the process of one link is gone with it."""
    (tmp_path / "original").write_bytes(b"an original of the roll")
    await taken_over.develop(tmp_path / "original")
    links = [watermark_of(taken_over, "Proof").begin() for _ in range(2)]
    for link, picture_of_it in ((0, b"the first link's"), (1, b"the second link's"), (0, b"the first link's again")):
        redrawn = await links[link](picture_of_it)
        assert redrawn.preview.data == picture_of_it


async def test_one_watermark_for_two_links_is_two(taken_over: Developers) -> None:
    """Where one wish is used for two links, each has a process of its own all the same."""
    wish = watermark_of(taken_over, "Proof")
    assert (await wish.begin()(b"one")).preview.data == b"one"
    assert (await wish.begin()(b"two")).preview.data == b"two"


async def test_within_a_link_the_process_stays(taken_over: Developers) -> None:
    """Within one link it is the same process, else every picture would wait for one; what that means is documented."""
    redraw = watermark_of(taken_over, "Proof").begin()
    assert [(await redraw(data)).preview.data for data in (b"one", b"two")] == [b"one", b"one"]
