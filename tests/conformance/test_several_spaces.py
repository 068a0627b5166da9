"""Commits of several spaces in one group, which are read together: each is judged by its own space alone.

And rows of one space are taken for another's on purpose, which the test must notice.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import pytest

from safelight.server.domain.ports.commits import AssetUse, BlobUse, Commit, Committed, Rejected
from safelight.server.domain.ports.database import Database
from safelight.server.stores import commit_facts
from safelight.server.stores.commit_facts import SpaceFacts
from safelight.server.stores.transaction import Transaction
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, Library, some_hash, some_id

OUTCOMES = [None, Code.BLOB_MISSING, Code.ROLL_UNKNOWN, Code.ASSET_CONFLICT]
SPACES = 6  # more than are read at once


async def test_the_same_ids_in_several_spaces(database: Database) -> None:
    """One device, roll, asset and blob: what is there in one space is not there in another, nor missing there."""
    device_id, roll_id, asset_id, blob = some_id(), some_id(), some_id(), some_hash()
    spaces = sorted([await Library.make(database) for _ in range(SPACES)], key=lambda space: space.space_id)
    expected = [OUTCOMES[place % len(OUTCOMES)] for place in range(SPACES)]
    commits = []
    for place, space in enumerate(spaces):
        for _ in range(place):  # so that the device stands elsewhere in each
            await space.do(space.a_record(device_id))
        if expected[place] is not Code.BLOB_MISSING:
            await space.hold_named(blob, device_id)
        if expected[place] is not Code.ROLL_UNKNOWN:
            await space.do(replace(space.a_record(device_id), roll=space.roll_use(roll_id, opens=True)))
        asset = [AssetUse(asset_id, b"")]
        if expected[place] is Code.ASSET_CONFLICT:
            await space.do(replace(space.a_record(device_id), assets=asset))
        blobs = [BlobUse(blob, BLOB_SIZE_BYTES, "full", asset_id, "original")]
        roll = space.roll_use(roll_id)
        commits.append(replace(space.a_record(device_id), roll=roll, assets=asset, blobs=blobs))
    outcomes = await database.commit(commits[::-1])
    assert [outcome.code if isinstance(outcome, Rejected) else None for outcome in outcomes[::-1]] == expected
    for commit, outcome in zip(commits[::-1], outcomes, strict=True):
        if isinstance(outcome, Committed):
            [row] = await database.entries_at(commit.space_id, [outcome.number])
            assert (row.entry_id, row.chain) == (commit.entry_id, outcome.chain)


@pytest.mark.parametrize("kind", ["positions", "rolls", "assets", "blobs"])
async def test_rows_taken_for_anothers_are_caught(
    database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Where what was read of several spaces counts in each of them, the test above fails."""
    gather_spaces = commit_facts._gather_spaces

    async def mixed(
        tx: Transaction, spaces: dict[bytes, SpaceFacts], some: Sequence[bytes], commits: Sequence[Commit]
    ) -> None:
        await gather_spaces(tx, spaces, some, commits)
        of_all = copy(getattr(spaces[some[0]], kind))
        for space_id in some:
            of_all |= getattr(spaces[space_id], kind)
        for space_id in some:
            setattr(spaces[space_id], kind, copy(of_all))

    monkeypatch.setattr(commit_facts, "_gather_spaces", mixed)
    with pytest.raises(AssertionError):
        await test_the_same_ids_in_several_spaces(database)
