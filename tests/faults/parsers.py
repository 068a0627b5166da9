"""Our parsers, one by one, as a fuzzer feeds them: each takes any bytes, and ends with a value or with Refused.

`python -m tests.faults.parsers TARGET RUNS SEED CORPUS [MUTANT]`, in a process of its own, because libFuzzer ends it.
With atheris the bytes are mutated towards new code; where atheris has no wheel they are mutated blindly, and it says
`blind`.
"""

import contextlib
import io
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

try:
    import atheris  # type: ignore[import-untyped]  # it brings no types, and no stubs exist
except ImportError:  # only x86-64 Linux has it
    atheris = None

# Who imports this for the names of the targets goes on with code as it is.
instrumented: Any = contextlib.nullcontext()
if atheris is not None and __name__ == "__main__":
    instrumented = atheris.instrument_imports(include=["safelight"])

with instrumented:
    from multidict import CIMultiDict, CIMultiDictProxy

    from safelight.server.routes import structured
    from safelight.server.routes.all import ROUTES
    from safelight.sync_protocol import (
        account_ledger,
        album_log,
        ledger,
        ledger_entries,
        links,
        log,
        pairing,
        record_rules,
        signatures,
        upload_links,
    )
    from safelight.sync_protocol.codes import to_letters
    from safelight.sync_protocol.ids import key_fingerprint
    from safelight.sync_protocol.padding import padme, unpad
    from safelight.sync_protocol.receipts import verify_receipt
    from safelight.sync_protocol.refusals import Refused
    from safelight.sync_protocol.sealing import boxes, floe, hpke, passwords
    from safelight.sync_protocol.wire import parse_request, unpack

RSS_LIMIT_MB = 700
SLOWEST_S = 5
_KEY, _ID = bytes(range(32)), bytes(16)
_REQUESTS = [route.request for route in ROUTES if route.request is not None]
_BODIES: list[Any] = [*record_rules.BODIES.values(), *ledger_entries.BODIES.values(), *account_ledger._BODIES.values()]
_SEALED: list[Any] = [
    links.HeadContent,
    links.PageContent,
    links.MakersCopy,
    upload_links.HeadContent,
    upload_links.MakersCopy,
]


def _each(parse: Callable[[Any, bytes], object], shapes: list[Any], data: bytes) -> None:
    """Read the same bytes as each of several shapes; the first byte would only choose one of them."""
    for shape in shapes:
        with contextlib.suppress(Refused):
            parse(shape, data)


def _envelope(data: bytes) -> None:
    entry = log.parse_entry(data)
    _each(lambda shape, body: unpack(body, shape), _BODIES, entry.body)
    log.verify_entry(entry, signatures.public_key_of(_KEY))


def _account(data: bytes) -> None:
    with contextlib.suppress(Refused):
        account_ledger.is_known_account_entry(data)
    account_ledger.apply_account_entries(None, _pieces(data))


def _space(data: bytes) -> None:
    state = None
    for number, piece in enumerate(_pieces(data), start=1):
        entry = log.parse_entry(piece)
        if state is None or ledger_entries.is_ledger_kind(entry.header.kind):
            state = ledger.apply(state, entry, number)
        else:
            record_rules.check_record(state, entry)


def _pieces(data: bytes) -> list[bytes]:
    """Length and bytes, as the feed has frames."""
    found, rest = [], data
    while len(rest) > 4:
        size_bytes = int.from_bytes(rest[:4], "big")
        found.append(rest[4 : 4 + size_bytes])
        rest = rest[4 + size_bytes :]
    return found or [data]


def _manifest(data: bytes) -> None:
    _each(lambda shape, packed: unpack(packed, shape), [links.ManifestHead, upload_links.UploadHead, *_SEALED], data)
    key = signatures.public_key_of(_KEY)
    address = links.LinkAddress(_ID, False, key_fingerprint(key), _ID)
    links.verify_head(address, data, bytes(64), key)


def _fragment(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(Refused):
        links.parse_address(text)
    links.parse_fragment(_ID, text)


def _pairing(data: bytes) -> None:
    with contextlib.suppress(Refused):
        pairing.parse_pairing_uri(data.decode("utf-8", "replace"))
    pairing.parse_pairing_uri("safelight:pair#" + to_letters(data + pairing._checksum(data)))  # past its checksum


def _floe(data: bytes) -> None:
    with contextlib.suppress(Refused):
        floe.FloeDecryptor(_KEY, _ID, data[: floe.HEADER_SIZE_BYTES])
    floe.open_bytes(_KEY, _ID, data)


def _hpke(data: bytes) -> None:
    with contextlib.suppress(Refused):
        boxes.open_box(_KEY, _ID, data)
    with contextlib.suppress(Refused):
        passwords.unwrap_account_secret(_KEY, _ID, "password", data)
    hpke.open_sealed(_KEY, _ID, data)


def _padding(data: bytes) -> None:
    size_bytes = int.from_bytes(data[:7], "big")
    padded = padme(size_bytes)
    if not size_bytes <= padded <= size_bytes * 1.12 + 1 or padme(padded) != padded:
        raise AssertionError(f"Padmé of {size_bytes} is {padded}")
    unpad(data)


def _frames(data: bytes) -> None:
    state = log.LogState()
    for frame in log.frames_from_bytes(data):
        state = log.step(state, frame)


def _album(data: bytes) -> None:
    head, slot = log.NO_HEAD, 0
    for frame in log.split_frames(data, album_log.AlbumFrame):
        head, slot = album_log.check_album_frame(_KEY, _ID, head, slot, frame), frame.slot


def _headers(data: bytes) -> None:
    values = data.decode("latin-1").split("\n")
    headers = CIMultiDictProxy(CIMultiDict([("X", value) for value in values[:4]]))
    structured.integer(headers, "X")
    structured.boolean(headers, "X")
    structured.digests(headers, "X")


def _json(data: bytes) -> None:
    _each(lambda shape, body: parse_request(body, shape), _REQUESTS, data)


def _receipt(data: bytes) -> None:
    verify_receipt(data, bytes(64), signatures.public_key_of(_KEY), space_id=_KEY, entry_id=_KEY, blobs=())


def _words(data: bytes) -> None:
    passwords.words_to_entropy(data.decode("utf-8", "replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("_"): target
    for name, target in list(globals().items())
    if callable(target) and getattr(target, "__annotations__", {}) == {"data": bytes, "return": None}
}


def _falls(data: bytes) -> None:
    """A mutant: reads an element that may not be there."""
    if data[:1] == b"\x92" and data[1] > 250:
        raise IndexError


def _hangs(data: bytes) -> None:
    """A mutant: takes a length at its word."""
    if len(data) > 1 and data[0] == data[1]:
        time.sleep(SLOWEST_S + 60)


def _swells(data: bytes) -> None:
    """A mutant: makes room for what a length says."""
    if len(data) > 1 and data[0] > 250:
        bytearray(4 * RSS_LIMIT_MB * 2**20).extend(b"x")


MUTANTS = {"falls": _falls, "hangs": _hangs, "swells": _swells}


def main(arguments: list[str]) -> None:
    """Feed one target."""
    name, runs, seed, corpus, *mutant = arguments
    target = TARGETS[name]

    def feed(data: bytes) -> None:
        if mutant:
            MUTANTS[mutant[0]](data)
        with contextlib.suppress(Refused):
            target(data)

    if atheris is None:
        _blindly(feed, int(runs), int(seed), Path(corpus))
        return
    options = [f"-runs={runs}", f"-seed={seed}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={RSS_LIMIT_MB}"]
    options += ["-max_len=16384", "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={corpus}/../found-"]
    atheris.Setup([sys.argv[0], *options, corpus], feed)
    atheris.Fuzz()


def _blindly(feed: Callable[[bytes], None], runs: int, seed: int, corpus: Path) -> None:
    """Without atheris: bits, cuts and repeats of the corpus, each in its time and memory."""
    sys.stderr.write("blind\n")
    for data in _mutated([path.read_bytes() for path in sorted(corpus.iterdir())], random.Random(seed), runs):
        started_s = time.monotonic()
        feed(data)
        if time.monotonic() - started_s > SLOWEST_S:
            raise TimeoutError(data.hex())
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > RSS_LIMIT_MB * 1024:
            raise MemoryError(data.hex())


def _mutated(corpus: list[bytes], chance: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        data = bytearray(chance.choice(corpus) or b"\0")
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(data) or 1)
            match chance.randrange(4):
                case 0 if data:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 40)]
                case 2:
                    data[at:at] = data[at : at + chance.randrange(1, 40)]
                case _:
                    data[at:at] = io.BytesIO(chance.choice(corpus)).read(chance.randrange(1, 200))
        yield bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
