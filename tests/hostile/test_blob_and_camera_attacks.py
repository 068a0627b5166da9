"""A lying server against blobs, cameras and links."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import pytest

from safelight.clients.engine.album_adding import add_to_album
from safelight.clients.engine.albums import create_album, find_album
from safelight.clients.engine.assets import AssetReader, OpenedAsset
from safelight.clients.engine.cameras import add_camera, open_camera
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.link_making import LinkWish, create_link
from safelight.clients.engine.pairing_codes import pair_camera, revoke_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.retries import Retries
from safelight.clients.engine.space_view import SpaceView
from safelight.sync_protocol import signatures
from safelight.sync_protocol.links import ManifestHead, sign_head
from safelight.sync_protocol.log import Frame, Header, build_entry, frames_from_bytes, frames_to_bytes, parse_entry
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.messages.common import ServerInfo
from safelight.sync_protocol.messages.links import LinkOpened
from safelight.sync_protocol.messages.spaces import SpaceRow
from safelight.sync_protocol.records import AddAssetsBody, RenditionName
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import floe
from safelight.sync_protocol.wire import unpack
from tests.hostile.proxy import Exchange, Proxy, with_envelope
from tests.support.guest import open_link
from tests.support.lone_camera import camera_adds
from tests.support.people import Someone, add_file, new_space

FEW = Retries(attempts=2, first_pause_s=0.01)


async def _one(space: SpaceView) -> OpenedAsset:
    found = [asset async for asset in AssetReader(space).each()]
    assert isinstance(found[0], OpenedAsset)
    return found[0]


def _left_over(folder: Path) -> list[Path]:
    return [*folder.glob("*out*"), *folder.glob(".safelight*")]


def _swap_segments(blob: bytes) -> bytes:
    first, second = floe.HEADER_SIZE_BYTES, floe.HEADER_SIZE_BYTES + floe.SEGMENT_SIZE_BYTES
    third = second + floe.SEGMENT_SIZE_BYTES
    return blob[:first] + blob[second:third] + blob[first:second] + blob[third:]


def _flip(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


CHANGES: dict[str, tuple[Callable[[bytes], bytes], Code]] = {
    "one bit flipped": (lambda b: _flip(b, 300_000), Code.OPEN_FAILED),
    "header flipped": (lambda b: _flip(b, 20), Code.OPEN_FAILED),
    "segments reordered": (_swap_segments, Code.OPEN_FAILED),
    "a segment repeated": (lambda b: b[:262_218] + b[74:262_218] + b[524_362:], Code.OPEN_FAILED),
    "a segment dropped": (lambda b: b[:262_218] + b[524_362:], Code.OPEN_FAILED),
    "truncated": (lambda b: b[:-100], Code.LENGTH_MISMATCH),
    "cut at a segment's end": (lambda b: b[:524_362], Code.LENGTH_MISMATCH),
    "nothing": (lambda b: b"", Code.LENGTH_MISMATCH),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_blob(victim: Someone, proxy: Proxy, tmp_path: Path, change: str) -> None:
    """Blob truncated, flipped, reordered, repeated: refused, and no file appears."""
    tamper, code = CHANGES[change]
    await new_space(victim, "Home")
    photo, out = tmp_path / "p.jpg", tmp_path / "out.jpg"
    photo.write_bytes(secrets.token_bytes(900_000))
    async with victim.space("Home") as space:
        await add_file(space, photo)
        await space.sync()
        asset = await _one(space)
        space.session.connection.retries = FEW

        def lie(exchange: Exchange) -> Exchange:
            start = int(exchange.request_headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            if not start:
                kept.append(exchange.body)
            return replace(exchange, body=tamper(kept[0])[start:])

        kept: list[bytes] = []
        proxy.lie("GET", ".*/blobs/", lie)
        with pytest.raises(Refused) as refused:
            await AssetReader(space).fetch_file(asset, RenditionName.ORIGINAL, out)
        assert refused.value.code is code
        assert _left_over(tmp_path) == []
        proxy.be_honest()
        await AssetReader(space).fetch_file(asset, RenditionName.ORIGINAL, out)
    assert out.read_bytes() == photo.read_bytes()


async def test_renditions_swapped(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """The thumbnail of one asset shown for another's, or its own preview: each opens at its own place only."""
    await new_space(victim, "Home")
    async with victim.space("Home") as space:
        for number in range(2):
            photo = tmp_path / f"{number}.jpg"
            photo.write_bytes(b"same size")
            await add_file(space, photo, preview=b"same size")
        await space.sync()
        found = [asset async for asset in AssetReader(space).each()]
        first, second = (asset for asset in found if isinstance(asset, OpenedAsset))
        for other in (second.ref(RenditionName.THUMBNAIL), first.ref(RenditionName.PREVIEW)):
            path = f"/v1/spaces/{space.space_id.hex()}/blobs/{other.blob.hex()}"

            async def swap(exchange: Exchange, path: str = path) -> Exchange:
                return replace(exchange, body=await proxy.ask(path, exchange.request_headers))

            proxy.lie("GET", f".*/blobs/{first.ref(RenditionName.THUMBNAIL).blob.hex()}", swap)
            with pytest.raises(Refused) as refused:
                await AssetReader(space).fetch_bytes(first, RenditionName.THUMBNAIL)
            assert refused.value.code is Code.OPEN_FAILED
            proxy.be_honest()


async def test_an_upload_that_is_said_to_be_stored(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """A server that stored other bytes than were sent has stored nothing."""
    await new_space(victim, "Home")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")
    proxy.lie("POST", "/v1/blobs", lambda e: e.changed(e.as_(BlobStored), name="ab" * 32))
    async with victim.space("Home") as space:
        with pytest.raises(Refused) as refused:
            await add_file(space, photo)
    assert refused.value.code is Code.UPLOAD_DIGEST_MISMATCH


async def _pairing_uri(victim: Someone, proxy: Proxy) -> str:
    """A pairing code that leads to the lying server."""
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), public_url=proxy.url))
    async with victim.space("Home") as space:
        return (await pair_camera(space, "Phone")).uri


async def _add_camera(path: Path, uri: str) -> Code:
    with ProfileFolder(path) as folder, pytest.raises(Refused) as refused:
        await add_camera(folder, uri)
    return refused.value.code


async def test_a_camera_is_shown_another_ledger(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Inbox replaced, ledger cut short, another space, another server: the camera seals to none of them."""
    await new_space(victim, "Home")
    other = await new_space(victim, "Other")
    uri = await _pairing_uri(victim, proxy)

    def change(exchange: Exchange) -> Exchange:
        frames = list(frames_from_bytes(exchange.body))
        if frames:
            frames[0] = with_envelope(frames[0], _flip(frames[0].envelope, len(frames[0].envelope) * 3 // 4))
        return replace(exchange, body=frames_to_bytes(frames))

    def cut(exchange: Exchange) -> Exchange:
        return replace(exchange, body=frames_to_bytes(list(frames_from_bytes(exchange.body))[:-1]))

    proxy.lie("GET", ".*/pairing/", change)
    assert await _add_camera(tmp_path / "c1", uri) is Code.ENTRY_WRONG_SPACE  # another genesis is another space
    proxy.be_honest()
    proxy.lie("GET", ".*/pairing/", cut)
    assert await _add_camera(tmp_path / "c2", uri) is Code.HISTORY_ROLLED_BACK
    proxy.be_honest()
    genesis: list[Frame] = []

    async with victim.session() as session:
        genesis = await session.connection.fetch_frames(f"/v1/spaces/{other.hex()}/ledger?after=0")

    proxy.lie("GET", ".*/pairing/", lambda e: replace(e, body=frames_to_bytes(genesis)))
    assert await _add_camera(tmp_path / "c3", uri) is Code.ENTRY_WRONG_SPACE
    proxy.be_honest()
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), server_key=secrets.token_bytes(32)))
    assert await _add_camera(tmp_path / "c4", uri) is Code.SERVER_KEY_CHANGED
    proxy.be_honest()
    with ProfileFolder(tmp_path / "c5") as folder:
        await add_camera(folder, uri)


async def test_a_camera_is_shown_an_older_ledger(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """A camera that saw the new epoch does not go back to the inboxes of the old one."""
    space_id = await new_space(victim, "Home")
    uri = await _pairing_uri(victim, proxy)
    with ProfileFolder(tmp_path / "phone") as folder:
        await add_camera(folder, uri)
        async with victim.space("Home") as space:
            await space.rotate_epoch()
        async with open_camera(folder) as camera:
            assert camera.view.state.epoch.number == 2
        base = f"/v1/spaces/{space_id.hex()}"
        proxy.lie(
            "GET", f"{base}/ledger", lambda e: replace(e, body=_up_to(e.body, 3) if e.query["after"] == "0" else b"")
        )
        with pytest.raises(Refused) as refused:
            async with open_camera(folder):
                pass
        assert refused.value.code is Code.HISTORY_ROLLED_BACK
        proxy.lie("GET", f"{base}$", lambda e: e.changed(e.as_(SpaceRow), ledger_number=3))
        with pytest.raises(Refused) as refused:
            async with open_camera(folder):
                pass
        assert refused.value.code is Code.HISTORY_ROLLED_BACK


def _up_to(body: bytes, number: int) -> bytes:
    return frames_to_bytes([frame for frame in frames_from_bytes(body) if frame.number <= number])


async def test_a_record_of_a_revoked_camera(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """A revoked device's record dated back, and a write to an old epoch, are judged at their slot and set aside."""
    space_id = await new_space(victim, "Home")
    uri = await _pairing_uri(victim, proxy)
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")
    with ProfileFolder(tmp_path / "phone") as folder:
        profile = await add_camera(folder, uri)
        async with open_camera(folder) as camera:
            await camera_adds(camera, photo)
    async with victim.space("Home") as space:
        await revoke_camera(space, profile.camera_id)

    def add_late(frames: list[Frame]) -> list[Frame]:
        last = [f for f in frames if parse_entry(f.envelope).header.device_id == profile.camera_id][-1]
        entry = parse_entry(last.envelope)
        header: Header = msgspec.structs.replace(
            entry.header, counter=entry.header.counter + 1, previous_id=entry.id, signed_ms=entry.header.signed_ms + 1
        )
        body = unpack(entry.body, AddAssetsBody)
        body = msgspec.structs.replace(body, assets=[msgspec.structs.replace(body.assets[0], asset_id=b"n" * 16)])
        return [*frames, with_envelope(last, build_entry(header, body, profile.signing_seed))]

    proxy.rewrite_log(space_id, add_late)
    async with victim.space("Home") as space:
        assert [(problem.code, problem.set_aside) for problem in space.problems] == [(Code.SIGNER_UNKNOWN, True)]
        assert len(list(space.index.assets())) == 1


async def test_a_link_manifest_that_its_maker_did_not_sign(victim: Someone, proxy: Proxy, tmp_path: Path) -> None:
    """Link manifest substituted: signed by another key, changed, or of another link, it is not shown."""
    await new_space(victim, "Home")
    photo = tmp_path / "p.jpg"
    photo.write_bytes(b"p")
    proxy.lie("GET", "/v1/server", lambda e: e.changed(e.as_(ServerInfo), public_url=proxy.url))
    async with victim.space("Home") as space:
        await add_file(space, photo, preview=b"preview")
        await space.sync()
        await create_album(space, "A")
        await add_to_album(space, await find_album(space, "A"), [await _one(space)])
        links = [await create_link(space, await find_album(space, "A"), LinkWish()) for _ in range(2)]
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        assert len((await open_link(http, links[0].url)).assets) == 1
        other = (await open_link(http, links[1].url)).opened

        def own_key(exchange: Exchange) -> Exchange:
            opened, seed = exchange.as_(LinkOpened), secrets.token_bytes(32)
            head, signature = sign_head(unpack(opened.head, ManifestHead), seed)
            key = signatures.public_key_of(seed)
            return exchange.changed(opened, head=head, head_signature=signature, publishing_key=key)

        lies: list[Callable[[Exchange], Exchange]] = [
            own_key,
            lambda e: e.changed(e.as_(LinkOpened), head=_flip(e.as_(LinkOpened).head, 60)),
            lambda e: e.with_json(other),
        ]
        for lie in lies:
            proxy.be_honest()
            proxy.lie("POST", ".*/open$", lie)
            with pytest.raises(Refused) as refused:
                await open_link(http, links[0].url)
            assert refused.value.code is Code.MANIFEST_INVALID
        proxy.be_honest()
        proxy.lie("GET", "/v1/links/.*/blobs/", lambda e: replace(e, body=_flip(e.body, 100)))
        with pytest.raises(Refused) as refused:
            await open_link(http, links[0].url)
        assert refused.value.code is Code.MANIFEST_INVALID


async def test_an_answer_without_end(victim: Someone, proxy: Proxy) -> None:
    """A server that fills memory is cut off; one that answers nonsense is no Safelight server."""
    proxy.lie("GET", "/v1/server", lambda e: replace(e, body=b"[" * (17 * 1024 * 1024)))
    async with Connection(proxy.url, retries=FEW) as connection:
        with pytest.raises(Refused) as refused:
            await connection.server_info()
        assert refused.value.code is Code.TOO_LARGE
        proxy.be_honest()
        proxy.lie("GET", "/v1/server", lambda e: replace(e, body=b"[" * 100_000))
        with pytest.raises(Refused) as refused:
            await connection.server_info()
        assert refused.value.code is Code.SERVER_UNREACHABLE
