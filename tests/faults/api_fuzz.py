"""Requests that our OpenAPI document allows and that it does not, and whether the answers are those that it promises.

Three kinds: what schemathesis makes of the document, positive and negative, and what was really sent while the world of
the tests was made, with something changed in it. Paths name what is there about half of the time; uploads that an
answer names are asked for later.
"""

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import Failure, FailureGroup

from tests.support.api import Answer, Api
from tests.support.everyone import Caller, World

ROLES = ("nobody", "owner", "previewer", "camera", "guest", "ticket")
# A server whose storage works has no reason for any 5xx, though its document has to name some.
_CHECKS: list[Any] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
_ODD: list[Any] = [None, True, -1, 0, 2**53, 2**64, 1e300, "", "\x00", "é" * 40, "A" * 43 + "=", "0" * 32, [], {}, [[]]]
_NO_UPLOAD = "0" * 32
_JSON, _PIECE = "application/json", "application/partial-upload"
schemathesis.serializer.alias(_PIECE, "application/octet-stream")


class Found(AssertionError):
    """An answer that the document does not know."""


@dataclass
class Sent:
    """What was really sent, by method and pattern of the path."""

    bodies: dict[str, list[Any]] = field(default_factory=dict)

    def note(self, method: str, path: str, body: bytes | None) -> None:
        """Keep a body that is JSON."""
        pattern = re.sub(r"[0-9a-f]{32,64}|(?<=/boxes/)\d+", "*", path.partition("?")[0])
        if body and body[:1] == b"{" and "blobs" not in pattern:
            self.bodies.setdefault(f"{method} {pattern}", []).append(json.loads(body))

    def of(self, method: str, path: str) -> list[Any]:
        """Bodies sent to a path of the document."""
        return self.bodies.get(f"{method} {re.sub(r'{[^}]*}', '*', path)}", [])


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Note what the tests' client sends."""
    sent, send = Sent(), Api.send

    async def noted(api: Api, method: str, path: str, body: bytes | None = None, headers: Any = None) -> Answer:
        sent.note(method, path, body)
        return await send(api, method, path, body, headers)

    with monkeypatch.context() as patched:
        patched.setattr(Api, "send", noted)
        yield sent


def changed(document: Any, chance: random.Random) -> Any:
    """*document* with one thing in it changed: a field gone, doubled, odd, or a few bits of what it carries."""
    if isinstance(document, dict) and document:
        name = chance.choice(sorted(document))
        if chance.random() < 0.1:
            return {key: value for key, value in document.items() if key != name}
        return {**document, name: changed(document[name], chance)}
    if isinstance(document, list) and document and chance.random() < 0.9:
        at = chance.randrange(len(document))
        if chance.random() < 0.2:
            return document + document[at : at + 1] * chance.choice([1, 3, 1100])
        return [*document[:at], changed(document[at], chance), *document[at + 1 :]]
    if isinstance(document, str) and len(document) > 20 and chance.random() < 0.8:
        return _damaged(document, chance)
    return chance.choice(_ODD)


def _damaged(text: str, chance: random.Random) -> str:
    try:
        data = bytearray(base64.b64decode(text, validate=True))
    except ValueError:
        return text[: chance.randrange(len(text))]
    match chance.randrange(3):
        case 0:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 1:
            del data[chance.randrange(len(data)) :]
        case _:
            at = chance.randrange(len(data))
            data[at:at] = chance.randbytes(chance.choice([1, 4, 300]))
    return base64.b64encode(data).decode()


@dataclass
class Fuzz:
    """One server, asked as one caller."""

    world: World
    caller: Caller
    sent: Sent
    document: dict[str, Any]
    counts: dict[int, int] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=lambda: [_NO_UPLOAD])
    found: dict[str, str] = field(default_factory=dict)

    def run(self, examples: int, number: int, sign_in: Callable[[], str]) -> None:
        """Send so many requests to each route; *sign_in* gives a token in the place of one that a request ended.

        Raises Found at the end, with one example of each kind.
        """
        schema: Any = schemathesis.openapi.from_dict(self.document)
        with requests.Session() as session:
            for found in schema.get_all_operations():
                self._run(found.ok(), session, examples, number, sign_in)
        if self.found:
            raise Found("\n".join(self.found.values()))

    def _run(
        self, operation: Any, session: requests.Session, examples: int, number: int, sign_in: Callable[[], str]
    ) -> None:
        bodies = self.sent.of(operation.method.upper(), operation.path)
        made = [operation.as_strategy(GenerationMode.POSITIVE), operation.as_strategy(GenerationMode.NEGATIVE)]
        if bodies:
            # By their numbers: the bodies themselves, which it would print in a report, are too large for Hypothesis.
            real = st.tuples(st.integers(0, len(bodies) - 1), st.integers(0, 2**32)).map(
                lambda drawn: operation.Case(body=changed(bodies[drawn[0]], random.Random(drawn[1])), media_type=_JSON)
            )
            made.append(real)

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.one_of(made), st.integers(0, 2**32))
        def ask(case: Any, choice: int) -> None:
            self._place(case, random.Random(choice))
            headers = {name: value for name, value in case.headers.items() if name.lower() != "authorization"}
            case.headers = headers | self._identity()
            response = case.call(base_url=self.world.server.api.url, session=session, timeout=30)
            try:
                self._check(case, response)
            except Found as found:
                kind = f"{operation.label} {response.status_code} {response.content[-80:]!r}"
                self.found.setdefault(kind, str(found))
            if response.status_code == 204 and "sessions/current" in case.path:
                self.caller.api = self.caller.api.with_token(sign_in())

        ask()

    def _identity(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.caller.api.token}"} if self.caller.api.token else {}
        return headers | ({"Cookie": self.caller.cookie} if self.caller.cookie else {})

    def _place(self, case: Any, chance: random.Random) -> None:
        """Ask for what is there, where the path or query names something; real bodies have no path yet."""
        known, world = self._known(), self.world
        names = re.findall(r"{(\w+)}", case.path)
        drawn = dict(case.path_parameters or {})
        place = len(drawn) < len(names) or chance.random() < 0.6
        case.path_parameters = drawn | ({name: chance.choice(known[name]) for name in names} if place else {})
        case.query = dict(case.query or {})
        if case.path == "/v1/blobs" and chance.random() < 0.7:
            case.query["space"] = world.owner.writer.space_id.hex()
        if "/upload-links/" in case.path and chance.random() < 0.5:
            case.path_parameters = {"link": world.upload_link.link_id.hex()}
            signature = base64.b64encode(world.upload_link.read_signature).decode()
            case.headers = {**(case.headers or {}), "Safelight-Guest": signature}
        if "upload" in names and chance.random() < 0.5:
            case.headers = {**(case.headers or {}), "Upload-Offset": chance.choice("0019"), "Upload-Complete": "?0"}

    def _known(self) -> dict[str, list[str]]:
        world = self.world
        blobs = [world.original, world.preview, world.link.page, world.loose, world.strangers_blob]
        return {
            "space": [world.owner.writer.space_id.hex()] * 3 + [world.stranger.writer.space_id.hex(), "0" * 64],
            "account": [world.owner.person.account_id.hex(), world.stranger.person.account_id.hex(), "0" * 32],
            "link": [
                world.link.link_id.hex(),
                world.other_link.link_id.hex(),
                world.upload_link.link_id.hex(),
                "0" * 32,
            ],
            "camera": [world.pairing.camera_id.hex(), "0" * 32],
            "invitation": [world.invitation.invitation_id.hex(), "0" * 32],
            "album": [world.album.hex(), world.other_album.hex(), "0" * 32],
            "upload": self.uploads[-4:],
            "name": [blob.name.hex() for blob in blobs],
            "epoch": ["1", "2", "9" * 16],
        }

    def _check(self, case: Any, response: Any) -> None:
        """Check an answer against the document; raises Found."""
        status = response.status_code
        self.counts[status] = self.counts.get(status, 0) + 1
        if status == 201:
            self.uploads.append(response.headers["location"][0].rpartition("/")[2])
        told = f"{case.operation.label} → {status} {response.content[:400]!r}, asked {case.as_curl_command()[:4000]}"
        if status >= 500:
            raise Found(told)
        try:
            case.validate_response(response, checks=_CHECKS)
        except (Failure, FailureGroup) as failure:
            raise Found(f"{told}: {failure}") from failure
        kind = response.headers.get("content-type", [""])[0]
        if status >= 400 and response.content:
            if kind != "application/problem+json":
                raise Found(f"{told}: a refusal is a problem document")
            described = case.operation.definition.raw["responses"][str(status)]["description"]
            if json.loads(response.content)["code"] not in described.removeprefix("Refused: ").split(", "):
                raise Found(f"{told}: a code that is not named for this route")
