"""Upload links: their heads, what all their guests took together, and what they hold besides."""

from dataclasses import replace

from safelight.server.domain.ports.commits import Commit, GuestUse, NewInbox
from safelight.server.domain.ports.rows import DeviceRow
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, NOW_MS, Library, refused, some_hash, some_id


async def opened(library: Library) -> bytes:
    """Open an upload link and return its id."""
    link_id = some_id()
    await library.do(replace(library.a_ledger_entry(), kind="upload.open", new_upload_link=link_id))
    return link_id


async def bound(library: Library, link_id: bytes) -> bytes:
    """Bind a guest and return its id."""
    guest_id = some_id()
    row = DeviceRow(guest_id, link_id, library.space_id, "guest", some_hash(), NOW_MS)
    await library.do(replace(library.a_ledger_entry(), kind="upload.bind", cameras=[row]))
    return guest_id


def _inbox(library: Library, link_id: bytes, number: int, head: bytes = b"head") -> Commit:
    return replace(library.a_record(), kind="link.inbox", inbox=NewInbox(link_id, number, head, b"signature"))


async def _adding(
    library: Library, guest_id: bytes, link_id: bytes, *, max_files: int = 10, quota_bytes: int = 10**9
) -> Commit:
    if guest_id not in library.rolls:
        library.rolls[guest_id] = await library.open_roll(guest_id)
    asset = await library.an_asset(await library.hold(guest_id), device_id=guest_id)
    return replace(asset, guest=GuestUse(link_id, 1, max_files, quota_bytes), entry_bytes=100)


async def test_a_link_is_opened_once(library: Library) -> None:
    """Its id is its own; others know nothing of it."""
    link_id = await opened(library)
    row = await library.database.upload_link(link_id)
    assert row is not None
    assert (row.space_id, row.head, row.files, row.used_bytes) == (library.space_id, b"", 0, 0)
    assert await library.database.upload_link(some_id()) is None
    again = replace(library.a_ledger_entry(), kind="upload.open", new_upload_link=link_id)
    assert await refused(library, again) is Code.LEDGER_RULE


async def test_links_of_both_kinds_share_their_ids(library: Library) -> None:
    """*An upload link with another link's id*, and the other way round: also of two that are committed together."""
    shows = await library.publish(await library.a_link())
    opening = replace(library.a_ledger_entry(), kind="upload.open", new_upload_link=shows)
    assert await refused(library, opening) is Code.LEDGER_RULE
    link_id = await opened(library)
    showing = await library.a_link()
    assert showing.link is not None
    same = replace(showing, link=replace(showing.link, link_id=link_id))
    assert await refused(library, same) is Code.LEDGER_RULE
    one, two = await library.a_link(), some_id()
    assert one.link is not None
    both = replace(one, link=replace(one.link, link_id=two))
    opening = replace(library.a_ledger_entry(), kind="upload.open", new_upload_link=two)
    after = replace(opening, counter=both.counter + 1, previous_id=both.entry_id)
    outcomes = await library.commit(both, after)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, Code.LEDGER_RULE]


async def test_the_newest_head_stays(library: Library) -> None:
    """A head of a lower number, or of the same, is refused; so is one of no link."""
    link_id = await opened(library)
    await library.do(_inbox(library, link_id, 7, b"first"))
    for number in (6, 7):
        assert await refused(library, _inbox(library, link_id, number)) is Code.LEDGER_RULE
    assert await refused(library, _inbox(library, some_id(), 8)) is Code.NOT_FOUND
    await library.do(_inbox(library, link_id, 8, b"second"))
    row = await library.database.upload_link(link_id)
    assert row is not None
    assert (row.head, row.head_signature) == (b"second", b"signature")


async def test_guests_are_counted_together(library: Library) -> None:
    """Files and bytes of all guests of a link; another link has its own."""
    link_id, other_id = await opened(library), await opened(library)
    one, two = await bound(library, link_id), await bound(library, link_id)
    for guest_id in (one, two):
        await library.do(await _adding(library, guest_id, link_id))
    third = await _adding(library, one, link_id, max_files=2)
    assert await refused(library, third) is Code.UPLOAD_LINK_FULL
    room = 2 * (BLOB_SIZE_BYTES + 100)
    full = await _adding(library, two, link_id, quota_bytes=room + BLOB_SIZE_BYTES)
    assert await refused(library, full) is Code.UPLOAD_LINK_FULL
    row = await library.database.upload_link(link_id)
    assert row is not None
    assert (row.files, row.used_bytes) == (2, room)
    other = await library.database.upload_link(other_id)
    assert other is not None
    assert (other.files, other.used_bytes) == (0, 0)
    await library.do(await _adding(library, two, link_id, quota_bytes=room + BLOB_SIZE_BYTES + 100))


async def test_the_last_place_is_taken_once(library: Library) -> None:
    """Of two that are committed together one is refused."""
    link_id = await opened(library)
    one, two = await bound(library, link_id), await bound(library, link_id)
    both = [await _adding(library, guest_id, link_id, max_files=1) for guest_id in (one, two)]
    outcomes = await library.commit(*both)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, Code.UPLOAD_LINK_FULL]


async def test_a_guest_of_no_link(library: Library) -> None:
    """Nothing is added by a link that is not there."""
    link_id = await opened(library)
    guest_id = await bound(library, link_id)
    assert await refused(library, await _adding(library, guest_id, some_id())) is Code.NOT_FOUND


async def test_what_guests_hold(library: Library) -> None:
    """What was sent and not named, and what is being sent, of this link's guests alone."""
    link_id, other_id = await opened(library), await opened(library)
    one, two = await bound(library, link_id), await bound(library, link_id)
    stranger = await bound(library, other_id)
    ask = library.database.guests_hold
    assert await ask(link_id) == 0
    await library.hold(one, size_bytes=10)
    await library.hold(two, size_bytes=200)
    await library.hold(stranger, size_bytes=3000)
    upload = library.an_upload(two, length_bytes=40_000)
    await library.database.add_upload(upload, 1000, 10**15, 10**6)
    assert await ask(link_id) == 40_210
    assert await ask(other_id) == 3000
    await library.database.delete_upload(upload.upload_id)
    assert await ask(link_id) == 210
    await library.do(await _adding(library, one, link_id))
    assert await ask(link_id) == 210
