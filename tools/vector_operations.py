"""The operations that vectors name, and the form in which their values stand in JSON.

The format's description is safelight/sync_protocol/vectors/README.md.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safelight.sync_protocol import ids, padding, signatures
from safelight.sync_protocol.contexts import Label, context, uint
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.sealing import boxes, fingerprints, floe, hpke, keytree, passwords
from tools.vector_operations_ledgers import LEDGER_OPERATIONS
from tools.vector_operations_links import LINK_OPERATIONS

VECTORS = Path(__file__).parent.parent / "safelight" / "sync_protocol" / "vectors"
FORMAT = "safelight-vectors/1"
SUCCESS = "success"

Values = dict[str, Any]
Operation = Callable[[Values], Values]

_INTEGERS = ("_bytes", "_count", "_index", "_number", "_kib")
_PLAIN = frozenset({"value", "passes", "final", "has_password", "is_upload", "originals", "edits"})


def decode(name: str, value: Any) -> Any:
    """Return the Python value of the field *name*: bytes unless its name says otherwise."""
    if name.endswith("_text") or name.endswith(_INTEGERS) or name in _PLAIN:
        return value
    if isinstance(value, list):
        return [decode("", item) for item in value]
    if isinstance(value, dict):
        pattern, size_bytes = bytes.fromhex(value["repeat"]), value["size_bytes"]
        return (pattern * (size_bytes // len(pattern) + 1))[:size_bytes]
    return bytes.fromhex(value)


def encode(value: Any) -> Any:
    """Return *value* as it stands in JSON: bytes as hexadecimal, all else as it is."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [encode(item) for item in value]
    return value


def run(operation: str, inputs: Values) -> tuple[str, Values | None]:
    """Run one operation; return what a case states as `expect` and `output`, the output in Python's values."""
    decoded = {name: decode(name, value) for name, value in inputs.items()}
    try:
        return SUCCESS, OPERATIONS[operation](decoded)
    except Refused as refused:
        return refused.code.value, None


def matches(expected: Values | None, actual: Values | None) -> bool:
    """Return whether an operation's result is what the case states; a stated digest stands for large bytes."""
    if expected is None or actual is None:
        return expected is actual
    if expected.keys() != actual.keys():
        return False
    for name, value in expected.items():
        result = actual[name]
        if isinstance(value, dict):
            result = digest_of(result)
        if value != encode(result):
            return False
    return True


def digest_of(value: bytes) -> Values:
    """Return what stands for large bytes in an output."""
    return {"sha256": hashlib.sha256(value).hexdigest(), "size_bytes": len(value)}


def load(path: Path) -> list[Values]:
    """Return the cases of a file. Raises ValueError if it is in another format."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["format"] != FORMAT:
        raise ValueError(f"{path} is not in the format {FORMAT}")
    cases: list[Values] = document["cases"]
    return cases


def dump(about: str, cases: list[Values]) -> str:
    """Return the text of a file."""
    return json.dumps({"format": FORMAT, "about": about, "cases": cases}, indent=1, ensure_ascii=False) + "\n"


def _keytree(v: Values) -> Values:
    arguments = [v[name] for name in ("key", "name_text", "rendition_id", "page_number") if name in v]
    return {"derived": getattr(keytree, v["derivation_text"])(*arguments)}


def _replay(recorded: bytes) -> Callable[[int], bytes]:
    """Return a source of "randomness" that gives *recorded*, piece by piece."""
    position = 0

    def take(size_bytes: int) -> bytes:
        nonlocal position
        position += size_bytes
        return recorded[position - size_bytes : position]

    return take


def _open_segment(v: Values) -> Values:
    decryptor = floe.FloeDecryptor(v["key"], v["associated_data"], v["header"])
    out = bytearray(floe.PLAINTEXT_SEGMENT_SIZE_BYTES)
    written = decryptor.decrypt_segment_into(v["segment_index"], v["ciphertext"], out, final=v["final"])
    return {"plaintext": bytes(out[:written])}


def edit(sealed: bytes, edits: list[Values]) -> bytes:
    """Return *sealed* after the *edits* of a `floe.open-edited` case."""
    for change in edits:
        [(kind, value)] = change.items()
        sealed = _EDITS[kind](sealed, value)
    return sealed


def _flip(sealed: bytes, offset: int) -> bytes:
    changed = bytearray(sealed)
    changed[offset] ^= 1
    return bytes(changed)


def _segment_start(index: int) -> int:
    return floe.HEADER_SIZE_BYTES + index * floe.SEGMENT_SIZE_BYTES


def _swap(sealed: bytes, pair: list[int]) -> bytes:
    first, second = (_segment_start(index) for index in sorted(pair))
    size = floe.SEGMENT_SIZE_BYTES
    between = sealed[first + size : second]
    return (
        sealed[:first]
        + sealed[second : second + size]
        + between
        + sealed[first : first + size]
        + sealed[second + size :]
    )


_EDITS: dict[str, Callable[[bytes, Any], bytes]] = {
    "cut_to_bytes": lambda sealed, size_bytes: sealed[:size_bytes],
    "append": lambda sealed, more: sealed + bytes.fromhex(more),
    "flip_at": _flip,
    "swap_segments": _swap,
    "drop_segment": lambda sealed, index: sealed[: _segment_start(index)] + sealed[_segment_start(index + 1) :],
}


def _open_edited(v: Values) -> Values:
    sealed = edit(floe.seal_bytes(v["key"], v["associated_data"], v["plaintext"]), v["edits"])
    return {"plaintext": floe.open_bytes(v["key"], v["associated_data"], sealed)}


def _sizes(v: Values) -> Values:
    sealed_size_bytes = floe.sealed_size_bytes(v["plaintext_size_bytes"])
    return {"sealed_size_bytes": sealed_size_bytes, "segment_count": floe.segment_count(sealed_size_bytes)}


def _seal_floe(v: Values) -> Values:
    random = _replay(v["random"])
    return {"sealed": floe.seal_bytes(v["key"], v["associated_data"], v["plaintext"], random=random)}


def _stretch(v: Values) -> Values:
    costs = passwords.Costs(v["memory_kib"], v["passes"])
    return {"stretched": passwords.stretch(v["password_text"], v["salt"], costs)}


def _check_costs(v: Values) -> Values:
    passwords.check_costs(passwords.Costs(v["memory_kib"], v["passes"]))
    return {}


def _verify(v: Values) -> Values:
    signatures.verify(v["public_key"], v["signature"], v["message"])
    return {}


def _unwrap(v: Values) -> Values:
    secret = passwords.unwrap_account_secret(v["wrap_key"], v["account_id"], v["unlocker_text"], v["wrapped"])
    return {"secret": secret}


def _unwrap_vault(v: Values) -> Values:
    return {"secret": passwords.unwrap_vault_secret(v["wrap_key"], v["account_id"], v["nonce"], v["wrapped"])}


OPERATIONS: dict[str, Operation] = {
    "context": lambda v: {"context": context(Label(v["label_text"]), *v["parts"])},
    "uint": lambda v: {"encoded": uint(v["value"])},
    "padme": lambda v: {"padded_size_bytes": padding.padme(v["plain_size_bytes"])},
    "pad": lambda v: {"padded": padding.pad(v["data"])},
    "unpad": lambda v: {"data": padding.unpad(v["padded"])},
    "keytree": _keytree,
    "box.seal": lambda v: {"sealed": boxes.seal_box(v["key"], v["associated_data"], v["plaintext"], nonce=v["nonce"])},
    "box.open": lambda v: {"plaintext": boxes.open_box(v["key"], v["associated_data"], v["sealed"])},
    "hpke.public-key": lambda v: {"public_key": hpke.public_key(v["seed"])},
    "hpke.seal": lambda v: {"sealed": hpke.seal(v["public_key"], v["info"], v["plaintext"])},
    "hpke.open": lambda v: {"plaintext": hpke.open_sealed(v["seed"], v["info"], v["sealed"])},
    "floe.seal": _seal_floe,
    "floe.open": lambda v: {"plaintext": floe.open_bytes(v["key"], v["associated_data"], v["sealed"])},
    "floe.open-segment": _open_segment,
    "floe.open-edited": _open_edited,
    "floe.sizes": _sizes,
    "floe.segment-count": lambda v: {"segment_count": floe.segment_count(v["sealed_size_bytes"])},
    "password.stretch": _stretch,
    "password.check-costs": _check_costs,
    "password.keys": lambda v: dict(
        zip(("auth_key", "wrap_key"), passwords.password_keys(v["stretched"]), strict=True)
    ),
    "recovery.words": lambda v: {"words_text": " ".join(passwords.new_recovery_words(v["entropy"]))},
    "recovery.entropy": lambda v: {"entropy": passwords.words_to_entropy(v["words_text"])},
    "recovery.keys": lambda v: dict(
        zip(("auth_key", "wrap_key", "signing_seed"), passwords.recovery_keys(v["entropy"]), strict=True)
    ),
    "account-secret.unwrap": _unwrap,
    "vault-secret.unwrap": _unwrap_vault,
    "signature.public-key": lambda v: {"public_key": signatures.public_key_of(v["seed"])},
    "signature.sign": lambda v: {"signature": signatures.sign(v["seed"], v["message"])},
    "signature.verify": _verify,
    "key-fingerprint": lambda v: {"fingerprint": ids.key_fingerprint(v["public_key"])},
    "content-fingerprint": lambda v: {
        "fingerprint": fingerprints.content_fingerprint(v["dedupe_key"], v["space_id"], v["sha256"])
    },
    **LINK_OPERATIONS,
    **LEDGER_OPERATIONS,
}
