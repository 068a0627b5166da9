"""What the doctor's own request looked like when it arrived: asked for and told through the control socket alone.

A request with a word that the doctor was given a moment ago is remembered, and gets an interim answer before its own.
To all others, who cannot know the word, nothing is different.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from safelight.server.domain.clock import Milliseconds
from safelight.server.routes.call import Call
from safelight.server.routes.interim import send_interim

HEADER = "Safelight-Probe"
INTERIM_VERSION = 8
_KEPT_MS = 60_000
_MAX_WORDS = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of the doctor's: who was at the other end of the connection, and what it said of the client."""

    peer: str
    peer_port: int
    peer_trusted: bool
    forwarded: list[str]
    client: str


class Probes:
    """The words that were given out within the last minute, and the requests that came with them."""

    def __init__(self, monotonic: Milliseconds) -> None:
        self._monotonic = monotonic
        self._words: dict[str, tuple[int, Seen | None]] = {}

    async def expect(self) -> dict[str, Any]:
        """Give out a word."""
        now_ms = self._monotonic()
        young = [(word, one) for word, one in self._words.items() if now_ms - one[0] < _KEPT_MS]
        word = secrets.token_hex(16)
        self._words = {**dict(young[-(_MAX_WORDS - 1) :]), word: (now_ms, None)}
        return {"word": word}

    async def seen(self) -> dict[str, Any]:
        """Return what came with each word."""
        return {word: asdict(seen) for word, (_, seen) in self._words.items() if seen is not None}

    async def look_at(self, call: Call) -> None:
        """Remember *call*, if it comes with a word, and send it an interim answer."""
        word = call.request.headers.get(HEADER, "")
        given = self._words.get(word)
        if given is None or self._monotonic() - given[0] >= _KEPT_MS:
            return
        transport = call.request.transport
        peer = (transport.get_extra_info("peername") if transport else None) or ("", 0)
        forwarded = ",".join(call.request.headers.getall("X-Forwarded-For", [])).split(",")
        seen = Seen(
            peer=peer[0],
            peer_port=peer[1],
            peer_trusted=call.is_trusted(peer[0]),
            forwarded=[part.strip() for part in forwarded if part.strip()],
            client=call.address,
        )
        self._words[word] = (given[0], seen)
        if call.serving.interim:
            await send_interim(call.request, INTERIM_VERSION, {})
