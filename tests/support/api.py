"""A small HTTP client for tests: it sends what it is told to, right or wrong, and shows exactly what came back."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.messages.blobs import BlobStored
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, OpenSession, Session
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed, NewBox
from safelight.sync_protocol.receipts import Receipt, verify_receipt
from safelight.sync_protocol.records import AssetBody
from tests.support.protocol import Blob, Link, Pairing, Person, Signer, Writer, make_asset

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def as_(self, shape: type[T]) -> T:
        """Read the body as *shape*; fails unless the status is a success."""
        assert 200 <= self.status < 300, (self.status, self.body)
        return msgspec.json.decode(self.body, type=shape)

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document."""
        assert self.headers["Content-Type"] == "application/problem+json", (self.status, self.headers, self.body)
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document

    @property
    def code(self) -> str:
        """The refusal's code."""
        code: str = self.problem["code"]
        return code


class Api:
    """One server, as someone with a bearer token (or none) reaches it."""

    def __init__(self, url: str, http: aiohttp.ClientSession, server_key: bytes, token: str = "") -> None:
        self.url = url
        self.http = http
        self.server_key = server_key
        self.token = token

    def with_token(self, token: str) -> "Api":
        """The same server as someone else."""
        return Api(self.url, self.http, self.server_key, token)

    async def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(
            method,
            self.url + path,
            data=io.BytesIO(body) if body and len(body) > 65536 else body,
            headers={**sent, **(headers or {})},
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        """Send a GET request."""
        return await self.send("GET", path, headers=headers)

    async def post(self, path: str, message: Any, method: str = "POST", **headers: str) -> Answer:
        """Send a message as JSON; bytes go as they are."""
        body = message if isinstance(message, bytes) else msgspec.json.encode(message)
        return await self.send(method, path, body, {"Content-Type": "application/json", **headers})

    # Sessions

    async def sign_in(self, signer: Signer) -> "Api":
        """Open a session for a device or camera."""
        device_id = signer.device_id.hex()
        challenge = (await self.post("/v1/sessions/challenge", AskChallenge(device_id))).as_(Challenge).challenge
        message = context(Label.SIGN_SESSION, self.server_key, signer.device_id, challenge)
        request = OpenSession(device_id, challenge, signatures.sign(signer.seed, message))
        return self.with_token((await self.post("/v1/sessions", request)).as_(Session).token)

    # Spaces

    async def create_space(self, writer: Writer, **terms: str) -> Receipt:
        """Commit a genesis."""
        entry, request = writer.genesis(**terms)
        committed = (await self.post("/v1/spaces", request)).as_(Committed)
        receipt = msgspec.msgpack.decode(committed.receipt, type=Receipt)
        writer.took(entry, receipt.number, receipt.chain)
        assert writer.space_id == receipt.space_id
        return receipt

    async def try_commit(self, writer: Writer, entry: Entry, boxes: list[NewBox] | None = None) -> Answer:
        """Send an entry to the space."""
        path = f"/v1/spaces/{writer.space_id.hex()}/commits"
        return await self.post(path, CommitEntry(entry.envelope, boxes or []))

    async def commit(
        self, writer: Writer, entry: Entry, boxes: list[NewBox] | None = None, signer: Signer | None = None
    ) -> Receipt:
        """Commit an entry, verify its receipt, and note its slot."""
        committed = (await self.try_commit(writer, entry, boxes)).as_(Committed)
        receipt = verify_receipt(
            committed.receipt,
            committed.signature,
            self.server_key,
            space_id=writer.space_id,
            entry_id=entry.id,
            blobs=(),
        )
        writer.took(entry, receipt.number, receipt.chain, signer)
        return receipt

    async def pair_camera(
        self, writer: Writer, pairing: Pairing, certifier: Signer | None = None
    ) -> tuple["Api", Signer]:
        """Certify, bind and sign in a camera."""
        await self.commit(writer, pairing.certify(writer, certifier), None, certifier)
        signer = pairing.signer
        entry = pairing.bind(writer, signer)
        path = f"/v1/spaces/{writer.space_id.hex()}/bind"
        committed = (await self.with_token("").post(path, CommitEntry(entry.envelope))).as_(Committed)
        receipt = msgspec.msgpack.decode(committed.receipt, type=Receipt)
        writer.took(entry, receipt.number, receipt.chain, signer)
        return await self.sign_in(signer), signer

    # Blobs

    async def try_upload(self, space_id: bytes, data: bytes, **headers: str) -> Answer:
        """Upload in one request."""
        sent = {"Upload-Complete": "?1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.send("POST", f"/v1/blobs?space={space_id.hex()}", data, sent)

    async def upload(self, space_id: bytes, *blobs: Blob) -> None:
        """Upload blobs, each in one request."""
        for blob in blobs:
            stored = (await self.try_upload(space_id, blob.data, Repr_Digest=repr_digest(blob.data))).as_(BlobStored)
            assert stored == BlobStored(blob.name.hex(), len(blob.data))

    async def add_photo(self, writer: Writer, *blobs: Blob, fingerprint: bytes = b"") -> bytes:
        """Upload an original and its previews and commit them as an asset; returns the asset's id."""
        return (await self.add_asset(writer, *blobs, fingerprint=fingerprint)).asset_id

    async def add_asset(self, writer: Writer, *blobs: Blob, fingerprint: bytes = b"") -> AssetBody:
        """The same; returns the asset."""
        await self.upload(writer.space_id, *blobs)
        await self.commit(writer, writer.open_roll())
        asset = make_asset(*blobs, fingerprint=fingerprint)
        await self.commit(writer, writer.add_assets(asset))
        return asset

    async def publish(self, writer: Writer, link: Link) -> None:
        """Upload a link's page and publish the link."""
        await self.upload(writer.space_id, link.page)
        await self.commit(writer, link.publish(writer))


def repr_digest(data: bytes) -> str:
    """A Repr-Digest header of *data*."""
    return f"sha-256=:{base64.b64encode(Blob(data).name).decode()}:"


__all__ = ["Answer", "Api", "Person", "repr_digest"]
