"""The specification's pages say what the code does: their examples are vectors, their tables complete."""

import re
from pathlib import Path

import pytest

from safelight.sync_protocol import limits
from safelight.sync_protocol.contexts import Label
from tests.unit.sealing.test_keytree import FROM_KEY
from tools.make_vectors import FILES
from tools.vector_operations import VECTORS

SPEC = Path(__file__).resolve().parents[3] / "docs" / "spec"
ENCODINGS = (SPEC / "encodings.md").read_text(encoding="utf-8")
KEYS = (SPEC / "keys.md").read_text(encoding="utf-8")
KNOWN_HEX = "\n".join((VECTORS / name).read_text(encoding="utf-8") for name in FILES)


@pytest.mark.parametrize("page", [ENCODINGS, KEYS], ids=["encodings", "keys"])
def test_examples_are_vectors(page: str) -> None:
    """Every value printed in hexadecimal occurs in a vector, so no example can go stale."""
    examples = re.findall(r"(?<![0-9a-zA-Z])[0-9a-f]{16,}(?![0-9a-zA-Z])", page)
    assert len(examples) >= 10
    for example in examples:
        assert example in KNOWN_HEX, example


def test_every_label_is_listed_once() -> None:
    """The table of labels is complete, and says nothing of labels that are gone."""
    table = ENCODINGS.split("All labels:")[1].split("## 2.")[0]
    listed = [
        label for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for label in re.findall("`(.*?)`", row)
    ]
    assert sorted(listed) == sorted(label.value for label in Label)


def test_every_derivation_is_listed_once() -> None:
    """The table of derivations names each function of the key tree."""
    listed = re.findall(r"^\| `([a-z_]+)` \|", KEYS, re.MULTILINE)
    assert sorted(listed) == sorted([*(function.__name__ for function in FROM_KEY), "rendition_key", "link_page_key"])


def test_password_limits_are_as_stated() -> None:
    """The page's floors and ceilings are the code's."""
    for limit in (limits.ARGON2_MIN_MEMORY_KIB, limits.ARGON2_MAX_MEMORY_KIB):
        assert f"{limit:,} KiB" in KEYS
    assert f"passes below {limits.ARGON2_MIN_PASSES} or above {limits.ARGON2_MAX_PASSES}" in KEYS
