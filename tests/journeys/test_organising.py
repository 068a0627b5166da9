"""Pictures taken out of albums and new titles, by members and by grantees who were let, against a real server."""

from pathlib import Path

from safelight.clients.engine.accounts import login
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.album_links import links_that_go_on
from safelight.clients.engine.albums import Album, create_album, find_album, list_albums
from safelight.clients.engine.approvals import approve, set_requires_approval
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.clock import now_ms
from safelight.clients.engine.granted import find_granted, granted_albums
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.members import set_role
from safelight.clients.engine.organising import (
    album_of_grant,
    album_of_space,
    remove_from_album,
    rename_album,
    rename_granted,
)
from safelight.clients.engine.pointing import catch_up, point_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.sharing import end_grant, give_grant, list_grants
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol.records import RecordKind, RemoveFromAlbumBody, RenditionName
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role, Tier
from tests.journeys.test_grants import Studio, _camera, _push, refused_with
from tests.journeys.test_grants import studio as studio  # noqa: PLC0414 - a fixture
from tests.support.people import PASSWORD, Someone
from tests.support.server_process import ServerProcess


async def let_organise(studio: Studio, tier: Tier = Tier.VIEW, *, expires_ms: int = 0, album: str = "Wedding") -> None:
    """Let Fred organise an album."""
    async with studio.anna.space("Studio") as space:
        found = await find_album(space, album)
        await give_grant(space, found, studio.fred_id, tier, expires_ms=expires_ms, can_organise=True)


async def remove_as_member(studio: Studio, *places: int, album: str = "Wedding") -> list[bytes]:
    """Take pictures out of an album, by their places in it."""
    async with studio.anna.space("Studio") as space:
        found = await find_album(space, album)
        ids = [place.asset_id for place in space.index.album_assets(found.album_id)]
        return await remove_from_album(album_of_space(space, found), [ids[each] for each in places])


async def remove_as_grantee(studio: Studio, *places: int, album: str = "Wedding") -> list[bytes]:
    """The same by Fred."""
    async with studio.fred.session() as session:
        view, reader, granted = await find_granted(session, album)
        ids = [found.asset_id async for found in reader.each()]
        return await remove_from_album(album_of_grant(view, granted.album_id), [ids[each] for each in places])


async def rename_as_grantee(studio: Studio, title: str, album: str = "Wedding") -> None:
    """Rename an album as Fred."""
    async with studio.fred.session() as session:
        view, _, granted = await find_granted(session, album)
        await rename_granted(view, granted.album_id, title)


async def put_back(studio: Studio, asset_id: bytes, album: str = "Wedding") -> int:
    """Add an asset of the space to an album."""
    async with studio.anna.space("Studio") as space:
        reader = AssetReader(space)
        return await add_to_album(space, await find_album(space, album), [await reader.find(asset_id.hex())])


async def as_followed(someone: Someone) -> tuple[list[tuple[str, list[bytes]]], list[object]]:
    """What a member's device knows of the albums."""
    async with someone.space("Studio") as space:
        shown = [
            (album.title, [place.asset_id for place in space.index.album_assets(album.album_id)])
            for album in await list_albums(space)
        ]
        return shown, list(space.problems)


async def test_out_and_in_of_an_album_of_members(studio: Studio) -> None:
    """Nothing is deleted; what is put back stands at the end; who is not in it is not found."""
    for name in ("one.jpg", "two.jpg"):
        await studio.add(name)
    [removed] = await remove_as_member(studio, 0)
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        assert (album.asset_count, space.index.count_assets()) == (1, 2)
        with refused_with(Code.NOT_FOUND):
            await remove_from_album(album_of_space(space, album), [removed])
    assert await put_back(studio, removed) == 1
    [(_, assets), _], problems = await as_followed(studio.anna)
    assert (assets[-1], len(assets), problems) == (removed, 2, [])


async def test_out_of_a_shared_album_and_in_again(studio: Studio) -> None:
    """Grantees see it go, are given no blob of it, and see it again."""
    first, second = await studio.add("one.jpg"), await studio.add("two.jpg")
    await studio.grant(Tier.FULL)
    assert await studio.seen(RenditionName.ORIGINAL) == [first, second]
    async with studio.fred.session() as session:
        _, reader, _ = await find_granted(session, "Wedding")
        opened = [found async for found in reader.each() if isinstance(found, OpenedAsset)]
        [removed] = await remove_as_member(studio, 0)
        with refused_with(Code.NOT_FOUND):
            await reader.fetch_bytes(opened[0], RenditionName.ORIGINAL)
        assert await reader.fetch_bytes(opened[1], RenditionName.ORIGINAL) == second
    assert await studio.seen(RenditionName.ORIGINAL) == [second]
    assert await put_back(studio, removed) == 1
    assert await studio.seen(RenditionName.ORIGINAL) == [second, first]
    await remove_as_member(studio, 1)
    await studio.end()
    await studio.grant(Tier.FULL)
    assert await studio.seen(RenditionName.ORIGINAL) == [second]


async def test_a_title_that_everyone_follows(studio: Studio) -> None:
    """Members, grantees, later generations, and whatever finds an album by its name; before it is shared, too."""
    await studio.add("one.jpg")
    async with studio.anna.space("Studio") as space:
        await rename_album(space, await find_album(space, "Wedding"), "Marriage")
        with refused_with(Code.BAD_REQUEST):
            await rename_album(space, await find_album(space, "Marriage"), "Private")
        with refused_with(Code.BAD_REQUEST):
            await rename_album(space, await find_album(space, "Marriage"), "x" * 65)
        with refused_with(Code.NOT_FOUND):
            await find_album(space, "Wedding")
    await studio.grant(Tier.VIEW, album="Marriage")
    assert await studio.titles() == [("Marriage", Tier.VIEW, 1)]
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Marriage")
        await rename_album(space, album, "Anna and Bert")
        made = await create_link(space, await find_album(space, "Anna and Bert"), LinkWish())
        assert made.asset_count == 1
        assert [one.title for one in await list_grants(space)] == ["Anna and Bert"]
        await end_grant(space, album, studio.fred_id)
        assert (await find_album(space, album.album_id.hex()[:12])).title == "Anna and Bert"
    await studio.grant(Tier.VIEW, album="Anna and Bert")
    assert await studio.titles() == [("Anna and Bert", Tier.VIEW, 1)]
    async with studio.anna.space("Studio") as space:
        await space.rotate_epoch()
        await rename_album(space, await find_album(space, "Anna and Bert"), "Us")
    assert await studio.titles() == [("Us", Tier.VIEW, 1)]


async def test_a_grantee_of_previews_organises(studio: Studio) -> None:
    """It takes out and renames, and adds nothing; members see both, and put back what it took out."""
    first, second = await studio.add("one.jpg"), await studio.add("two.jpg")
    await studio.grant(Tier.VIEW)
    for forbidden in (remove_as_grantee(studio, 0), rename_as_grantee(studio, "Mine")):
        with refused_with(Code.RIGHT_MISSING):
            await forbidden
    await let_organise(studio)
    [removed] = await remove_as_grantee(studio, 0)
    await rename_as_grantee(studio, "The wedding")
    assert await studio.titles() == [("The wedding", Tier.VIEW, 1)]
    albums, problems = await as_followed(studio.anna)
    assert ([(title, len(assets)) for title, assets in albums], problems) == (
        [("The wedding", 1), ("Private", 0)],
        [],
    )
    assert await put_back(studio, removed, "The wedding") == 1
    async with studio.anna.space("Studio") as space:
        assert [one.can_organise for one in await list_grants(space)] == [True]
    await let_organise(studio, Tier.FULL, album="The wedding")
    assert await studio.seen(RenditionName.ORIGINAL, "The wedding") == [second, first]


async def test_a_grant_that_is_over(studio: Studio) -> None:
    """Ended or expired, it lets nobody do anything, also by a view that was made before."""
    await studio.add("one.jpg")
    await let_organise(studio, expires_ms=now_ms() + 3_600_000)
    async with studio.fred.session() as session:
        view, reader, granted = await find_granted(session, "Wedding")
        [asset] = [found async for found in reader.each()]
        organised = album_of_grant(view, granted.album_id)
        session.clock = lambda: now_ms() + 3_700_000
        with refused_with(Code.RIGHT_MISSING):
            await remove_from_album(organised, [asset.asset_id])
        session.clock = now_ms
        async with studio.anna.space("Studio") as space:
            await end_grant(space, await find_album(space, "Wedding"), studio.fred_id)
        body = RemoveFromAlbumBody(granted.album_id, view.log_end(granted.album_id), [asset.asset_id])
        with refused_with(Code.RIGHT_MISSING):
            await view.committer.commit(RecordKind.REMOVE_FROM_ALBUM, body)
    assert (await as_followed(studio.anna))[0][0] == ("Wedding", [asset.asset_id])


async def test_a_grantee_waits_for_the_albums_keys(studio: Studio) -> None:
    """With its title alone: what is taken out is sealed to nobody."""
    for name in ("one.jpg", "two.jpg"):
        await studio.add(name)
    await let_organise(studio)
    async with studio.anna.space("Studio") as space:
        await space.rotate_epoch()
    with refused_with(Code.ALBUM_WAITS):
        await rename_as_grantee(studio, "Later")
    assert len(await remove_as_grantee(studio, 0)) == 1
    await studio.add("three.jpg")  # a laptop begins the keys
    await rename_as_grantee(studio, "Later")
    assert await studio.titles() == [("Later", Tier.VIEW, 2)]


async def test_a_member_who_organises_by_a_grant(studio: Studio) -> None:
    """A viewer reads all and organises one album; while its keys are due, their title waits."""
    for name in ("one.jpg", "two.jpg"):
        await studio.add(name)
    async with studio.anna.space("Studio") as space:
        await set_role(space, studio.fred_id, Role.VIEWER)
    async with studio.fred.space("Studio") as space:
        for title in ("Wedding", "Private"):
            with refused_with(Code.RIGHT_MISSING):
                await rename_album(space, await find_album(space, title), "Mine")
    await studio.add("three.jpg")  # after the role's epoch, if it has one
    await let_organise(studio)
    async with studio.fred.space("Studio") as space:
        album = await find_album(space, "Wedding")
        first = space.index.album_assets(album.album_id)[0].asset_id
        assert await remove_from_album(album_of_space(space, album), [first]) == [first]
        assert await rename_album(space, album, "Mine") == "Mine"
        with refused_with(Code.RIGHT_MISSING):
            await rename_album(space, await find_album(space, "Private"), "Mine as well")
        async with studio.anna.space("Studio") as annas:
            await annas.rotate_epoch()
        await space.sync()
        with refused_with(Code.ALBUM_WAITS):
            await rename_album(space, album, "Later")
    albums, problems = await as_followed(studio.anna)
    assert ([(title, len(assets)) for title, assets in albums], problems) == ([("Mine", 2), ("Private", 0)], [])


async def test_two_who_organise_at_once(studio: Studio) -> None:
    """Each on top of what the other did: nobody's picture is taken out twice, and the newest title counts."""
    for number in range(4):
        await studio.add(f"{number}.jpg")
    await let_organise(studio)
    async with studio.fred.session() as session, studio.anna.space("Studio") as space:
        view, reader, granted = await find_granted(session, "Wedding")
        ids = [found.asset_id async for found in reader.each()]
        mine = album_of_space(space, await find_album(space, "Wedding"))
        theirs = album_of_grant(view, granted.album_id)
        assert await remove_from_album(mine, ids[:2]) == ids[:2]
        assert await remove_from_album(theirs, ids[1:3]) == ids[2:3]
        await rename_granted(view, granted.album_id, "Fred's")
        await rename_album(space, await find_album(space, "Wedding"), "Anna's")
    albums, problems = await as_followed(studio.anna)
    assert (albums[0], problems) == (("Anna's", ids[3:]), [])
    assert await studio.titles() == [("Anna's", Tier.VIEW, 1)]


async def test_two_devices_and_an_index_built_anew(studio: Studio, server: ServerProcess, tmp_path: Path) -> None:
    """What was followed live is what is read at once."""
    for number in range(3):
        await studio.add(f"{number}.jpg")
    await let_organise(studio)
    await remove_as_grantee(studio, 1)
    await rename_as_grantee(studio, "One")
    [removed] = await remove_as_member(studio, 0, album="One")
    await put_back(studio, removed, "One")
    async with studio.anna.space("Studio") as space:
        await rename_album(space, await find_album(space, "One"), "Two")
    live = await as_followed(studio.anna)
    [index] = (studio.anna.path / "spaces").glob("*/index.sqlite")
    index.unlink()
    assert await as_followed(studio.anna) == live
    assert [title for title, _ in live[0]] == ["Two", "Private"]
    with ProfileFolder(tmp_path / "laptop") as folder:
        await login(folder, server.url, studio.anna.name, PASSWORD, use_system_keyring=False)
    assert await as_followed(Someone(tmp_path / "laptop", studio.anna.name, [])) == live


async def test_which_links_go_on(studio: Studio) -> None:
    """Those that were made before, as they are; where approval is required none does but what was drawn."""
    for name in ("one.jpg", "two.jpg"):
        await studio.add(name)
    async with studio.anna.space("Studio") as space:
        album = await find_album(space, "Wedding")
        before = await create_link(space, album, LinkWish())
        ids = [place.asset_id for place in space.index.album_assets(album.album_id)]
        organised = album_of_space(space, album)
        await remove_from_album(organised, ids[:1])
        await create_link(space, album, LinkWish())
        assert links_that_go_on(space, album, ids[:1]) == [before.link_id]
        opened = await _opened(space, album)
        await approve(space, album, opened)
        await set_requires_approval(space, album, on=True)
        assert links_that_go_on(space, album, ids[:1]) == []


async def _opened(space: SpaceView, album: Album) -> list[OpenedAsset]:
    places = space.index.album_assets(album.album_id)
    return [found async for found in AssetReader(space).each(places) if isinstance(found, OpenedAsset)]


async def test_a_picture_that_comes_back_by_itself(studio: Studio) -> None:
    """What a camera filled an album with, and somebody took out, no laptop shows there again."""
    camera, camera_id = await _camera(studio, "booth")
    async with studio.anna.space("Studio") as space:
        await point_camera(space, camera_id, await find_album(space, "Wedding"))
    for name in ("one.jpg", "two.jpg"):
        await _push(studio, camera, name)
    async with studio.anna.space("Studio") as space:
        await catch_up(space)
        album = await find_album(space, "Wedding")
        ids = [place.asset_id for place in space.index.album_assets(album.album_id)]
        assert len(ids) == 2
        await remove_from_album(album_of_space(space, album), ids[:1])
        assert await catch_up(space) == 0
        assert [place.asset_id for place in space.index.album_assets(album.album_id)] == ids[1:]


async def test_titles_that_look_like_another_albums(studio: Studio) -> None:
    """*A grantee gives its album another one's name*: what is done by name is refused, and ids tell."""
    await studio.add("one.jpg")
    await let_organise(studio)
    await rename_as_grantee(studio, "Private")
    async with studio.anna.space("Studio") as space:
        with refused_with(Code.BAD_REQUEST):
            await find_album(space, "Private")
        [mine] = [album for album in await list_albums(space) if album.is_shared]
        found = await find_album(space, mine.album_id.hex()[:12])
        await rename_album(space, found, "Wedding")
        assert not (await find_album(space, "Private")).is_shared
        await create_album(space, "Another")
    async with studio.fred.session() as session:
        assert [album.title for _, album in (await granted_albums(session)).albums] == ["Wedding"]
