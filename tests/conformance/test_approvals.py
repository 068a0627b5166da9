"""Approvals: what links may show where an album requires them, and what is refused, withheld and given again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from safelight.server.domain.ports.commits import AlbumRules, Approvals, BlobUse, Commit, Committed, IntoAlbum, Rejected
from safelight.sync_protocol.approvals import content_of
from safelight.sync_protocol.refusals import Code
from tests.conformance.library import BLOB_SIZE_BYTES, Library, refused, some_hash, some_id


@dataclass
class Wall:
    """An album, and the records about it."""

    library: Library
    album_id: bytes = field(default_factory=some_id)

    async def picture(self, *, into: bool = True) -> tuple[bytes, bytes, bytes]:
        """Add an asset, also to the album: its id, and the names of original and preview."""
        library = self.library
        original, preview = await library.hold(), await library.hold()
        commit = await library.an_asset(original)
        asset_id = commit.assets[0].asset_id
        blobs = [*commit.blobs, BlobUse(preview, BLOB_SIZE_BYTES, "view", asset_id, "preview")]
        await library.do(replace(commit, blobs=blobs))
        if into:
            await library.do(self.adds(asset_id))
        return asset_id, original, preview

    def adds(self, *asset_ids: bytes) -> Commit:
        """Bring assets into the album."""
        into = IntoAlbum(self.album_id, asset_ids)
        return replace(self.library.a_record(), kind="album.add", known_assets=asset_ids, into_album=into)

    def requires(self, approval: bool = True) -> Commit:
        """Switch approval on, or off."""
        return replace(self.library.a_record(), kind="album.rules", album_rules=AlbumRules(self.album_id, approval))

    def approves(self, picture: tuple[bytes, bytes, bytes], content: bytes | None = None) -> Commit:
        """Approve a picture as it is, or by another content."""
        asset_id, original, preview = picture
        content = content or content_of(asset_id, [("original", original), ("preview", preview)])
        approvals = Approvals(self.album_id, approved=True, items=[(asset_id, content)])
        return replace(self.library.a_record(), kind="asset.approve", approvals=approvals)

    def withdraws(self, picture: tuple[bytes, bytes, bytes]) -> Commit:
        """Withdraw a picture's approval."""
        approvals = Approvals(self.album_id, approved=False, items=[(picture[0], b"")])
        return replace(self.library.a_record(), kind="asset.approve", approvals=approvals)

    def next(self, commit: Commit) -> Commit:
        """The same, as its device's next entry by now."""
        counter, previous_id = self.library.positions[commit.device_id]
        return replace(commit, counter=counter + 1, previous_id=previous_id)

    async def link(self, *view: bytes, full: tuple[bytes, ...] = (), made: tuple[bytes, ...] = ()) -> Commit:
        """Publish a link to the album."""
        commit = await self.library.a_link(view=view, full=full, made=made)
        assert commit.link is not None
        return replace(commit, link=replace(commit.link, album_id=self.album_id))


@pytest.fixture
def wall(library: Library) -> Wall:
    """An album."""
    return Wall(library)


def after(commit: Commit, first: Commit) -> Commit:
    """The same, as its device's next entry after *first*."""
    return replace(commit, counter=first.counter + 1, previous_id=first.entry_id)


async def test_a_link_takes_approved_pictures_only(wall: Wall) -> None:
    """Neither preview nor original of a picture that is not approved; of an album without the rule, all."""
    library = wall.library
    good, bad = await wall.picture(), await wall.picture()
    await library.publish(await wall.link(good[2], bad[2]))
    await library.do(wall.requires())
    assert await library.database.approval_albums(library.space_id) == {wall.album_id}
    assert await refused(library, await wall.link(good[2])) is Code.NOT_APPROVED
    await library.do(wall.approves(good))
    assert await library.database.approved(library.space_id) == {(wall.album_id, good[0])}
    await library.publish(await wall.link(good[2], full=(good[1],)))
    assert await refused(library, await wall.link(good[2], bad[2])) is Code.NOT_APPROVED
    assert await refused(library, await wall.link(good[2], full=(bad[1],))) is Code.NOT_APPROVED
    await library.do(wall.requires(approval=False))
    await library.publish(await wall.link(good[2], bad[2]))


async def test_a_link_shows_what_is_in_its_album(wall: Wall) -> None:
    """*A link that names another album, or none that there is*, and shows what waits for approval in this one.

    Only where an album of the space requires approval.
    """
    library, other = wall.library, Wall(wall.library)
    waiting, free = await wall.picture(), await other.picture()
    await library.publish(await Wall(library).link(waiting[2]))
    await library.do(wall.requires())
    assert await refused(library, await other.link(waiting[2])) is Code.NOT_APPROVED
    assert await refused(library, await Wall(library).link(free[2])) is Code.NOT_APPROVED
    await library.publish(await other.link(free[2]))
    elsewhere = Wall(await Library.make(library.database))
    theirs = await elsewhere.picture(into=False)
    await elsewhere.library.publish(await elsewhere.link(theirs[2]))


async def test_an_approval_is_of_a_picture_as_it_is(wall: Wall) -> None:
    """Of another content, of what is not in the album or not there at all: refused."""
    library, picture = wall.library, await wall.picture()
    asset_id, original, preview = picture
    for content in (
        some_hash(),
        content_of(asset_id, [("original", original)]),
        content_of(asset_id, [("preview", preview), ("original", original)]),
        content_of(some_id(), [("original", original), ("preview", preview)]),
    ):
        assert await refused(library, wall.approves(picture, content)) is Code.ASSET_CONFLICT
    outside = await wall.picture(into=False)
    assert await refused(library, wall.approves(outside)) is Code.NOT_FOUND
    assert await refused(library, wall.withdraws(outside)) is Code.NOT_FOUND
    assert await refused(library, wall.approves((some_id(), original, preview))) is Code.NOT_FOUND
    assert await refused(library, Wall(library).approves(picture)) is Code.NOT_FOUND
    await library.do(wall.approves(picture))


async def test_what_a_links_sessions_get(wall: Wall) -> None:
    """Withheld once approval is required, given once it is approved, withheld when that is withdrawn; pages always."""
    library, picture = wall.library, await wall.picture()
    made = await library.hold()
    commit, drawn = await wall.link(picture[2], full=(picture[1],)), await wall.link(made=(made,))
    link_id, other = await library.publish(commit), await library.publish(wall.next(drawn))
    another = Wall(library)
    await library.do(another.adds(picture[0]))
    elsewhere = await library.publish(await another.link(picture[2]))
    assert commit.link is not None

    async def given() -> list[bool]:
        found = [await library.database.link_blob(link_id, name) for name in picture[1:]]
        return [each is not None for each in found]

    assert await given() == [True, True]
    changes: list[tuple[Callable[[], Commit], bool]] = [
        (wall.requires, False),
        (lambda: wall.approves(picture), True),
        (lambda: wall.withdraws(picture), False),
        (lambda: wall.adds(picture[0]), False),
        (lambda: wall.requires(approval=False), True),
        (wall.requires, False),
        (lambda: wall.approves(picture), True),
        (lambda: wall.adds(picture[0]), True),
    ]
    for change, expected in changes:
        await library.do(change())
        assert await given() == [expected, expected]
        assert await library.database.link_blob(link_id, commit.link.pages[0]) is not None
        assert await library.database.link_blob(other, made) == (BLOB_SIZE_BYTES, "made")
        assert await library.database.link_blob(elsewhere, picture[2]) is not None


async def test_approvals_are_of_their_own_space(wall: Wall) -> None:
    """The same album id in another space has neither rule nor approvals."""
    library, picture = wall.library, await wall.picture()
    other = Wall(await Library.make(library.database), wall.album_id)
    theirs = await other.picture()
    await library.do(wall.requires())
    await library.do(wall.approves(picture))
    assert await library.database.approval_albums(other.library.space_id) == set()
    assert await library.database.approved(other.library.space_id) == set()
    await other.library.publish(await other.link(theirs[2]))


async def test_one_file_of_two_pictures(wall: Wall) -> None:
    """What one of them is approved for stays when the other's approval is withdrawn."""
    library, one = wall.library, await wall.picture()
    again = await library.an_asset(one[1])
    twin = (again.assets[0].asset_id, one[1], one[2])
    blobs = [*again.blobs, BlobUse(one[2], BLOB_SIZE_BYTES, "view", twin[0], "preview")]
    await library.do(replace(again, blobs=blobs))
    for commit in (wall.adds(twin[0]), wall.requires(), wall.approves(one), wall.approves(twin), wall.withdraws(one)):
        await library.do(wall.next(commit))
    await library.publish(await wall.link(one[2]))
    await library.do(wall.withdraws(twin))
    assert await refused(library, await wall.link(one[2])) is Code.NOT_APPROVED


async def test_within_one_group(wall: Wall) -> None:
    """Commits that are written together see what the ones before them changed: rule, album, approval, withdrawal."""
    library = wall.library
    picture, late = await wall.picture(), await wall.picture(into=False)
    link = await wall.link(picture[2], late[2])
    steps = [wall.requires()]
    for commit in (wall.adds(late[0]), wall.approves(picture), wall.approves(late), link, wall.withdraws(late)):
        steps.append(after(commit, steps[-1]))
    outcomes = await library.commit(*steps)
    assert all(isinstance(outcome, Committed) for outcome in outcomes), outcomes
    second, third = wall.requires(approval=False), await wall.link(picture[2], late[2])
    on = after(wall.requires(), second)
    [_, _, outcome] = await library.commit(second, on, after(third, on))
    assert isinstance(outcome, Rejected)
    assert outcome.code is Code.NOT_APPROVED
    assert await library.database.approved(library.space_id) == {(wall.album_id, picture[0])}


async def test_what_comes_with_its_own_record(wall: Wall) -> None:
    """A camera's picture comes into the space and the album at once, and is approved and linked like any other."""
    library = wall.library
    original, preview = await library.hold(), await library.hold()
    commit = await library.an_asset(original)
    asset_id = commit.assets[0].asset_id
    blobs = [*commit.blobs, BlobUse(preview, BLOB_SIZE_BYTES, "view", asset_id, "preview")]
    await library.do(replace(commit, blobs=blobs, into_album=IntoAlbum(wall.album_id, [asset_id])))
    await library.do(wall.requires())
    assert await refused(library, await wall.link(preview)) is Code.NOT_APPROVED
    await library.do(wall.approves((asset_id, original, preview)))
    await library.publish(await wall.link(preview))


async def test_a_link_that_named_another_album_before_the_rule(wall: Wall) -> None:
    """*A link made ahead of the rule, under the name of another album*: it shows its own album only."""
    library, other = wall.library, Wall(wall.library)
    (_, _, elsewhere), (_, _, preview) = await wall.picture(), await other.picture()
    lying = await library.publish(await other.link(elsewhere, preview))
    nowhere = await library.publish(await Wall(library).link(elsewhere))
    assert await library.database.link_blob(lying, elsewhere)
    await library.do(wall.requires())
    assert await library.database.link_blob(lying, elsewhere) is None
    assert await library.database.link_blob(nowhere, elsewhere) is None
    assert await library.database.link_blob(lying, preview)
    await library.do(wall.requires(approval=False))
    assert await library.database.link_blob(lying, elsewhere)


async def test_withholding_takes_no_room(library: Library) -> None:
    """In a space that is full, approval is switched on and withdrawn; nothing more is approved."""
    full = Wall(await Library.make(library.database, quota_bytes=2 * BLOB_SIZE_BYTES + 1500))
    picture = await full.picture()

    def large(commit: Commit) -> Commit:
        return replace(commit, entry_bytes=1000)

    await full.library.do(large(full.approves(picture)))
    for adding in (full.approves(picture), full.requires(approval=False)):
        assert await refused(full.library, large(adding)) is Code.QUOTA_EXCEEDED
    await full.library.do(large(full.requires()))
    await full.library.do(large(full.withdraws(picture)))


async def test_withholding_nothing_takes_room(library: Library) -> None:
    """*A log filled beyond the quota*, with rules that are so or of no album, and approvals long withdrawn."""
    full = Wall(await Library.make(library.database, quota_bytes=2 * BLOB_SIZE_BYTES + 1000))
    picture = await full.picture()
    await full.library.do(replace(full.approves(picture), entry_bytes=1000))

    def small(commit: Commit) -> Commit:
        return replace(commit, entry_bytes=1)

    nowhere = replace(full.requires(), album_rules=AlbumRules(some_id(), requires_approval=True))
    assert await refused(full.library, small(nowhere)) is Code.QUOTA_EXCEEDED

    def withdraws() -> Commit:
        return full.withdraws(picture)

    kinds: list[Callable[[], Commit]] = [full.requires, withdraws]
    for withholding in kinds:
        first = small(withholding())
        again = after(small(replace(withholding(), entry_id=some_hash())), first)
        taken, left = await full.library.commit(first, again)
        assert isinstance(taken, Committed)
        assert isinstance(left, Rejected)
        assert left.code is Code.QUOTA_EXCEEDED
        full.library.positions[first.device_id] = (first.counter, first.entry_id)
        assert await refused(full.library, small(withholding())) is Code.QUOTA_EXCEEDED
