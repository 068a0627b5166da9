"""docs/spec/upload.md and what it is about agree: every MUST has its tests, and the table of versions is the code's."""

import ast
import re
from pathlib import Path

import pytest

from safelight.server.routes.upload_dialects import DIALECTS, Dialect
from safelight.sync_protocol.refusals import TABLE

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests" / "http"
TEXT = (ROOT / "docs" / "spec" / "upload.md").read_text(encoding="utf-8")
VERSIONS = ("3", "5", "6", "8")


def section(title: str) -> list[list[str]]:
    """The rows of a section's table, without its heading."""
    text = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


MUSTS = section("What the draft demands of a server")


def those_of(file: str) -> set[str]:
    """The tests that a file has."""
    nodes = ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
    return {
        node.name
        for node in nodes
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", MUSTS, ids=[row[0] for row in MUSTS])
def test_every_demand_has_its_tests(row: list[str]) -> None:
    """Each row names versions that are known and tests that exist."""
    _, versions, shown_by = row
    assert set(versions.split()) <= set(VERSIONS)
    assert versions
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", shown_by)
    assert len(named) == shown_by.count("`") // 2 > 0
    for file, test in named:
        assert test in those_of(file), f"{file}::{test}"


def test_every_test_of_versions_shows_something() -> None:
    """What the file of versions tests is demanded, or stands in the table of what differs."""
    demanded = set(re.findall(r"test_upload_versions\.py::(test_\w+)", TEXT))
    differs = {
        "test_age_falls",
        "test_media_type_of_an_append",
        "test_an_append_that_does_not_say_whether_it_is_the_last",
        "test_another_versions_word",
        "test_a_creation_that_says_nothing_of_completeness",
        "test_an_upload_goes_on_in_another_version",
    }
    assert those_of("test_upload_versions.py") == demanded | differs
    assert not demanded & differs
    assert len(MUSTS) >= 30


def told(dialect: Dialect, row: str) -> str:
    """What the table of versions must say of a dialect in a row of its."""
    forbidden = ", ".join(f"`{name}`" for name in dialect.not_when_asking)
    anew = 201 if dialect.partial_status == 201 else f"POST 201, PATCH {dialect.partial_status}"
    at_wrong_offset = "409" if dialect.offset_before_complete else f"400 `…{dialect.completed_type[-17:]}`"
    return {
        "completeness": f"`{dialect.completeness}`" + (", `?1`: more follows" if "In" in dialect.completeness else ""),
        "an append that does not say": "is the last" if dialect.append_ends_unless_said else "`bad-request`",
        "media type of an append": "`application/partial-upload`" if dialect.names_media else "any",
        "104 with progress": "yes" if dialect.tells_progress else "none",
        "limits": f"`Upload-Limit` with `{dialect.age_key}`" if dialect.age_key else "none",
        "answer while more follows": str(anew),
        "answer when complete": str(dialect.complete_status),
        "its `Location`, to a POST": "the upload" if dialect.keeps_location else "the blob",
        "HEAD and DELETE must not have": forbidden,
        "more than the stated length": str(TABLE[dialect.overlong].status),
        "to a complete upload, at a wrong offset": at_wrong_offset,
        "to a complete upload, at its end": f"400 `…#{dialect.completed_type.partition('#')[2]}`",
    }[row]


def test_the_table_of_versions_is_the_codes() -> None:
    """What the page says of each version is what the one table in the code has."""
    assert [str(version) for version in DIALECTS] == list(VERSIONS)
    rows = {row[0]: row[1:] for row in section("Versions")}
    for name in list(rows)[2:]:
        for dialect, cell in zip(DIALECTS.values(), rows[name], strict=True):
            assert cell == told(dialect, name), (name, dialect.version)
