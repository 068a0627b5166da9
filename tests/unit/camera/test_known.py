"""What counts as "have it": only what a signed record proves, by a device in good standing now."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from safelight.clients.camera.known import KnownFiles
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RevokeCameraBody, RotateEpochBody
from safelight.sync_protocol.log import Frame
from safelight.sync_protocol.messages.spaces import AskFingerprints, KnownFingerprint, KnownFingerprints
from safelight.sync_protocol.records import AddAssetsBody, AssetBody, RecordKind, RenditionName, RenditionRef
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.wire import pack
from tests.support.grants import ALBUM, album_assets, share
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tests.support.upload_ledgers import bound, upload_link

FINGERPRINT = seed_of("fingerprint")


def _asset(fingerprint: bytes, name: str = "a") -> AssetBody:
    original = RenditionRef(RenditionName.ORIGINAL, id_of(f"rendition {name}"), seed_of(f"blob {name}"), 100, bytes(74))
    return AssetBody(id_of(f"asset {name}"), fingerprint, [original], b"wrap", b"wrap", b"view", b"full")


def _add(space: Space, signer: Signer, *fingerprints: bytes) -> Frame:
    assets = [_asset(fingerprint, str(number)) for number, fingerprint in enumerate(fingerprints)]
    body = AddAssetsBody(id_of("roll"), assets)
    return space.take(space.entry(RecordKind.ADD_ASSETS, body, signer), signer)


@dataclass
class Server:
    """Answers as it is told to, and remembers what it was asked."""

    frames: list[Frame] = field(default_factory=list)
    claimed: list[bytes] = field(default_factory=list)
    asked: list[list[bytes]] = field(default_factory=list)
    too_large_above: int = 10_000
    refusal: Refused | None = None

    async def request(self, method: str, path: str, body: AskFingerprints, shape: type[Any]) -> KnownFingerprints:
        """One question."""
        assert (method, shape) == ("POST", KnownFingerprints)
        assert path.endswith("/fingerprints")
        self.asked.append(body.fingerprints)
        await asyncio.sleep(0)
        if self.refusal:
            raise self.refusal
        if len(body.fingerprints) > self.too_large_above:
            raise Refused(Code.TOO_LARGE)
        known = [KnownFingerprint(claimed, 1) for claimed in self.claimed]
        return KnownFingerprints(known, [pack(frame) for frame in self.frames])


@pytest.fixture
def space() -> Space:
    """A space with its owner."""
    return Space(Person("owner")).create()


def _known(space: Space, server: Server) -> KnownFiles:
    async def holds(number: int, entry_id: bytes) -> bool:
        return any((frame.number, frame.entry_id) == (number, entry_id) for frame in space.frames)

    return KnownFiles(server, space.state.space_id, lambda: space.state, holds)  # type: ignore[arg-type]  # stands in


async def test_a_proved_file_is_known(space: Space) -> None:
    """A record by a bound camera, with the fingerprint in it, proves that the file is there."""
    server = Server([_add(space, space.camera(), FINGERPRINT)], [FINGERPRINT])
    assert await _known(space, server).has(FINGERPRINT)


async def test_what_went_into_an_album_is_known_when_its_keys_are_others(space: Space) -> None:
    """*Every picture uploaded again*: a record proves its files, whatever became of its album and the camera's aim."""
    share(space)
    camera = space.camera()
    space.take(space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(camera.device_id, ALBUM)))
    body = album_assets(assets=[_asset(FINGERPRINT)])
    frame = space.take(space.entry(RecordKind.ADD_ALBUM_ASSETS, body, camera), camera)
    space.take(space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(camera.device_id, b"")))
    space.take(space.entry(LedgerKind.ROTATE_EPOCH, RotateEpochBody(space.next_epoch())))
    assert await _known(space, Server([frame], [FINGERPRINT])).has(FINGERPRINT)


@pytest.mark.parametrize(
    "shown",
    [
        "nothing",
        "a record of a later version",
        "an asset twice",
        "another fingerprint",
        "a changed record",
        "a stranger's",
        "a guest's",
        "a contributor's",
        "a ledger entry",
        "noise",
        "a record kept out of the log",
        "a record in another's slot",
    ],
)
async def test_a_claim_without_proof_is_nothing(space: Space, shown: str) -> None:
    """*A poisoned fingerprint makes a phone skip a photograph*: whatever the server shows, the file is uploaded."""
    camera = space.camera()
    server = Server(claimed=[FINGERPRINT])
    if shown == "another fingerprint":
        server.frames = [_add(space, camera, seed_of("other"))]
    elif shown == "a changed record":
        frame = _add(space, camera, seed_of("other"))
        changed = frame.envelope.replace(seed_of("other"), FINGERPRINT)
        server.frames = [msgspec.structs.replace(frame, envelope=changed)]
    elif shown == "a stranger's":
        stranger = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))
        body = AddAssetsBody(id_of("roll"), [_asset(FINGERPRINT)])
        entry = space.entry(RecordKind.ADD_ASSETS, body, stranger)
        server.frames = [Frame(9, 0, seed_of("chain"), entry.id, entry.envelope)]
    elif shown == "a guest's":
        upload_link(space)
        server.frames = [_add(space, bound(space), FINGERPRINT)]
    elif shown == "a contributor's":
        server.frames = [_add(space, member(space, Person("carl"), Role.CONTRIBUTOR), FINGERPRINT)]
    elif shown == "a ledger entry":
        server.frames = [space.frames[0]]
    elif shown in ("a record kept out of the log", "a record in another's slot"):
        entry = space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [_asset(FINGERPRINT)]), camera)
        number = space.log.number + (shown == "a record kept out of the log")
        server.frames = [Frame(number, 0, space.frames[-1].chain, entry.id, entry.envelope)]
    elif shown == "a record of a later version":
        body = AddAssetsBody(id_of("roll"), [_asset(FINGERPRINT)])
        server.frames = [space.take(space.entry(RecordKind.ADD_ASSETS, body, camera, version=2), camera)]
    elif shown == "an asset twice":
        body = AddAssetsBody(id_of("roll"), [_asset(FINGERPRINT)] * 2)
        server.frames = [space.take(space.entry(RecordKind.ADD_ASSETS, body, camera), camera)]
    elif shown == "noise":
        server.frames = [Frame(1, 0, bytes(32), bytes(32), b"noise")]
    assert not await _known(space, server).has(FINGERPRINT)


async def test_a_record_of_another_space_proves_nothing(space: Space) -> None:
    """A genuine record that was signed for another space is no proof in this one."""
    other = Space(Person("other owner")).create()
    server = Server([_add(other, other.signer, FINGERPRINT)], [FINGERPRINT])
    assert not await _known(space, server).has(FINGERPRINT)


async def test_a_device_that_was_revoked_proves_nothing_more(space: Space) -> None:
    """What a camera added stops counting when the camera is revoked, also where it was proved before."""
    server = Server([_add(space, space.camera(), FINGERPRINT)], [FINGERPRINT])
    known = _known(space, server)
    assert await known.has(FINGERPRINT)
    body = RevokeCameraBody(id_of("camera phone"), space.next_epoch())
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    assert not await known.has(FINGERPRINT)


async def test_a_record_alone_is_no_claim(space: Space) -> None:
    """What a record proves and the server does not claim is uploaded: it may have been deleted since."""
    server = Server([_add(space, space.camera(), FINGERPRINT)], [])
    assert not await _known(space, server).has(FINGERPRINT)


async def test_questions_gather(space: Space) -> None:
    """Questions that come while one is under way go together; each gets its own answer."""
    prints = [seed_of(str(number)) for number in range(20)]
    server = Server([_add(space, space.camera(), *prints[::2])], prints[::2])
    known = _known(space, server)
    answers = await asyncio.gather(*(known.has(one) for one in prints))
    assert answers == [number % 2 == 0 for number in range(20)]
    assert len(server.asked) <= 2


async def test_a_question_whose_answer_is_too_large_is_halved(space: Space) -> None:
    """Records of many assets are long: where the answer would be too long, fewer are asked at once."""
    prints = [seed_of(str(number)) for number in range(20)]
    server = Server([_add(space, space.camera(), *prints)], prints, too_large_above=3)
    known = _known(space, server)
    assert all(await asyncio.gather(*(known.has(one) for one in prints)))


async def test_a_refusal_reaches_everyone_who_asked(space: Space) -> None:
    """A refused question is refused to all who asked, and the next one is asked anew."""
    server = Server(refusal=Refused(Code.DEVICE_REVOKED))
    known = _known(space, server)
    answers = await asyncio.gather(*(known.has(seed_of(str(n))) for n in range(4)), return_exceptions=True)
    assert [answer.code for answer in answers if isinstance(answer, Refused)] == [Code.DEVICE_REVOKED] * 4
    server.refusal = None
    assert not await known.has(FINGERPRINT)


async def test_it_knows_when_most_is_new(space: Space) -> None:
    """After an answer in which most was new, small files may be sealed before they are asked for."""
    server = Server([_add(space, space.camera(), FINGERPRINT)], [FINGERPRINT])
    known = _known(space, server)
    seen = [known.mostly_new]
    for fingerprint in (seed_of("new"), FINGERPRINT):
        await known.has(fingerprint)
        seen.append(known.mostly_new)
    assert seen == [False, True, False]
