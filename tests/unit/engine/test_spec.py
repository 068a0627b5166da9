"""The specification's worked examples are cases of the vectors, not copies that can age."""

import re
from pathlib import Path

import pytest

from safelight.sync_protocol import ids
from tests.support.samples import REPOSITORY

VECTORS = "".join(p.read_text() for p in sorted((Path(ids.__file__).parent / "vectors").glob("*.json")))
_EXAMPLE = re.compile(r"(?<![\w])(?:[0-9a-f]{32,}|[a-z2-7]{61})(?![\w])")


@pytest.mark.parametrize("page", ["log.md", "records.md", "link.md"])
def test_examples_stand_in_the_vectors(page: str) -> None:
    """Whatever a page prints as bytes or as a fragment, our vectors hold, and both languages check it."""
    text = (REPOSITORY / "docs" / "spec" / page).read_text()
    examples = _EXAMPLE.findall(text)
    assert len(examples) >= 4
    assert [example for example in examples if example not in VECTORS] == []
