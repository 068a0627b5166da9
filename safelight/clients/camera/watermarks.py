"""Watermarks: which texts can be one, and what draws them, in the developing process, for the engine's links."""

import unicodedata
from collections.abc import Sequence

from safelight.clients.camera.develop import lettering, messages
from safelight.clients.camera.develop.messages import IMAGE_MEDIA_TYPE, NotDeveloped
from safelight.clients.camera.develop.pool import Developers, Purpose
from safelight.clients.engine.link_pictures import Picture, Redraw, Redrawn, Watermark
from safelight.sync_protocol.refusals import Code, Refused

MAX_TEXT_LENGTH = 100
_CHARACTERS_NAMED = 5


def check_text(text: str) -> str:
    """Return *text* as it is drawn; BAD_REQUEST for none, a long one, several lines, or letters that the font lacks."""
    text = unicodedata.normalize("NFC", text.strip())
    if not text:
        raise Refused(Code.BAD_REQUEST, "a watermark needs a text")
    if len(text) > MAX_TEXT_LENGTH:
        raise Refused(Code.BAD_REQUEST, f"a watermark has at most {MAX_TEXT_LENGTH} characters, this one {len(text)}")
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
        raise Refused(Code.BAD_REQUEST, "a watermark is one line without control characters")
    if missing := lettering.missing(text):
        raise Refused(Code.BAD_REQUEST, f"watermarks are in Latin, Greek or Cyrillic letters; not in {_named(missing)}")
    return text


def _named(characters: Sequence[str]) -> str:
    named = [
        f"{character} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
        for character in characters[:_CHARACTERS_NAMED]
    ]
    more = len(characters) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def watermark(pool: Developers, text: str) -> Watermark:
    """Return the watermark *text*, drawn by the processes of *pool*; BAD_REQUEST as `check_text` has it."""
    text = check_text(text)

    def begin() -> Redraw:
        link = Purpose()

        async def redraw(picture: bytes) -> Redrawn:
            answer = await pool.watermark(picture, text, link)
            if isinstance(answer, NotDeveloped):
                raise Refused(Code.OPEN_FAILED, answer.reason)
            return Redrawn(_picture(answer.preview), _picture(answer.thumbnail))

        return redraw

    return Watermark(text, begin)


def _picture(image: messages.Image) -> Picture:
    return Picture(image.data, IMAGE_MEDIA_TYPE, image.width, image.height)
