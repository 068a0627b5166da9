"""What it is worth that commits wait together: single-asset commits over HTTP, 64 at once against one after another.

`python -m bench.http_commits [--waiting 64] [--rounds 3] [--repeats 5]` prints medians; exits 1 below a floor of 4.
Everything is signed and encoded beforehand, so that the server is what is measured. Both ways take turns in one run.
"""

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from bench.clients import Kept, bearer
from bench.support import PASSWORD, Installation, installation, with_camera
from safelight.clients.engine.account_session import open_account
from safelight.clients.engine.cameras import CameraSession, add_camera, open_camera
from safelight.clients.engine.device_session import DeviceKey
from safelight.clients.engine.files import seal_bytes
from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.pairing_codes import pair_camera
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.rolls import Roll
from safelight.clients.engine.spaces import find_space
from safelight.clients.engine.uploads import upload_blob
from safelight.sync_protocol.log import ENTRY_VERSION, Header, build_entry, parse_entry
from safelight.sync_protocol.messages.spaces import CommitEntry
from safelight.sync_protocol.records import AddAssetsBody, FullPart, RecordKind, RenditionName, ViewPart

FLOOR = 4.0


@dataclass
class Line:
    """One camera's connection, and its commits, ready to send in order."""

    requests: list[bytes]
    connection: Kept
    sent: int = 0

    async def commit(self) -> None:
        """Send the next commit and read its answer."""
        self.sent += 1
        await self.connection.ask(self.requests[self.sent - 1])


async def signed_commits(camera: CameraSession, count: int) -> list[bytes]:
    """Open a roll, upload one blob, and sign *count* entries that each add one asset of it."""
    roll = Roll(inboxes_of(camera.view.state), camera.profile.camera_id, opened_ms=int(time.time() * 1000))
    await camera.committer.commit(RecordKind.OPEN_ROLL, roll.body)
    sealed = seal_bytes(roll.new_asset(), RenditionName.ORIGINAL, b"a photograph")
    if not isinstance(sealed.source, bytearray):
        raise TypeError("a small file is sealed in memory")
    await upload_blob(
        camera.connection,
        camera.profile.space_id,
        sealed.source,
        digest=sealed.ref.blob,
        size_bytes=sealed.ref.size_bytes,
    )
    position, envelopes = camera.memory.position, list[bytes]()
    counter, previous_id = position.counter, position.entry_id
    full = FullPart("photograph.jpg", sealed.sha256, 12, "image/jpeg", 0)
    for _ in range(count):
        asset = roll.new_asset().finish([sealed.ref], ViewPart("photo"), full)
        counter += 1
        header = Header(
            version=ENTRY_VERSION,
            critical=True,
            kind=RecordKind.ADD_ASSETS.value,
            space_id=camera.profile.space_id,
            author_id=camera.profile.camera_id,
            device_id=camera.profile.camera_id,
            counter=counter,
            previous_id=previous_id,
            ledger=camera.view.ledger_head,
            log=camera.memory.log,
            signed_ms=int(time.time() * 1000),
        )
        envelopes.append(build_entry(header, AddAssetsBody(roll.roll_id, [asset]), camera.profile.signing_seed))
        previous_id = parse_entry(envelopes[-1]).id
    roll.close()
    return envelopes


async def commit_requests(camera: CameraSession, count: int) -> list[bytes]:
    """Prepare *count* commits of one camera as whole HTTP requests."""
    token = await bearer(camera.connection, DeviceKey(camera.profile.camera_id, camera.profile.signing_seed))
    head = (
        f"POST /v1/spaces/{camera.profile.space_id.hex()}/commits HTTP/1.1\r\n"
        f"Host: {urlsplit(str(camera.connection.url)).netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    bodies = [msgspec.json.encode(CommitEntry(envelope)) for envelope in await signed_commits(camera, count)]
    return [head + f"{len(body)}\r\n\r\n".encode() + body for body in bodies]


async def pair_many(made: Installation, count: int, name: str = "Family") -> list[ProfileFolder]:
    """Certify *count* cameras of the space *name* in one go and bind each in a profile of its own."""
    with ProfileFolder(made.folder / "owner") as folder:
        async with open_account(folder, PASSWORD) as account:
            with await find_space(account, name) as space:
                codes = [(await pair_camera(space, f"camera {number}")).uri for number in range(count)]
    folders = [ProfileFolder(made.folder / f"{name} {number}") for number in range(count)]
    for folder, code in zip(folders, codes, strict=True):
        with folder:
            await add_camera(folder, code)
    return folders


async def measure(made: Installation, waiting: int, rounds: int, repeats: int) -> float:
    """Print the table; return the median ratio of the two rates."""
    folders = await pair_many(made, waiting)
    prepared = []
    for folder in folders:
        with folder:
            async with open_camera(folder) as camera:
                prepared.append(await commit_requests(camera, 1 + 2 * rounds * repeats))
    # Only now: a server closes a connection that asks nothing for half a minute.
    lines = [Line(requests, await Kept.open(made.url)) for requests in prepared]
    await asyncio.gather(*(line.commit() for line in lines))
    ratios, alone, together = [], list[float](), list[float]()
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(rounds):
            for line in lines:
                await line.commit()
        alone.append(rounds * waiting / (time.perf_counter() - started))
        started = time.perf_counter()
        await asyncio.gather(*(_several(line, rounds) for line in lines))
        together.append(rounds * waiting / (time.perf_counter() - started))
        ratios.append(together[-1] / alone[-1])
    print(f"single-asset commits over HTTP, medians of {repeats} repeats of {rounds * waiting}")
    print(f"one after another  {statistics.median(alone):8.0f} a second")
    print(f"{waiting} at once         {statistics.median(together):8.0f} a second")
    print(f"ratio              {statistics.median(ratios):8.1f} (floor {FLOOR})")
    return statistics.median(ratios)


async def _several(line: Line, count: int) -> None:
    for _ in range(count):
        await line.commit()


def main() -> int:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with installation() as made:
        with_camera(made)
        ratio = asyncio.run(measure(made, options.waiting, options.rounds, options.repeats))
    return 0 if ratio >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
