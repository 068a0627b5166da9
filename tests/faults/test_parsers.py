"""Whatever bytes come: our parsers end, soon and in little memory, with a value or a refusal; both languages agree."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safelight.sync_protocol import log
from tests.faults.parsers import MUTANTS, TARGETS
from tests.support.samples import REPOSITORY
from tools.exchange_vectors import _case
from tools.vector_operations import SUCCESS, VECTORS, decode, dump, encode, load, run

WEB = REPOSITORY / "safelight" / "web_share"
SHORT_RUNS, LONG_RUNS = 300, 100_000
SHORT_CASES, LONG_CASES = 400, 20_000
# What reads: what others sent, or what was kept.
_READING = {
    "account-secret.unwrap", "account.replay", "album.chain", "box.open", "file.open", "floe.open", "floe.open-segment",
    "hpke.open", "link.open-head", "link.open-page", "link.parse-address", "link.parse-fragment", "link.verify-head",
    "log.chain", "pairing.parse", "password.check-costs", "receipt.verify", "recovery.entropy", "signature.verify",
    "space.replay", "unpad", "upload.head",
}  # fmt: skip
# What the reader itself names, and a header, which a record's shape holds to its size before anyone reads it.
_OURS = {"unlocker_text", "final", "segment_index", "header", "secret"}


def corpus(folder: Path) -> Path:
    """Everything that our vectors read, each value a file, and entries of every kind."""
    folder.mkdir()
    values: set[bytes] = {
        b"\x92",
        b"{}",
        b"?1;a=1",
        b"sha-256=:AAAA:, x=:AA==:",
        b"123",
        b'{"name":"a","kind":"password"}',
    }
    for file in VECTORS.glob("*.json"):
        for case in load(file):
            for name, value in case["inputs"].items():
                read = decode(name, value)
                each = read if isinstance(read, list) else [read]
                values |= {bytes(item) for item in each if isinstance(item, bytes)}
                values |= {item.encode() for item in each if isinstance(item, str)}
    values |= entries()
    for number, value in enumerate(sorted(value for value in values if len(value) <= 16384)):
        (folder / f"{number:04}").write_bytes(value)
    return folder


def entries() -> set[bytes]:
    """Of each kind that ends a whole log among our vectors one entry, and the shortest such log's entries."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(VECTORS.glob("*.json")):
        for case in load(file):
            if case["operation"] != "space.replay" or case.get("output", {}).get("set_aside_count") != 0:
                continue
            envelopes = [frame.envelope for frame in log.frames_from_bytes(decode("frames", case["inputs"]["frames"]))]
            kind = log.parse_entry(envelopes[-1]).header.kind
            found[kind] = min(found.get(kind, envelopes), envelopes, key=lambda each: sum(map(len, each)))
    joined = {b"".join(len(one).to_bytes(4, "big") + one for one in envelopes) for envelopes in found.values()}
    return joined | {envelopes[-1] for envelopes in found.values()}


def feed(target: str, runs: int, seed: int, tmp_path: Path, *mutant: str) -> "subprocess.CompletedProcess[str]":
    """Fuzz one parser in a process of its own."""
    seeds = corpus(tmp_path / "corpus")
    # The corpus itself is run first, and counts.
    runs += len(list(seeds.iterdir()))
    command = [sys.executable, "-m", "tests.faults.parsers", target, str(runs), str(seed), str(seeds), *mutant]
    # By way of a shell: a program's most memory begins with that of the process which starts it, here of all our tests.
    command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=1800
    )


def check(done: "subprocess.CompletedProcess[str]") -> None:
    """Fail with what the fuzzer said, if it found anything."""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("target", TARGETS)
def test_a_parser(target: str, tmp_path: Path) -> None:
    """Only values and refusals, each within seconds, all within a few hundred megabytes."""
    check(feed(target, SHORT_RUNS, 1, tmp_path))


@pytest.mark.battery
@pytest.mark.parametrize("target", TARGETS)
def test_a_parser_at_length(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, far more often."""
    done = feed(target, LONG_RUNS, random.SystemRandom().randrange(1, 2**31), tmp_path)
    check(done)
    with capsys.disabled():
        told = ("peak_rss", "number_of_exec", "blind")
        kept = [line for line in done.stderr.splitlines() if any(word in line for word in told)]
        sys.stdout.write(f"\n{target}: {'; '.join(kept)}\n")


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_parser_that_is_broken_is_caught(mutant: str, tmp_path: Path) -> None:
    """One that falls over, one that hangs and one that takes a length at its word do not pass."""
    done = feed("envelope", 20_000, 1, tmp_path, mutant)
    assert done.returncode != 0
    told = (done.stdout + done.stderr).lower()
    assert {"falls": "index", "hangs": "timeout", "swells": "memory"}[mutant] in told, told[-2000:]


def mutated(value: Any, chance: random.Random) -> Any:
    """One value of a vector, changed; the field's form stays what both languages take."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return max(0, min(value + chance.choice([-1, 1, 255]), 2**31))
    if isinstance(value, list) and value:
        at = chance.randrange(len(value))
        return [*value[:at], mutated(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str):
        at = chance.randrange(len(value) + 1)
        put = chance.choice(["", "a", "2", " ", "#", "é", "\u200b", "A" * 30])
        return value[:at] + put + value[at + chance.randrange(2) :]
    if not isinstance(value, bytes):
        return value
    data = bytearray(value)
    at = chance.randrange(len(data) or 1)
    match chance.randrange(4):
        case 0 if data:
            data[at] ^= 1 << chance.randrange(8)
        case 1 if data:
            data[at] = chance.choice([0, 0x7F, 0x80, 0xC0, 0xC4, 0xC7, 0xCF, 0xD9, 0xDC, 0xFF])
        case 2:
            del data[at:]
        case _:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(data)


def changed_cases(count: int, seed: int) -> list[dict[str, Any]]:
    """Vectors with one input changed, and what Python makes of them: a value, or the class of a refusal."""
    chance = random.Random(seed)
    cases = [case for file in sorted(VECTORS.glob("*.json")) for case in load(file)]
    # What is wrong already may be refused for either fault: only what was right has one class to be refused by.
    cases = [case for case in cases if case["expect"] == SUCCESS and case["operation"] in _READING]
    cases = [case for case in cases if len(json.dumps(case)) < 50_000]
    made = []
    for number in range(count):
        case = chance.choice(cases)
        inputs = {name: decode(name, value) for name, value in case["inputs"].items()}
        field = chance.choice(sorted(inputs.keys() - _OURS))
        inputs[field] = mutated(inputs[field], chance)
        stated = {name: encode(value) for name, value in inputs.items()}
        try:
            expect, output = run(case["operation"], stated)
        except LookupError:  # the tool's own, not a parser's: what is left is no case of this operation
            continue
        changed = _case(f"{seed}.{number} of {case['name']}, {field}", case["operation"], inputs, output or {})
        if expect != SUCCESS:
            changed["expect"] = expect
            del changed["output"]
        made.append(changed)
    return made


def read_in_typescript(cases: list[dict[str, Any]], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the same cases in the pages' code, which says where it differs."""
    path = folder / "changed.json"
    path.write_text(dump("Changed vectors.", cases), encoding="utf-8")
    command = ["node", "tools/run.mjs", "tools/exchange.ts", "read", str(path)]
    return subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=1800, check=False)


def test_both_languages_agree_on_what_is_damaged(tmp_path: Path) -> None:
    """What Python refuses TypeScript refuses, by the same class, and what one takes the other takes as the same."""
    read = read_in_typescript(changed_cases(SHORT_CASES, 1), tmp_path)
    assert read.returncode == 0, read.stdout[-3000:] + read.stderr[-3000:]


@pytest.mark.battery
def test_both_languages_agree_on_much_that_is_damaged(tmp_path: Path) -> None:
    """The same, far more often."""
    seed = random.SystemRandom().randrange(2**31)
    read = read_in_typescript(changed_cases(LONG_CASES, seed), tmp_path)
    assert read.returncode == 0, f"seed {seed}: " + read.stdout[-3000:] + read.stderr[-3000:]


def test_a_reader_that_differs_is_caught(tmp_path: Path) -> None:
    """If Python took one damaged value that TypeScript refuses, the comparison would say so."""
    cases = changed_cases(40, 2)
    refused = next(case for case in cases if case["expect"] != SUCCESS)
    refused["expect"] = "another-class"
    assert read_in_typescript(cases, tmp_path).returncode == 1
