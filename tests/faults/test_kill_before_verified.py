"""A server that is killed while content comes whose digest was stated: what nobody could verify does not count."""

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import obstore
import pytest

from safelight.sync_protocol.messages.blobs import BlobStored
from tests.faults.client import Client, server_key_of
from tests.faults.promises import Promises
from tests.http.conftest import Owner
from tests.support.api import Api
from tests.support.protocol import Writer
from tests.support.seaweed import Seaweed
from tests.support.server_process import server_process
from tests.support.uploads import appending, create, held, length, offset_of, patch

pytestmark = pytest.mark.timeout(300)
MIB = 1024 * 1024


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def digest(data: bytes) -> str:
    """A digest as a field has it."""
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


async def test_on_a_bucket(seaweed: Seaweed, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """*Damaged bytes that a crash makes good*: after `kill -9` the upload is where it was, and goes on from there."""
    address = seaweed.address()
    options = ("--blobs", f"s3://{address.bucket}/{address.prefix}", "--s3-endpoint", seaweed.endpoint)
    begun, damaged, data = os.urandom(1000), os.urandom(20 * MIB), os.urandom(20 * MIB)
    async with AsyncExitStack() as connections:
        with server_process(tmp_path / "data", *options) as server:
            client = Client(Api(server.url, http, await server_key_of(server.url, http)), Promises())
            person = await client.join(server.data)
            writer = Writer(person, person.signer)
            await client.create_space(writer)
            owner = Owner(person, client.api, writer)
            path = (await create(owner, begun)).headers["Location"]
            headers = {**length(len(data)), "Content-Digest": digest(data)}
            sending = appending(owner, path, headers, damaged[: 18 * MIB], offset=len(begun))
            await connections.enter_async_context(sending)
            # Two pieces of what comes now are in the bucket, besides the one from before.
            while len([meta for page in obstore.list(seaweed.store(address), "uploads") for meta in page]) < 3:  # noqa: ASYNC110 - a bucket rings no bell
                await asyncio.sleep(0.05)
            server.kill()
    with server_process(tmp_path / "data", *options) as server:
        owner.api = await Api(server.url, http, owner.api.server_key).sign_in(person.signer)
        assert await offset_of(owner, path) == len(begun)
        answer = await patch(owner, path, len(begun), data, Content_Digest=digest(data))
        whole = begun + data
        assert answer.as_(BlobStored) == BlobStored(hashlib.sha256(whole).hexdigest(), len(whole))
        assert await held(owner, whole)
