"""How fast sealing is: FLOE against raw AES-256-GCM over the same segments, and the small operations beside it.

`python bench/sealing.py [--size-mib 64] [--repeats 9] [--floor 0.8]` prints medians and exits 1 if FLOE reaches less
than the floor of the raw cipher's speed. Raw and FLOE take turns, so that a busy machine slows both.
"""

import argparse
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safelight.sync_protocol import signatures
from safelight.sync_protocol.sealing import boxes, floe, hpke, keytree, passwords

PLACE = b"bench"
ASSOCIATED_DATA = bytes(9)
NONCE_SIZE_BYTES = 12
SEGMENT_HEAD_SIZE_BYTES = 16


class Material:
    """One run's plaintext, split into segments, and buffers that every pass uses again."""

    def __init__(self, size_bytes: int) -> None:
        step = floe.PLAINTEXT_SEGMENT_SIZE_BYTES
        whole = memoryview(secrets.token_bytes(size_bytes // step * step))
        self.key = secrets.token_bytes(32)
        self.pieces = [whole[start : start + step] for start in range(0, len(whole), step)]
        self.size_bytes = len(whole)
        self.out = bytearray(floe.SEGMENT_SIZE_BYTES)
        self.plain = bytearray(step)
        self.raw = AESGCM(self.key)
        self.nonces = [secrets.token_bytes(NONCE_SIZE_BYTES) for _ in self.pieces]
        sealed = memoryview(floe.seal_bytes(self.key, PLACE, whole))
        self.header = bytes(sealed[: floe.HEADER_SIZE_BYTES])
        starts = range(floe.HEADER_SIZE_BYTES, len(sealed), floe.SEGMENT_SIZE_BYTES)
        self.segments = [sealed[start : start + floe.SEGMENT_SIZE_BYTES] for start in starts]
        # At the very offsets of FLOE's ciphertexts, so that both passes meet the same caches.
        room = memoryview(bytearray(len(sealed)))
        self.raw_sealed = [room[start + SEGMENT_HEAD_SIZE_BYTES : start + floe.SEGMENT_SIZE_BYTES] for start in starts]
        for nonce, piece, target in zip(self.nonces, self.pieces, self.raw_sealed, strict=True):
            self.raw.encrypt_into(nonce, piece, ASSOCIATED_DATA, target)

    def raw_encrypt(self) -> None:
        """Encrypt every segment with the cipher alone, nonces ready made."""
        target = memoryview(self.out)[SEGMENT_HEAD_SIZE_BYTES:]
        for nonce, piece in zip(self.nonces, self.pieces, strict=True):
            self.raw.encrypt_into(nonce, piece, ASSOCIATED_DATA, target)

    def floe_encrypt(self) -> None:
        """Seal every segment with FLOE, key derivation, fresh nonces and header included."""
        encryptor, last = floe.FloeEncryptor(self.key, PLACE), len(self.pieces) - 1
        for index, piece in enumerate(self.pieces):
            encryptor.encrypt_segment_into(piece, self.out, final=index == last)

    def raw_decrypt(self) -> None:
        """Decrypt every segment with the cipher alone."""
        for nonce, sealed in zip(self.nonces, self.raw_sealed, strict=True):
            self.raw.decrypt_into(nonce, sealed, ASSOCIATED_DATA, self.plain)

    def floe_decrypt(self) -> None:
        """Open every segment with FLOE, header check included."""
        decryptor, last = floe.FloeDecryptor(self.key, PLACE, self.header), len(self.segments) - 1
        for index, segment in enumerate(self.segments):
            decryptor.decrypt_segment_into(index, segment, self.plain, final=index == last)


def seconds(action: Callable[[], object]) -> float:
    """Return how long one run of *action* takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def compare(raw: Callable[[], None], sealed: Callable[[], None], repeats: int) -> tuple[float, float, float]:
    """Return the medians of raw and sealed times, and of the ratios raw / sealed of neighbouring runs."""
    pairs = []
    for repeat in range(repeats + 1):
        pair = (seconds(raw), seconds(sealed)) if repeat % 2 else (seconds(sealed), seconds(raw))[::-1]
        pairs.append(pair)
    kept = pairs[1:]  # the first run warms the caches
    return (
        statistics.median(pair[0] for pair in kept),
        statistics.median(pair[1] for pair in kept),
        statistics.median(pair[0] / pair[1] for pair in kept),
    )


def print_files(size_bytes: int, repeats: int) -> float:
    """Print FLOE's table; return the lowest ratio to the raw cipher."""
    material = Material(size_bytes)
    lowest = 1.0
    print(f"{len(material.pieces)} segments of 256 KiB, medians of {repeats} repeats")
    print(f"{'':10}{'AES-256-GCM':>16}{'FLOE':>16}{'FLOE / raw':>14}")
    rows = (
        ("seal", material.raw_encrypt, material.floe_encrypt),
        ("open", material.raw_decrypt, material.floe_decrypt),
    )
    for name, raw, sealed in rows:
        raw_s, sealed_s, ratio = compare(raw, sealed, repeats)
        speeds = (f"{material.size_bytes / time_s / 1e9:.2f} GB/s" for time_s in (raw_s, sealed_s))
        print(f"{name:10}{next(speeds):>16}{next(speeds):>16}{ratio:>14.2f}")
        lowest = min(lowest, ratio)
    return lowest


def print_threads(size_bytes: int, repeats: int) -> None:
    """Print what is left for another thread's Python while one seals: little is lost, since the GIL is released."""
    material = Material(size_bytes)

    def count_until(done: Future[None]) -> float:
        counted, started = 0, time.perf_counter()
        while not done.done():
            counted += 1
        return counted / (time.perf_counter() - started)

    shares = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(repeats):
            beside = count_until(pool.submit(material.floe_encrypt))
            alone = count_until(pool.submit(time.sleep, 0.02))
            shares.append(beside / alone)
    print(f"Python in a second thread keeps {statistics.median(shares):.0%} of its speed while one seals")


def print_small(repeats: int) -> None:
    """Print the time of one small operation of each kind."""
    seed, nonce = secrets.token_bytes(32), boxes.random_nonce()
    public_key, value = hpke.public_key(seed), secrets.token_bytes(200)
    box, sealed = boxes.seal_box(seed, PLACE, value, nonce=nonce), hpke.seal(public_key, PLACE, seed)
    signing_key, signature = signatures.public_key_of(seed), signatures.sign(seed, value)
    actions: dict[str, tuple[int, Callable[[], object]]] = {
        "derive a key": (1000, lambda: keytree.asset_view_key(seed)),
        "seal a box of 200 bytes": (1000, lambda: boxes.seal_box(seed, PLACE, value, nonce=nonce)),
        "open it": (1000, lambda: boxes.open_box(seed, PLACE, box)),
        "seal to a public key": (100, lambda: hpke.seal(public_key, PLACE, seed)),
        "open it with the seed": (100, lambda: hpke.open_sealed(seed, PLACE, sealed)),
        "sign": (300, lambda: signatures.sign(seed, value)),
        "verify": (300, lambda: signatures.verify(signing_key, signature, value)),
        "stretch a password": (1, lambda: passwords.stretch("password", bytes(16), passwords.DEFAULT_COSTS)),
    }
    for name, (count, action) in actions.items():
        runs = [seconds(partial(_repeat, action, count)) for _ in range(repeats)]
        print(f"{name:28}{statistics.median(runs) / count * 1e6:>12.1f} µs")


def _repeat(action: Callable[[], object], count: int) -> None:
    for _ in range(count):
        action()


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mib", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--floor", type=float, default=0.8)
    options = parser.parse_args()
    lowest = print_files(options.size_mib * 1024 * 1024, options.repeats)
    print_threads(options.size_mib * 1024 * 1024, options.repeats)
    print_small(options.repeats)
    if lowest < options.floor:
        print(f"FLOE reaches {lowest:.2f} of the raw cipher, less than {options.floor}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
