"""A server whose bucket fails: what people are told, what stays, and that all goes on by itself."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from safelight.server.stores import s3_bucket
from safelight.sync_protocol.messages.blobs import BlobStored
from tests.http.conftest import Owner, StartServer
from tests.support import lying_bucket as lies
from tests.support.api import repr_digest
from tests.support.lying_bucket import Lie, LyingBucket
from tests.support.protocol import Blob, sha256
from tests.support.seaweed import CREDENTIALS, Seaweed
from tests.support.uploads import create, held, offset_of, patch

DATA = os.urandom(100_000)
BUSY = [lies.denies, lies.is_busy, lies.hangs]


@dataclass
class Here:
    """Someone with a space at a server whose bucket lies when it is told to."""

    owner: Owner
    bucket: LyingBucket


@pytest.fixture
async def here(
    start_server: StartServer, seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Here]:
    """A server over such a bucket, that does not wait for long."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3_bucket, "RETRIES", 1)
    monkeypatch.setattr(s3_bucket, "RETRY_TIMEOUT_S", 1)
    async with lies.lying_bucket(seaweed.endpoint) as bucket:
        address = replace(seaweed.address(), endpoint=bucket.endpoint)
        server = await start_server(
            tmp_path / "data",
            blobs=f"s3://{address.bucket}/{address.prefix}",
            s3_endpoint=bucket.endpoint,
            s3_timeout_s=1,
        )
        yield Here(await server.owner(), bucket)


@pytest.mark.parametrize("lie", BUSY)
async def test_an_upload_meets_it(here: Here, lie: Lie) -> None:
    """Nothing is acknowledged, the upload stays where it was, and the same request again completes it."""
    path = (await create(here.owner, Repr_Digest=repr_digest(DATA))).headers["Location"]
    assert (await patch(here.owner, path, 0, DATA[:50_000], "?0")).status == 204
    with here.bucket.lying(lie):
        for complete in ("?0", "?1"):
            answer = await patch(here.owner, path, 50_000, DATA[50_000:], complete)
            assert (answer.status, answer.code) == (503, "storage-unavailable")
        assert (await here.owner.api.send("HEAD", path)).status == 503
        assert not await held(here.owner, DATA)
    assert await offset_of(here.owner, path) == 50_000
    answer = await patch(here.owner, path, 50_000, DATA[50_000:])
    assert answer.as_(BlobStored) == BlobStored(sha256(DATA).hex(), len(DATA))
    assert await held(here.owner, DATA)


@pytest.mark.parametrize("lie", BUSY)
async def test_a_download_meets_it(here: Here, lie: Lie) -> None:
    """A blob that cannot be fetched now is not said to be missing, and is there again when the bucket is."""
    blob = Blob(DATA)
    await here.owner.api.add_photo(here.owner.writer, blob)
    path = f"{here.owner.space}/blobs/{blob.name.hex()}"
    with here.bucket.lying(lie):
        answer = await here.owner.api.get(path)
        assert (answer.status, answer.code) == (503, "storage-unavailable")
    assert (await here.owner.api.get(path)).body == DATA
    assert (await here.owner.api.send("GET", path, b"", {"Range": "bytes=5-9"})).body == DATA[5:10]


@pytest.mark.parametrize("lie", [lies.flips_a_bit, lies.claims_to_have_it])
async def test_a_bucket_that_keeps_other_bytes(here: Here, lie: Lie) -> None:
    """What does not read back is not acknowledged, so that nobody deletes a photograph for it."""
    with here.bucket.lying(lie, "GET|PUT" if lie is lies.claims_to_have_it else "GET", "/blobs/"):
        answer = await create(here.owner, DATA, Upload_Complete="?1", Repr_Digest=repr_digest(DATA))
        assert (answer.status, answer.code) == (503, "storage-unavailable")
    assert not await held(here.owner, DATA)
    assert (await create(here.owner, DATA, Upload_Complete="?1", Repr_Digest=repr_digest(DATA))).status == 200
    assert await held(here.owner, DATA)
