"""A library by the engine against a real server: cameras fill it, links show it, export gives it back."""

import errno
import os
import subprocess
from pathlib import Path

import aiohttp
import pytest

from safelight.clients.engine import downloads
from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album, list_albums
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.cameras import add_camera, open_camera
from safelight.clients.engine.export import export_space
from safelight.clients.engine.link_listing import list_links, revoke_link
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.pairing_codes import list_cameras, pair_camera, revoke_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.records import RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from tests.hostile.proxy import Exchange, lying_server
from tests.support.guest import open_link
from tests.support.lone_camera import camera_adds
from tests.support.people import add_file, new_someone, new_space
from tests.support.server_process import ServerProcess


def _checksums_hold(folder: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)


async def _opened(space: SpaceView) -> list[OpenedAsset]:
    return [asset async for asset in AssetReader(space).each() if isinstance(asset, OpenedAsset)]


async def test_originals_come_back_byte_for_byte(server: ServerProcess, tmp_path: Path) -> None:
    """Small and large files come back with name and time; a second export writes nothing."""
    anna = await new_someone(server, tmp_path / "anna", "anna")
    await new_space(anna, "Home")
    photo, film, empty = tmp_path / "IMG_1.JPG", tmp_path / "VID.MOV", tmp_path / "empty.jpg"
    photo.write_bytes(os.urandom(700_000))
    os.utime(photo, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    film.write_bytes(os.urandom(9_000_000))
    empty.write_bytes(b"")
    async with anna.space("Home") as space:
        await add_file(space, photo, preview=b"small picture")
        await add_file(space, film, spool=tmp_path / "spool")
        await add_file(space, empty)
        await space.sync()
        out = tmp_path / "out"
        report = await export_space(space, out)
        assert (report.written, report.present, report.failed) == (3, 0, {})
        (out / "VID.MOV").write_bytes(b"damaged since")
        again = await export_space(space, out)
        assert (again.written, again.present, again.failed) == (1, 2, {})
        reader = AssetReader(space)
        first = (await _opened(space))[0]
        assert await reader.fetch_bytes(first, RenditionName.PREVIEW) == b"small picture"
        assert (await reader.find(first.asset_id.hex()[:12])).asset_id == first.asset_id
        for wanted in ("zz", "f" * 32):
            with pytest.raises(Refused) as refused:
                await reader.find(wanted)
            assert refused.value.code is Code.NOT_FOUND
    for file in (photo, film, empty):
        assert (out / file.name).read_bytes() == file.read_bytes()
    assert (out / "IMG_1.JPG").stat().st_mtime_ns == 1_600_000_000_123_456_789
    _checksums_hold(out)


async def test_names_are_kept_apart_and_safe(server: ServerProcess, tmp_path: Path) -> None:
    """Same names, twins that differ in case, and names that lead elsewhere all land in the folder, whole."""
    names = ["a.jpg", "a.jpg", "A.JPG", "SHA256SUMS", "CON", "line\nbreak.jpg", "back\\slash.jpg", "a.jpg.json"]
    carl = await new_someone(server, tmp_path / "carl", "carl")
    await new_space(carl, "Names")
    contents = []
    async with carl.space("Names") as space:
        for number, name in enumerate(names):
            source = tmp_path / str(number) / name
            source.parent.mkdir()
            source.write_bytes(f"content {number}".encode())
            contents.append(source.read_bytes())
            await add_file(space, source)
        await space.sync()
        report = await export_space(space, tmp_path / "out")
    assert report.failed == {}
    _checksums_hold(tmp_path / "out")
    written = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    assert all(content in written for content in contents)


async def test_a_second_export_downloads_nothing(server: ServerProcess, tmp_path: Path) -> None:
    """What is there and right is neither fetched again nor named; what is missing is both."""
    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", "export.twice", url=proxy.url)
        await new_space(anna, "Home")
        fetched: list[str] = []

        def overhear(exchange: Exchange) -> Exchange:
            fetched.append(exchange.path)
            return exchange

        proxy.lie("GET", ".*/blobs/", overhear)
        async with anna.space("Home") as space:
            for name in ("a.jpg", "b.jpg"):
                (tmp_path / name).write_bytes(name.encode())
                await add_file(space, tmp_path / name, preview=b"preview")
            await space.sync()
            for names in (["a.jpg", "b.jpg"], [], ["b.jpg"]):
                heard: list[str] = []
                fetched.clear()
                report = await export_space(space, tmp_path / "out", on_file=heard.append)
                assert (sorted(heard), report.written, report.present) == (names, len(names), 2 - len(names))
                assert len(fetched) == len(names)
                if not names:
                    (tmp_path / "out" / "b.jpg").unlink()
    assert report.failed == {}


async def test_export_leaves_what_it_did_not_write(server: ServerProcess, tmp_path: Path) -> None:
    """Files and sidecars of other programs stay as they are; an export that was stopped goes on."""
    olaf = await new_someone(server, tmp_path / "olaf", "olaf")
    await new_space(olaf, "Home")
    out = tmp_path / "out"
    out.mkdir()
    foreign = {"a.jpg": b"another picture", "b.jpg.json": b'{"title": "from elsewhere"}', "c.txt": b"notes"}
    for name, content in foreign.items():
        (out / name).write_bytes(content)
    (out / ".safelight-0123.part").write_bytes(b"of a stopped export")
    async with olaf.space("Home") as space:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            (tmp_path / name).write_bytes(name.encode())
            await add_file(space, tmp_path / name)
        await space.sync()
        (out / "c.jpg").write_bytes(b"c.jpg")  # what an export wrote before it was stopped
        for written in (2, 0):
            report = await export_space(space, out)
            assert (report.written, report.present, report.failed) == (written, 3 - written, {})
    assert {name: (out / name).read_bytes() for name in foreign} == foreign
    assert (out / "a (2).jpg").read_bytes() == b"a.jpg"
    assert (out / "b (2).jpg").read_bytes() == b"b.jpg"
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []
    _checksums_hold(out)


async def test_a_target_that_cannot_be_written(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is named as what it is, not as a fault of the network; nothing half-written stays."""
    pia = await new_someone(server, tmp_path / "pia", "pia")
    await new_space(pia, "Home")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p" * 1000)

    def full(handle: int, data: memoryview) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with pia.space("Home") as space:
        await add_file(space, photo)
        await space.sync()
        monkeypatch.setattr(downloads, "_write_all", full)
        report = await export_space(space, tmp_path / "out")
        assert [refusal.code for refusal in report.failed.values()] == [Code.FILE_UNREADABLE]
        assert "No space left" in str(next(iter(report.failed.values())))
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["SHA256SUMS"]


async def test_a_spool_that_shrinks_under_an_upload(server: ServerProcess, tmp_path: Path) -> None:
    """The source's own failure is told at once, and not tried again as if the network had cut."""
    quin = await new_someone(server, tmp_path / "quin", "quin")
    space_id = await new_space(quin, "Home")
    spool = tmp_path / "spool"
    spool.write_bytes(b"x" * 1000)
    async with quin.session() as session:
        with pytest.raises(Refused) as refused:
            await upload_blob(session.connection, space_id, spool, digest=b"d" * 32, size_bytes=2_000_000)
    assert refused.value.code is Code.FILE_UNREADABLE


async def test_a_camera_adds_and_is_revoked(server: ServerProcess, tmp_path: Path) -> None:
    """A paired camera adds what members read; its code works once; revoked, it adds nothing more."""
    dora = await new_someone(server, tmp_path / "dora", "dora")
    await new_space(dora, "Home")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"from the phone")
    async with dora.space("Home") as space:
        code = await pair_camera(space, "Dora's phone")
    with ProfileFolder(tmp_path / "phone") as folder:
        await add_camera(folder, code.uri)
        again = await add_camera(folder, code.uri)  # as after a lost answer
        assert again.camera_id == code.camera_id
        async with open_camera(folder) as camera:
            await camera_adds(camera, photo)
        async with open_camera(folder) as camera:
            await camera_adds(camera, photo)  # a new process: a new roll, the next counter
    with ProfileFolder(tmp_path / "thief") as folder:
        with pytest.raises(Refused) as refused:
            await add_camera(folder, code.uri)
        assert refused.value.code is Code.CAMERA_ALREADY_BOUND
    async with dora.space("Home") as space:
        assert space.problems == []
        assert [asset.full.name for asset in await _opened(space) if asset.full] == ["p.jpg", "p.jpg"]
        (listed,) = await list_cameras(space)
        assert (listed.name, listed.bound, listed.revoked) == ("Dora's phone", True, False)
        await revoke_camera(space, code.camera_id)
        assert space.state.epoch.number == 2
        assert (await list_cameras(space))[0].revoked
        await add_file(space, photo)  # under the new epoch; the old roll still opens
        await space.sync()
        assert len(await _opened(space)) == 3
    with ProfileFolder(tmp_path / "phone") as folder:
        with pytest.raises(Refused) as refused:
            async with open_camera(folder):
                pass
        assert refused.value.code in (Code.DEVICE_REVOKED, Code.SPACE_UNKNOWN, Code.FORBIDDEN, Code.SESSION_REQUIRED)


async def test_links_show_what_they_were_made_for(server: ServerProcess, tmp_path: Path) -> None:
    """A view-tier link shows previews only; a full one the original, too; a revoked one nothing."""
    emma = await new_someone(server, tmp_path / "emma", "emma")
    await new_space(emma, "Studio", "work")
    photo = tmp_path / "shoot.jpg"
    photo.write_bytes(os.urandom(50_000))
    async with emma.space("Studio") as space, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await add_file(space, photo, preview=b"preview bytes")
        await space.sync()
        assets = await _opened(space)
        await create_album(space, "Proofs")
        album = await find_album(space, "Proofs")
        assert await add_to_album(space, album, assets) == 1
        assert await add_to_album(space, album, assets) == 0
        album = await find_album(space, "Proofs")
        assert [a.asset_count for a in await list_albums(space)] == [1]

        viewing = await create_link(space, album, LinkWish(password="p4ssw0rd", originals=False, label="for B."))
        assert not viewing.originals
        with pytest.raises(Refused) as refused:
            await open_link(http, viewing.url, "wrong")
        assert refused.value.code is Code.LINK_NOT_OPENED
        guest = await open_link(http, viewing.url, "p4ssw0rd")
        (shown,) = guest.assets
        assert {rendition.name for rendition in shown.renditions} == {RenditionName.PREVIEW, RenditionName.THUMBNAIL}
        assert shown.name == ""
        assert (guest.content.title, guest.content.label) == ("Proofs", "")
        assert await guest.see(shown, shown.renditions[0]) == b"preview bytes"
        original = assets[0].ref(RenditionName.ORIGINAL)
        status, _ = await guest.fetch(original.blob)
        assert status == 404

        full = await create_link(space, album, LinkWish())
        assert full.originals
        guest = await open_link(http, full.url)
        (shown,) = guest.assets
        whole = next(r for r in shown.renditions if r.name is RenditionName.ORIGINAL)
        assert await guest.see(shown, whole) == photo.read_bytes()
        assert shown.name == "shoot.jpg"

        listed = await list_links(space)
        assert [link.url for link in listed] == [full.url, viewing.url]
        assert [(link.label, link.has_password) for link in listed] == [("", False), ("for B.", True)]
        await revoke_link(space, full.link_id)
        assert (await guest.fetch(whole.blob))[0] == 410
        with pytest.raises(Refused) as refused:
            await open_link(http, full.url)
        assert refused.value.code is Code.LINK_REVOKED


async def test_a_family_space_gives_no_originals_away(server: ServerProcess, tmp_path: Path) -> None:
    """Where the policy says so, a link has no originals; asking for them is refused with the reason."""
    fred = await new_someone(server, tmp_path / "fred", "fred")
    await new_space(fred, "Family")
    photo = tmp_path / "x.jpg"
    photo.write_bytes(b"x")
    async with fred.space("Family") as space:
        await create_album(space, "A")
        album = await find_album(space, "A")
        with pytest.raises(Refused) as refused:
            await create_link(space, album, LinkWish())
        assert refused.value.code is Code.BAD_REQUEST
        await add_file(space, photo)
        await space.sync()
        await add_to_album(space, album, await _opened(space))
        with pytest.raises(Refused) as refused:
            await create_link(space, album, LinkWish(originals=True))
        assert refused.value.code is Code.POLICY_FORBIDS
        assert not (await create_link(space, album, LinkWish())).originals
