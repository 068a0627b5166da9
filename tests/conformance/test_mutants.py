"""Databases that are broken on purpose, one check forgotten each: the suite must catch every one of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any

import pytest

from safelight.server.domain.ports.database import Database
from safelight.server.stores import (
    accounts,
    blobs,
    commit_checks,
    commit_facts,
    devices,
    links,
    spaces,
    trash,
    uncommitted,
)
from safelight.server.stores.commit_checks import Case, Check
from safelight.server.stores.commit_facts import Held, Roll
from safelight.server.stores.statements import Statement, statement
from tests.conformance import (
    test_accounts,
    test_albums,
    test_approvals,
    test_commits,
    test_links,
    test_logs,
    test_organising,
    test_trash,
    test_upload_links,
    test_uploads,
)
from tests.conformance.library import Library

# However it shows, the suite must not pass.
CAUGHT = (Exception, pytest.fail.Exception)

Trial = Callable[[Library], Awaitable[None]]


def _hold_everything(case: Case) -> None:
    for blob in case.commit.blobs:
        case.space.blobs.setdefault(blob.name, Held(blob.size_bytes, ""))


def _hold_at_any_size(case: Case) -> None:
    for blob in case.commit.blobs:
        if blob.name not in case.space.blobs:
            commit_checks.check_blobs(case)


def _any_roll(case: Case) -> None:
    use = case.commit.roll
    if use and not use.opens:
        case.space.rolls.setdefault(use.roll_id, Roll(case.commit.device_id, use.epoch, 0, 0))


def _nothing(_: Case) -> None:
    pass


def _with_a_wall(trial: Callable[[test_approvals.Wall], Awaitable[None]]) -> Trial:
    @wraps(trial)
    async def on_an_album(library: Library) -> None:
        await trial(test_approvals.Wall(library))

    return on_an_album


CHECKS: list[tuple[Check, Check, Trial]] = [
    (commit_checks.check_blobs, _hold_everything, test_commits.test_blob_missing),
    (commit_checks.check_blobs, _hold_at_any_size, test_commits.test_blob_of_another_size),
    (commit_checks.check_ledger, _nothing, test_commits.test_ledger_moved),
    (commit_checks.check_ledger, _nothing, test_commits.test_ledger_moves_within_a_group),
    (commit_checks.check_position, _nothing, test_commits.test_two_entries_of_one_counter),
    (commit_checks.check_assets, _nothing, test_commits.test_asset_is_there_already),
    (commit_checks.check_assets, _nothing, test_commits.test_album_names_known_assets),
    (commit_checks.check_assets, _nothing, test_trash.test_what_an_album_shows_of_the_trash),
    (commit_checks.check_trash, _nothing, test_trash.test_what_the_trash_refuses),
    (commit_checks.check_trash, _nothing, test_trash.test_proposed_and_decided),
    (commit_checks.check_quota, _nothing, test_trash.test_trashing_when_the_quota_is_used_up),
    (commit_checks.check_roll, _any_roll, test_commits.test_roll_is_anothers),
    (commit_checks.check_roll, _any_roll, test_commits.test_roll_of_an_old_epoch),
    (commit_checks.check_roll, _any_roll, test_commits.test_roll_is_full),
    (commit_checks.check_roll, _any_roll, test_commits.test_roll_is_too_old),
    (commit_checks.check_quota, _nothing, test_commits.test_quota),
    (commit_checks.check_quota, _nothing, test_commits.test_camera_quota),
    (commit_checks.check_link, _nothing, test_links.test_link_needs_named_blobs),
    (commit_checks.check_link, _nothing, test_links.test_link_id_is_given_once),
    (commit_checks.check_album, _nothing, test_albums.test_what_an_album_cannot_show),
    (commit_checks.check_album, _nothing, test_albums.test_an_albums_log_ends_where_its_signer_says),
    (commit_checks.check_album, _nothing, test_albums.test_what_is_added_under_a_roll_of_an_album),
    (commit_checks.check_upload_link, _nothing, test_upload_links.test_a_link_is_opened_once),
    (commit_checks.check_upload_link, _nothing, test_upload_links.test_the_newest_head_stays),
    (commit_checks.check_upload_link, _nothing, test_upload_links.test_links_of_both_kinds_share_their_ids),
    (commit_checks.check_link, _nothing, test_upload_links.test_links_of_both_kinds_share_their_ids),
    (commit_checks.check_upload_link, _nothing, test_upload_links.test_guests_are_counted_together),
    (commit_checks.check_upload_link, _nothing, test_upload_links.test_the_last_place_is_taken_once),
    (commit_checks.check_approvals, _nothing, _with_a_wall(test_approvals.test_an_approval_is_of_a_picture_as_it_is)),
    (
        commit_checks.check_out_of_album,
        _nothing,
        _with_a_wall(test_organising.test_only_what_is_in_the_album_is_taken_out),
    ),
    (commit_checks.check_approved, _nothing, _with_a_wall(test_approvals.test_a_link_takes_approved_pictures_only)),
    (commit_checks.check_approved, _nothing, _with_a_wall(test_approvals.test_a_link_shows_what_is_in_its_album)),
    (commit_checks.check_approved, _nothing, _with_a_wall(test_approvals.test_within_one_group)),
    (commit_checks.check_devices, _nothing, test_commits.test_cameras_are_bound_and_revoked),
    (commit_checks.check_space, _nothing, test_commits.test_genesis_stands_once),
]


@pytest.mark.parametrize(
    ("check", "broken", "trial"), CHECKS, ids=[f"{check.__name__}-{trial.__name__}" for check, _, trial in CHECKS]
)
async def test_a_forgotten_check_is_caught(
    library: Library, monkeypatch: pytest.MonkeyPatch, check: Check, broken: Check, trial: Trial
) -> None:
    """Without the check, the part of the suite that is about it fails."""
    checks = tuple(broken if kept is check else kept for kept in commit_checks.CHECKS)
    monkeypatch.setattr(commit_checks, "CHECKS", checks)
    with pytest.raises(CAUGHT):
        await trial(library)


@dataclass(frozen=True)
class Mutation:
    """One statement changed in one place, and the test that must notice."""

    statements: dict[str, Statement]
    name: str
    before: str
    after: str
    trial: Callable[[Library], Awaitable[None]] | Callable[[Database], Awaitable[None]]


_GIVEN_NO_MORE = test_organising.test_grantees_are_given_no_blob_of_it
_ONE_OF_TWO = test_organising.test_one_file_of_two_pictures_of_an_album
MUTATIONS = [
    Mutation(trash.SQL, "holds", "AND b.tier IN ('view', 'full')", "", test_trash.test_what_is_a_links_own),
    Mutation(
        trash.SQL,
        "holds",
        "t.space_id = :space_id",
        "LENGTH(:space_id) > 0",
        test_trash.test_into_the_trash_and_out_of_it,
    ),
    Mutation(
        commit_facts.SQL,
        "trash_asset",
        "AND r.owner_id = a.asset_id",
        "",
        test_trash.test_one_of_two_that_were_added_together,
    ),
    Mutation(
        trash.SQL,
        "shown",
        "a.album_id = :album_id",
        "LENGTH(:album_id) > 0",
        test_trash.test_what_an_album_shows_of_the_trash,
    ),
    Mutation(
        links.SQL, "count_opening", "opens < CAST", "opens <= CAST", test_links.test_one_opening_and_a_hundred_racers
    ),
    Mutation(
        links.SQL, "count_opening", "revoked = 0", "1 = 1", test_links.test_a_link_that_does_not_stand_opens_nothing
    ),
    Mutation(
        links.SQL, "use_handover", "handover_expires_ms = 0", "link_id = link_id", test_links.test_handover_is_used_once
    ),
    Mutation(
        links.SQL, "blob", "l.link_id = :link_id", "LENGTH(:link_id) > 0", test_links.test_a_link_shows_its_own_blobs
    ),
    *(
        Mutation(links.SQL, "blob", before, after, _with_a_wall(test_approvals.test_what_a_links_sessions_get))
        for before, after in (
            ("f.approved = 1", "1 = 1"),
            ("r.requires_approval = 1", "1 = 0"),
            ("r.requires_approval = 1", "1 = 1"),
            ("r.album_id = k.album_id", "1 = 1"),
            ("f.name = l.name", "f.name <> l.name"),
        )
    ),
    *(
        Mutation(commit_facts.SQL, name, before, after, _with_a_wall(trial))
        for name, before, after, trial in (
            ("remove_album_file", "album_id = :album_id", "LENGTH(:album_id) > 0", _GIVEN_NO_MORE),
            ("remove_album_file", "asset_id = :asset_id", "LENGTH(:asset_id) > 0", _ONE_OF_TWO),
            ("hide_album_blob", "NOT EXISTS", "EXISTS", _GIVEN_NO_MORE),
            ("hide_album_blob", "f.name = album_blobs.name", "1 = 1", _GIVEN_NO_MORE),
            ("hide_album_blob", "AND NOT EXISTS", "OR NOT EXISTS", _ONE_OF_TWO),
        )
    ),
    Mutation(blobs.SQL, "is_collectable", "o.refs > 0 OR", "", test_uploads.test_what_may_be_collected),
    Mutation(
        blobs.SQL,
        "is_collectable",
        "o.held_ms >= :before_ms",
        ":before_ms < 0",
        test_uploads.test_what_may_be_collected,
    ),
    Mutation(blobs.SQL, "is_collectable", "u.state = 'open'", "1 = 0", test_uploads.test_what_may_be_collected),
    Mutation(blobs.SQL, "collectable", "o.refs > 0 OR", "", test_uploads.test_committed_in_one_space_held_in_another),
    Mutation(
        blobs.SQL, "is_forgotten", "WHERE", "WHERE 1 = 0 AND", test_uploads.test_bytes_go_before_the_name_comes_again
    ),
    Mutation(
        blobs.SQL,
        "declare",
        ":name WHERE",
        "NULL WHERE LENGTH(:name) > 0 AND",
        test_uploads.test_what_is_being_published_stays,
    ),
    Mutation(blobs.SQL, "is_named", "state = 'open'", "1 = 0", test_uploads.test_what_is_being_published_stays),
    Mutation(
        blobs.SQL, "is_named", "FROM space_blobs WHERE", "FROM space_blobs WHERE 1 = 0 AND", test_uploads.test_orphans
    ),
    Mutation(blobs.SQL, "old_orphans", "seen_ms < :before_ms", "0 < :before_ms", test_uploads.test_orphans),
    Mutation(
        blobs.SQL, "set_offset", "AND offset_bytes <= :offset_bytes", "", test_uploads.test_offset_never_decreases
    ),
    Mutation(uncommitted.SQL, "count", "refs = 0", "refs = -1", test_uploads.test_uncommitted_bytes_are_limited),
    Mutation(
        uncommitted.SQL,
        "note_held",
        "blobs + :blobs",
        "blobs + 0 * :blobs",
        test_uploads.test_uncommitted_blobs_are_limited,
    ),
    Mutation(blobs.SQL, "open_uploads", "state = 'open'", "state = ''", test_uploads.test_open_uploads_are_limited),
    Mutation(commit_facts.SQL, "refer", "refs + 1", "refs", test_uploads.test_what_may_be_collected),
    Mutation(
        commit_facts.SQL,
        "slot",
        "= :counter",
        "= :counter + 1",
        test_commits.test_repeated_commit_gets_the_first_answer,
    ),
    Mutation(spaces.SQL, "entries", "total <= :max_bytes", ":max_bytes > 0", test_logs.test_pages_by_size),
    Mutation(
        devices.SQL, "sessions", "COALESCE(d.revoked, 0) = 0", "1 = 1", test_accounts.test_revoked_device_has_no_session
    ),
    Mutation(
        devices.SQL,
        "revoke",
        "AND owner_id = :owner_id",
        "AND LENGTH(:owner_id) > 0",
        test_accounts.test_nobody_revokes_anothers_device,
    ),
    Mutation(
        accounts.SQL,
        "use_invite",
        "DELETE FROM invites",
        "UPDATE invites SET expires_ms = expires_ms",
        test_accounts.test_invite_is_used_once,
    ),
    Mutation(accounts.SQL, "use_invite", "expires_ms > :now_ms", ":now_ms > 0", test_accounts.test_invite_expires),
    Mutation(accounts.SQL, "next_keyring", "version = :before", ":before >= 0", test_accounts.test_keyring_versions),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.name}-{mutation.before}")
async def test_a_broken_statement_is_caught(
    library: Library, monkeypatch: pytest.MonkeyPatch, mutation: Mutation
) -> None:
    """With the statement broken, the part of the suite that is about it fails."""
    whole = mutation.statements[mutation.name]
    assert mutation.before in whole.text
    broken = statement(whole.name, whole.text.replace(mutation.before, mutation.after))
    monkeypatch.setitem(mutation.statements, mutation.name, broken)
    subject: Any = library if "library" in signature(mutation.trial).parameters else library.database
    with pytest.raises(CAUGHT):
        await mutation.trial(subject)
