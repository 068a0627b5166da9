"""The letters of watermarks: one font that comes with Safelight, so that a text looks the same on every computer.

It is Source Sans 3: Latin, Greek and Cyrillic, with their accents (docs/decisions/0007-watermarks.md). Its bytes are
read once and kept: the developing process reads them before it may open nothing more.
"""

import functools
import io
import unicodedata
from importlib import resources

from PIL import ImageFont

_PACKAGE, _FILE = "fontpkg_source_sans_3", "files/SourceSans3[wght].ttf"
_WEIGHT = 600
_NO_CHARACTER = "\uffff"
_SIZE_TO_COMPARE = 24
# Set one after the other, from left to right. Marks that need placing, and what turns text round, are not.
_PLAIN_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
                               "Sm", "Sc", "Sk", "So", "Zs"})  # fmt: skip


@functools.cache
def _font_bytes() -> bytes:
    return resources.files(_PACKAGE).joinpath(_FILE).read_bytes()


@functools.lru_cache(maxsize=64)
def font(size_pixels: int) -> ImageFont.FreeTypeFont:
    """Return the font at a size. Opens a file only the first time."""
    # The basic layout opens no library, and needs none for these scripts.
    made = ImageFont.truetype(io.BytesIO(_font_bytes()), size_pixels, layout_engine=ImageFont.Layout.BASIC)
    made.set_variation_by_axes([_WEIGHT])
    return made


def missing(text: str) -> list[str]:
    """Return the characters of *text* that the font cannot write, each once, in order."""
    return [character for character in dict.fromkeys(text) if not _writes(character)]


def _writes(character: str) -> bool:
    if character == " ":
        return True
    if unicodedata.category(character) not in _PLAIN_CATEGORIES or unicodedata.bidirectional(character) in {"R", "AL"}:
        return False
    return _shape(character) != _shape(_NO_CHARACTER)


def _shape(character: str) -> bytes:
    return bytes(font(_SIZE_TO_COMPARE).getmask(character, mode="L"))
