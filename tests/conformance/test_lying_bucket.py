"""A bucket that denies, lies and fails: refusals and bounded retries come of it, and no promise that is not kept."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import obstore
import pytest

from safelight.server.stores import s3_bucket
from safelight.server.stores.blobs_s3 import S3Blobs
from safelight.server.stores.bucket_address import BucketAddress
from safelight.server.stores.s3_bucket import Bucket, BucketRefused
from safelight.server.stores.s3_upload import S3Appender
from safelight.sync_protocol.refusals import Code, Refused
from tests.conformance.library import some_hash, some_id
from tests.conformance.test_blobs import read, store
from tests.conformance.test_mutants import CAUGHT
from tests.support import lying_bucket as lies
from tests.support.lying_bucket import Lie, LyingBucket
from tests.support.seaweed import Seaweed

MIB = 1024 * 1024
TIMEOUT_S = 1
PATIENT_S = 20  # for many bytes, where no timeout is waited for
SIZES = [100, 20 * MIB]  # in one request, and in parts


@pytest.fixture
async def bucket(seaweed: Seaweed) -> AsyncIterator[LyingBucket]:
    """A bucket that lies when it is told to."""
    async with lies.lying_bucket(seaweed.endpoint) as lying:
        yield lying


@pytest.fixture
def address(seaweed: Seaweed, bucket: LyingBucket) -> BucketAddress:
    """A prefix of its own in that bucket."""
    return replace(seaweed.address(), endpoint=bucket.endpoint)


@pytest.fixture
async def blobs(address: BucketAddress, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    """A store there, that does not wait for long."""
    monkeypatch.setattr(s3_bucket, "RETRIES", 2)
    monkeypatch.setattr(s3_bucket, "RETRY_TIMEOUT_S", 1)
    return await S3Blobs.open_at(address, TIMEOUT_S)


@pytest.fixture
async def patient(blobs: S3Blobs, address: BucketAddress) -> S3Blobs:
    """The same for many bytes, which a busy machine takes its time to move: no lie is waited out here."""
    return await S3Blobs.open_at(address, PATIENT_S)


async def refused(work: Awaitable[Any]) -> Code:
    """The code with which *work* is refused."""
    with pytest.raises(Refused) as refusal:
        await work
    return refusal.value.code


async def listed(blobs: S3Blobs) -> list[bytes]:
    """The blobs that the store lists."""
    return [blob.name async for blob in blobs.blobs()]


async def test_one_that_does_not_answer(blobs: S3Blobs, bucket: LyingBucket) -> None:
    """Denied, busy, hanging or nonsense: everything is refused, nothing is absent, and all goes on afterwards."""
    data, upload_id = secrets.token_bytes(2 * MIB), some_id()
    name = await store(blobs, data)
    appender = await blobs.append(upload_id, 0)
    await appender.write(data[:MIB])
    assert await appender.flush() == MIB
    await appender.close()
    failing: list[Lie] = [lies.denies, lies.is_busy, lies.hangs]
    for lie in failing:
        with bucket.lying(lie):
            asked: list[Callable[[], Awaitable[Any]]] = [
                lambda: blobs.open(name),
                lambda: blobs.verify(name),
                lambda: blobs.delete(name),
                lambda: listed(blobs),
                lambda: blobs.part_size_bytes(upload_id),
                lambda: blobs.durable_bytes(upload_id, MIB),
                lambda: blobs.append(upload_id, MIB),
                lambda: blobs.discard(upload_id),
                lambda: store(blobs, b"new"),
            ]
            began = time.monotonic()
            for ask in asked:
                assert await refused(ask()) is Code.STORAGE_UNAVAILABLE
            assert time.monotonic() - began < len(asked) * 6
    assert await read(blobs, name) == data
    appender = await blobs.append(upload_id, await blobs.durable_bytes(upload_id, MIB))
    await appender.write(data[MIB:])
    assert await appender.finish() == (name, len(data))
    await appender.close()


async def test_one_that_is_busy_for_a_moment(blobs: S3Blobs, bucket: LyingBucket) -> None:
    """What passes within a few tries is nobody's business."""
    data = secrets.token_bytes(MIB)
    with bucket.lying(lies.only(2, lies.is_busy), "PUT"):
        name = await store(blobs, data)
    with bucket.lying(lies.only(2, lies.is_busy), "GET"):
        assert await read(blobs, name) == data


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_answers_that_are_lost(blobs: S3Blobs, bucket: LyingBucket, size_bytes: int) -> None:
    """Pieces and blobs whose answer was lost are put again, found there, and taken for what they are: our own."""
    data = secrets.token_bytes(size_bytes)
    with bucket.lying(lies.only(1, lies.loses_the_answer), "PUT", "/uploads/|/blobs/"):
        assert await read(blobs, await store(blobs, data)) == data


@pytest.mark.parametrize("lie", [lies.flips_a_bit, lies.cuts_short, lies.adds_to_the_size, lies.talks_nonsense])
@pytest.mark.parametrize("size_bytes", SIZES)
async def test_a_blob_that_does_not_read_back(patient: S3Blobs, bucket: LyingBucket, size_bytes: int, lie: Lie) -> None:
    """A blob that does not read back as it was sent is not acknowledged; once it does, the same upload is completed."""
    data, upload_id = secrets.token_bytes(size_bytes), some_id()
    appender = await patient.append(upload_id, 0)
    await appender.write(data)
    offset = await appender.flush()
    with bucket.lying(lie, "GET|HEAD", "/blobs/"):
        assert await refused(appender.finish(hashlib.sha256(data).digest())) is Code.STORAGE_UNAVAILABLE
    await appender.close()
    appender = await patient.append(upload_id, await patient.durable_bytes(upload_id, offset))
    assert (await appender.finish())[0] == hashlib.sha256(data).digest()
    await appender.close()
    assert await read(patient, hashlib.sha256(data).digest()) == data


async def test_pieces_that_do_not_read_back(patient: S3Blobs, bucket: LyingBucket) -> None:
    """An upload whose pieces are not what was sent becomes no blob, and nobody goes on from them."""
    data, upload_id = secrets.token_bytes(20 * MIB), some_id()
    appender = await patient.append(upload_id, 0)
    await appender.write(data)
    await appender.flush()
    with bucket.lying(lies.flips_a_bit, "GET", "/uploads/"):
        assert await refused(appender.finish()) is Code.STORAGE_UNAVAILABLE
    await appender.close()
    assert await listed(patient) == []
    assert await patient.part_size_bytes(upload_id) == 0


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_one_that_acknowledges_what_it_throws_away(
    patient: S3Blobs, bucket: LyingBucket, size_bytes: int
) -> None:
    """That a bucket says it has something is not enough: there is no blob that was not read back."""
    with bucket.lying(lies.claims_to_have_it, "PUT|POST"):
        assert await refused(store(patient, secrets.token_bytes(size_bytes))) is Code.STORAGE_UNAVAILABLE
    assert await listed(patient) == []


@pytest.mark.parametrize("size_bytes", SIZES)
async def test_bytes_that_are_spoilt_on_the_way(patient: S3Blobs, bucket: LyingBucket, size_bytes: int) -> None:
    """Every request carries the SHA-256 of its body: the store refuses other bytes, and has nothing to read back."""
    with bucket.lying(lies.spoils_what_is_sent, "PUT"):
        assert await refused(store(patient, secrets.token_bytes(size_bytes))) is Code.STORAGE_UNAVAILABLE
    assert await listed(patient) == []
    assert [part async for part in patient.parts()] == []


@pytest.mark.parametrize("lie", [lies.adds_to_the_size, lies.cuts_short, lies.is_busy])
async def test_a_blob_that_changes_while_it_is_read(blobs: S3Blobs, bucket: LyingBucket, lie: Lie) -> None:
    """Whoever reads a blob gets as many bytes as were promised, or an error; never fewer, as if that were all."""
    data = secrets.token_bytes(12 * MIB)
    reader = await blobs.open(await store(blobs, data))
    assert reader is not None
    assert reader.size_bytes == len(data)
    with bucket.lying(lie, "GET", "/blobs/"):

        async def read_on() -> None:
            async for _ in reader.chunks(5 * MIB, len(data), MIB):
                pass

        if lie is lies.adds_to_the_size:
            assert await blobs.verify(some_hash()) is False
            await read_on()  # the bytes are all there; what the store says of the whole is caught when it is opened
        else:
            assert await refused(read_on()) is Code.STORAGE_UNAVAILABLE


async def test_an_object_replaced_while_it_is_read(seaweed: Seaweed, address: BucketAddress) -> None:
    """Bytes of two versions of an object are never put together."""
    blobs = await S3Blobs.open_at(address, PATIENT_S)
    data = secrets.token_bytes(12 * MIB)
    name = await store(blobs, data)
    reader = await blobs.open(name)
    assert reader is not None
    key = f"blobs/{name.hex()[:2]}/{name.hex()}"
    await obstore.put_async(seaweed.store(address), key, secrets.token_bytes(len(data)))
    assert await refused(anext(reader.chunks(5 * MIB, len(data), MIB).__aiter__())) is Code.STORAGE_UNAVAILABLE
    assert not await blobs.verify(name)
    await store(blobs, data)  # whoever uploads it again heals it
    assert await read(blobs, name) == data
    await blobs.close()


async def test_two_servers_at_one_upload(blobs: S3Blobs, address: BucketAddress) -> None:
    """Of two servers that go on at the same offset one is told no; the upload goes on from what the other put."""
    other = await S3Blobs.open_at(address, TIMEOUT_S)
    data, upload_id = secrets.token_bytes(3 * MIB), some_id()
    appenders = [await each.append(upload_id, 0) for each in (blobs, other)]
    await appenders[0].write(data[:MIB])
    await appenders[1].write(data[: 2 * MIB])
    outcomes = await asyncio.gather(*(appender.flush() for appender in appenders), return_exceptions=True)
    lost = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    [offset] = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert [refusal.code for refusal in lost] == [Code.UPLOAD_OFFSET_MISMATCH]
    for appender in appenders:
        await appender.close()
    for each in (blobs, other):
        assert await each.durable_bytes(upload_id, 0) == offset
    appender = await other.append(upload_id, offset)
    await appender.write(data[offset:])
    name, _ = await appender.finish()
    await appender.close()
    assert name == hashlib.sha256(data).digest()
    assert await read(blobs, name) == data


async def test_a_server_that_wakes_up_lets_nothing_count(patient: S3Blobs, address: BucketAddress) -> None:
    """What a server held back, froze over and still puts later is never taken for what another one verified."""
    other, upload_id = await S3Blobs.open_at(address, PATIENT_S), some_id()
    frozen = await patient.append(upload_id, 0)
    frozen.hold_back()
    await frozen.write(secrets.token_bytes(9 * MIB))
    data = secrets.token_bytes(9 * MIB)
    appender = await other.append(upload_id, 0)
    appender.hold_back()
    await appender.write(data)
    assert await appender.flush() == len(data)
    await frozen.write(secrets.token_bytes(9 * MIB))
    await appender.close()
    assert await other.durable_bytes(upload_id, 0) == len(data)
    with pytest.raises(Refused) as refusal:
        await frozen.flush()
    assert refusal.value.code is Code.UPLOAD_OFFSET_MISMATCH
    await frozen.close()
    assert await patient.durable_bytes(upload_id, 0) == len(data)
    appender = await patient.append(upload_id, len(data))
    assert await appender.name() == hashlib.sha256(data).digest()
    await appender.close()
    assert [part.upload_id async for part in patient.parts()] == [upload_id]


async def test_a_mutant_that_holds_nothing_back(patient: S3Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pieces are put among those that count at once, what was never verified counts."""
    monkeypatch.setattr(S3Appender, "hold_back", lambda _: None)
    appender = await patient.append(upload_id := some_id(), 0)
    appender.hold_back()
    await appender.write(secrets.token_bytes(9 * MIB))
    await appender.close()
    assert await patient.durable_bytes(upload_id, 0) == 9 * MIB


async def test_another_server_completes_it(blobs: S3Blobs, address: BucketAddress) -> None:
    """Each request of an upload may meet another server; the hash is that of all bytes, wherever they arrived."""
    servers = [blobs, await S3Blobs.open_at(address, TIMEOUT_S), await S3Blobs.open_at(address, TIMEOUT_S)]
    data, upload_id, offset = secrets.token_bytes(11 * MIB), some_id(), 0
    for turn, end in enumerate((MIB, 2 * MIB, 5 * MIB, 5 * MIB, 11 * MIB)):
        server = servers[turn % len(servers)]
        assert await server.durable_bytes(upload_id, 0) == offset
        appender = await server.append(upload_id, offset)
        await appender.write(data[offset:end])
        offset = await appender.flush()
        await appender.close()
    for digest in (some_hash(), hashlib.sha256(data).digest()):
        appender = await servers[0].append(upload_id, offset)
        if digest != hashlib.sha256(data).digest():
            assert await appender.name() == hashlib.sha256(data).digest()
        else:
            assert await appender.finish(digest) == (digest, len(data))
        await appender.close()
    assert await read(servers[1], hashlib.sha256(data).digest()) == data


async def test_without_conditional_writes(
    bucket: LyingBucket, address: BucketAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that knows no conditional writes is found out at the start, and one server can work with it."""
    with bucket.lying(lies.knows_no_conditions, "PUT"):
        blobs = await S3Blobs.open_at(address, TIMEOUT_S)
        assert "one server process" in blobs.lacks[0]
        assert not blobs.bucket.conditional
        data = secrets.token_bytes(MIB)
        names = [await store(blobs, data) for _ in range(2)]
        assert await read(blobs, names[0]) == data
        assert await blobs.bucket.put_new("one", b"first")
        assert not await blobs.bucket.put_new("one", b"second")


@pytest.mark.parametrize(
    ("method", "path", "lie", "said"),
    [
        (".*", "", lies.denies, "AWS_ACCESS_KEY_ID"),
        ("PUT", "", lies.denies, "AWS_ACCESS_KEY_ID"),
        (".*", "", lies.hangs, "no answer in time"),
        (".*", "", lies.is_busy, "503 SlowDown"),
        (".*", "", lies.talks_nonsense, "no answer of S3"),
        ("PUT", "", lies.claims_to_have_it, "does not give back"),
        ("GET", "/probe/", lies.flips_a_bit, "does not give back"),
        ("GET", "list-type", lies.denies, "see the log"),
        ("DELETE|POST", "", lies.keeps_what_is_deleted, "still has what was deleted"),
    ],
)
async def test_at_the_start(
    bucket: LyingBucket,
    address: BucketAddress,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    lie: Lie,
    said: str,
) -> None:
    """A bucket that cannot keep photographs is refused when the server starts, with a sentence that says what to do."""
    monkeypatch.setattr(s3_bucket, "RETRIES", 1)
    monkeypatch.setattr(s3_bucket, "RETRY_TIMEOUT_S", 1)
    with bucket.lying(lie, method, path), pytest.raises(BucketRefused) as refusal:
        await S3Blobs.open_at(address, TIMEOUT_S)
    assert said in str(refusal.value)


async def test_there_is_no_bucket(seaweed: Seaweed) -> None:
    """Nothing is made where nothing is: the person is told which bucket is missing."""
    with pytest.raises(BucketRefused):
        await S3Blobs.open_at(BucketAddress("no.such.bucket", "x", "http://127.0.0.1:1"), TIMEOUT_S)


# Stores that are broken on purpose; the tests above, or those of all stores, must notice.


async def _believed(blobs: S3Blobs, key: str, size_bytes: int) -> bytes:
    return bytes.fromhex(key.rpartition("/")[2])


async def _put_anyway(bucket: Bucket, key: str, data: bytes) -> bool:
    await bucket.put_over(key, data)
    return True


async def _put_later(bucket: Bucket, key: str, data: bytes) -> bool:
    if "/" in key and key.startswith("uploads/"):
        return True
    await bucket.put_over(key, data)
    return True


async def _absent(bucket: Bucket, key: str, start: int, end: int, etag: str | None = None) -> None:
    return None


@pytest.mark.parametrize(
    ("owner", "name", "broken", "trial"),
    [
        (S3Blobs, "_hash_of", _believed, "read back"),
        (S3Blobs, "_hash_of", _believed, "thrown away"),
        (Bucket, "put_new", _put_anyway, "two servers"),
        (Bucket, "put_new", _put_later, "stated"),
        (Bucket, "get", _absent, "no answer"),
    ],
)
async def test_mutants(
    blobs: S3Blobs,
    bucket: LyingBucket,
    address: BucketAddress,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    broken: Any,
    trial: str,
) -> None:
    """A store that believes what it is told, overwrites, states what is not there, or takes a failure for absence."""

    async def stated() -> None:
        appender = await blobs.append(upload_id := some_id(), 0)
        await appender.write(b"some bytes")
        assert await appender.flush() == 10
        assert await blobs.part_size_bytes(upload_id) == 10

    trials: dict[str, Callable[[], Awaitable[None]]] = {
        "read back": lambda: test_a_blob_that_does_not_read_back(blobs, bucket, SIZES[0], lies.flips_a_bit),
        "thrown away": lambda: test_one_that_acknowledges_what_it_throws_away(blobs, bucket, SIZES[0]),
        "two servers": lambda: test_two_servers_at_one_upload(blobs, address),
        "stated": stated,
        "no answer": lambda: test_one_that_does_not_answer(blobs, bucket),
    }
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(CAUGHT):
        await trials[trial]()


async def test_a_mutant_that_does_not_compare_pieces(
    blobs: S3Blobs, bucket: LyingBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that publishes pieces without hashing what it reads of them is caught."""

    async def trusting(appender: S3Appender, digest: bytes | None) -> tuple[bytes, int]:
        name = await appender._name()
        data = bytearray()
        for piece in appender._pieces:
            async for read_back in appender._piece(piece):
                data += read_back
        await blobs.bucket.put_over(f"blobs/{name.hex()[:2]}/{name.hex()}", bytes(data))
        return name, len(data)

    monkeypatch.setattr(S3Appender, "_finish", trusting)
    with pytest.raises(CAUGHT):
        await test_pieces_that_do_not_read_back(blobs, bucket)
