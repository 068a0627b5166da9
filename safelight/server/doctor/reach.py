"""The way to the server as people take it: the public address, its certificate, and the proxies in between.

The doctor goes there itself with a word that only the running server knows, claims another address than its own, and
compares what it sent with what arrived.
"""

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from safelight.server import control
from safelight.server.doctor.certificates import Ends
from safelight.server.doctor.findings import Finding, note, ok, problem
from safelight.server.routes.probes import HEADER
from safelight.server.settings import is_secure

TIMEOUT_S = 10
# Of a network that is for examples (RFC 5737): nobody comes from there.
CLAIMED = "203.0.113.77"
_MAX_ANSWER_BYTES = 64 * 1024
_PROXY_PAGE = "deploy/README.md has examples for nginx and Caddy."


@dataclass
class Way:
    """What came back, and from which port of ours it was asked."""

    statuses: list[int] = field(default_factory=list)
    interim_ends: bool = False
    own_port: int = 0
    ends_s: float | None = None


def address(public_url: str) -> list[Finding]:
    """Say whether browsers will do cryptography at the public address."""
    if not public_url:
        sentence = "No public address is set, so links and pairing codes carry the one that the server listens at."
        return [note("public-url", sentence, "Start the server with --public-url https://…, as people type it.")]
    if not is_secure(public_url):
        sentence = f"{public_url} is neither https nor this computer: links will not open there, and clients refuse it."
        return [problem("public-url", sentence, "Put https in front (see deploy/), and name that with --public-url.")]
    return [ok("public-url", f"People reach the server at {public_url}.")]


async def through(public_url: str, control_path: Path, *, interim: bool, trust: str = "") -> list[Finding]:
    """Go to the running server through its public address. *trust* is a file of certificates to believe besides."""
    word = (await control.ask(control_path, "probe"))["word"]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            way = await _ask(public_url, str(word), trust)
    except ssl.SSLCertVerificationError as error:
        sentence = f"The certificate at {public_url} is refused: {error.verify_message}."
        return [problem("way", sentence, "Browsers refuse it, too. Renew it, or name the right address.")]
    except (OSError, TimeoutError, ValueError) as error:
        told = getattr(error, "strerror", None) or ("no answer in time" if isinstance(error, TimeoutError) else error)
        sentence = f"{public_url} cannot be reached from this computer ({told})."
        remedy = "Try it on a phone without Wi-Fi. Many routers lead no connection back to where it came from."
        return [note("way", sentence, remedy)]
    seen = (await control.ask(control_path, "probed")).get(word)
    findings = [] if way.ends_s is None else [Ends(way.ends_s).finding(f"The certificate at {public_url}", time.time())]
    return [*findings, *_judge(public_url, way, seen, interim=interim)]


def _judge(public_url: str, way: Way, seen: dict[str, Any] | None, *, interim: bool) -> list[Finding]:
    final = way.statuses[-1] if way.statuses else 0
    if interim and seen is not None and (way.interim_ends or final >= 500 or final < 200):
        sentence = (
            "A proxy on the way takes the interim answers of uploads (104) for the answer: phones' uploads stand still."
        )
        findings = [problem("interim", sentence, "Start the server with --upload-interim no, as nginx needs it.")]
        return findings + (_judge_addresses(seen) if way.own_port != seen["peer_port"] else [])
    if seen is None:
        sentence = f"{public_url} answers ({final or 'nothing'}), but the request did not arrive at this server."
        remedy = "Is that this server's address? With several processes behind it, ask again: it may reach another."
        return [note("way", sentence, remedy)]
    if final != 200:
        sentence = f"A proxy on the way answers {final} where the server says 200."
        return [problem("way", sentence, f"Look into its configuration and log. {_PROXY_PAGE}")]
    findings = [ok("way", f"{public_url} leads here.")]
    if way.own_port and seen["peer_port"] == way.own_port:
        return [*findings, ok("proxy", "There is no proxy in between.")]
    passed = "passed on" if 104 in way.statuses else "dropped on the way, which is fine"
    findings.append(ok("interim", f"Interim answers of uploads are {passed if interim else 'turned off'}."))
    return [*findings, *_judge_addresses(seen)]


def _judge_addresses(seen: dict[str, Any]) -> list[Finding]:
    """Whether the proxy says who asks, is believed, and lets nobody claim to be another."""
    peer, forwarded = seen["peer"], seen["forwarded"]
    if not forwarded:
        sentence = (
            f"The proxy at {peer} does not say who asks: all people look like one, and wait for each other's mistakes."
        )
        return [problem("proxy", sentence, f"Let it send X-Forwarded-For. {_PROXY_PAGE}")]
    if forwarded == [CLAIMED]:
        sentence = f"The proxy at {peer} passes on whatever address a client claims: passwords can be guessed freely."
        remedy = f"Let it set or extend X-Forwarded-For (nginx: $proxy_add_x_forwarded_for). {_PROXY_PAGE}"
        return [problem("proxy", sentence, remedy)]
    if not seen["peer_trusted"]:
        sentence = f"The proxy at {peer} says who asks and is not believed: all people look like one."
        return [problem("proxy", sentence, f"Start the server with --trusted-proxies 127.0.0.0/8,::1/128,{peer}")]
    return [ok("proxy", f"The proxy at {peer} says who asks, and is believed.")]


async def _ask(public_url: str, word: str, trust: str) -> Way:
    """Send one request by hand: HTTP libraries hide interim answers."""
    parts = urlsplit(public_url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    context = ssl.create_default_context() if secure else None
    if context is not None and trust:
        context.load_verify_locations(trust)
    reader, writer = await asyncio.open_connection(
        host, parts.port or (443 if secure else 80), ssl=context, limit=_MAX_ANSWER_BYTES
    )
    try:
        way = Way(own_port=writer.get_extra_info("sockname")[1])
        if certificate := writer.get_extra_info("peercert"):
            way.ends_s = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
        lines = [
            "GET /health HTTP/1.1",
            f"Host: {parts.netloc}",
            f"{HEADER}: {word}",
            f"X-Forwarded-For: {CLAIMED}",
            "Connection: close",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        await writer.drain()
        with suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while not way.statuses or way.statuses[-1] < 200:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                way.statuses.append(int(head.split(" ", 2)[1]))
                # The server says nothing of the connection there: who adds it takes that for the answer, and what
                # follows for its body, though to us it looks the same.
                way.interim_ends |= way.statuses[-1] < 200 and "\r\nconnection:" in head.lower()
    finally:
        writer.close()
    return way
