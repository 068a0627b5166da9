"""The main path over HTTP: an account, a space, a camera, photographs in, photographs out, a link."""

import os

from safelight.sync_protocol.log import frames_from_bytes
from safelight.sync_protocol.messages.links import LinkOpened, OpenLink
from safelight.sync_protocol.messages.spaces import SpaceRow
from tests.http.conftest import Server
from tests.support.protocol import Blob, Link, Pairing, make_asset


async def test_a_photograph_goes_in_through_a_camera_and_out_to_its_owner_and_a_guest(server: Server) -> None:
    """What the camera uploads and commits, the owner reads and a guest of a link sees, byte for byte."""
    owner = await server.owner()
    camera, signer = await owner.api.pair_camera(owner.writer, Pairing())
    original, preview = Blob(os.urandom(300_000)), Blob(os.urandom(20_000))
    await camera.upload(owner.writer.space_id, original, preview)
    await camera.commit(owner.writer, owner.writer.open_roll(signer), signer=signer)
    entry = owner.writer.add_assets(make_asset(original, preview), signer=signer)
    receipt = await camera.commit(owner.writer, entry, signer=signer)
    assert {original.name, preview.name} <= set(receipt.blobs)

    row = (await owner.api.get(owner.space)).as_(SpaceRow)
    assert row.number == receipt.number
    assert 320_000 < row.used_bytes < 340_000  # the entries count, too
    feed = await owner.api.get(f"{owner.space}/log?after=0")
    assert [frame.number for frame in frames_from_bytes(feed.body)] == [1, 2, 3, 4, 5]
    assert (await owner.api.get(f"{owner.space}/blobs/{original.name.hex()}")).body == original.data

    link = Link(Blob(os.urandom(5000)), view=[preview])
    await owner.api.publish(owner.writer, link)
    guest = server.api
    answer = await guest.post(f"/v1/links/{link.link_id.hex()}/open", OpenLink(link.token))
    assert answer.as_(LinkOpened).head == link.body(owner.writer).head or answer.status == 200
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    blobs = f"/v1/links/{link.link_id.hex()}/blobs"
    assert (await guest.get(f"{blobs}/{preview.name.hex()}", Cookie=cookie)).body == preview.data
    assert (await guest.get(f"{blobs}/{original.name.hex()}", Cookie=cookie)).code == "not-found"
