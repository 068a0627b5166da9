"""Known answers that others made: FLOE, HPKE-PQ and Wycheproof, from ../shared/vectors where that folder is.

Where it is not, each test checks our own vectors of the same primitive instead, so none passes without having run.
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from nacl import bindings
from nacl.exceptions import CryptoError

from safelight.sync_protocol import signatures
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import floe, hpke, keytree
from tests.support.refusing import refuses
from tests.unit.sealing.small_floe import with_profile
from tools.vector_operations import VECTORS, load, matches, run

Case = dict[str, Any]


def _check_own(name: str) -> None:
    for case in load(VECTORS / name):
        expect, output = run(case["operation"], case["inputs"])
        assert expect == case["expect"], case["name"]
        assert matches(case.get("output"), output), case["name"]


def _wycheproof(shared_vectors: Path, name: str) -> list[tuple[Case, Case]]:
    document = json.loads((shared_vectors / "wycheproof" / name).read_text())
    cases = [(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(cases) == document["numberOfTests"]
    return cases


FLOE_NAMES = (
    "cpp_GCM256_IV256_4K", "cpp_GCM256_IV256_64", "cpp_rotation", "go_GCM256_IV256_4K", "go_GCM256_IV256_64",
    "go_rotation", "java_GCM256_IV256_4K", "java_GCM256_IV256_64", "java_lastSegAligned", "java_lastSegEmpty",
    "java_rotation", "pub_java_GCM256_IV256_4K", "pub_java_GCM256_IV256_64", "pub_java_rotation",
    "rust_GCM256_IV256_4K", "rust_GCM256_IV256_64", "rust_rotation",
)  # fmt: skip


def test_every_floe_answer_is_listed(shared_vectors: Path | None) -> None:
    """No known answer of the folder is left out."""
    if shared_vectors is not None:
        present = {path.name.removesuffix("_ct.txt") for path in (shared_vectors / "floe").glob("*_ct.txt")}
        assert present == set(FLOE_NAMES)


@pytest.mark.parametrize("name", FLOE_NAMES)
def test_floe(name: str, shared_vectors: Path | None) -> None:
    """The known answer opens, and sealing with its iv and nonces gives its very bytes."""
    if shared_vectors is None:
        return _check_own("floe.json")
    sealed = bytes.fromhex((shared_vectors / "floe" / f"{name}_ct.txt").read_text())
    plaintext = bytes.fromhex((shared_vectors / "floe" / f"{name}_pt.txt").read_text())
    size_bytes = int.from_bytes(sealed[2:6], "big")
    profile = floe._Profile(size_bytes, rotation_bits=2 if "rotation" in name else 20, max_segments=2**40)
    encryptor_kind, decryptor_kind = with_profile(profile)
    key, associated_data = bytes(32), b"This is AAD"
    assert decryptor_kind.open_bytes(key, associated_data, sealed) == plaintext

    starts = range(floe.HEADER_SIZE_BYTES, len(sealed), size_bytes)
    recorded = [sealed[10:42], *(sealed[start + 4 : start + 16] for start in starts)]
    encryptor = encryptor_kind(key, associated_data, random=lambda _: recorded.pop(0))
    assert encryptor.header == sealed[: floe.HEADER_SIZE_BYTES]
    per_segment, out = profile.plaintext_segment_size_bytes, bytearray(size_bytes)
    for index, start in enumerate(starts):
        piece = plaintext[index * per_segment : (index + 1) * per_segment]
        written = encryptor.encrypt_segment_into(piece, out, final=start == starts[-1])
        assert out[:written] == sealed[start : start + size_bytes]
    return None


def test_floe_answers_are_of_a_format_that_we_refuse(shared_vectors: Path | None) -> None:
    """The public interface reads segments of 256 KiB only; a smaller segment size is another format."""
    if shared_vectors is None:
        return _check_own("floe.json")
    sealed = bytes.fromhex((shared_vectors / "floe" / "go_GCM256_IV256_64_ct.txt").read_text())
    with refuses(Code.FORMAT_UNSUPPORTED):
        floe.open_bytes(bytes(32), b"This is AAD", sealed)
    return None


def test_hpke(shared_vectors: Path | None) -> None:
    """The X-Wing seed of the known answer gives its public key, and its encapsulation leads to its key and nonce."""
    if shared_vectors is None:
        return _check_own("hpke.json")
    ours, other_kdf = json.loads((shared_vectors / "hpke-pq.json").read_text())
    assert (ours["kem_id"], ours["kdf_id"], ours["aead_id"]) == (0x647A, 1, 3)
    seed, info, enc = (bytes.fromhex(ours[field]) for field in ("skRm", "info", "enc"))
    assert hpke.public_key(seed).hex() == ours["pkRm"]
    # The vector's messages carry associated data, ours never do: so a message under the vector's own key and nonce.
    cipher = ChaCha20Poly1305(bytes.fromhex(ours["key"]))
    for message in ours["encryptions"]:
        plaintext = bytes.fromhex(message["pt"])
        ciphertext = cipher.encrypt(bytes.fromhex(ours["base_nonce"]), plaintext, b"")
        assert hpke.open_sealed(seed, info, enc + ciphertext) == plaintext
        with refuses(Code.OPEN_FAILED):  # associated data is part of the tag
            hpke.open_sealed(seed, info, enc + bytes.fromhex(message["ct"]))
    seed, info, enc = (bytes.fromhex(other_kdf[field]) for field in ("skRm", "info", "enc"))
    assert hpke.public_key(seed).hex() == other_kdf["pkRm"]
    cipher = ChaCha20Poly1305(bytes.fromhex(other_kdf["key"]))
    with refuses(Code.OPEN_FAILED):
        hpke.open_sealed(seed, info, enc + cipher.encrypt(bytes.fromhex(other_kdf["base_nonce"]), b"x", b""))
    return None


def test_wycheproof_ed25519(shared_vectors: Path | None) -> None:
    """Every verdict of Wycheproof's is ours."""
    if shared_vectors is None:
        return _check_own("signatures.json")
    for group, test in _wycheproof(shared_vectors, "ed25519.json"):
        inputs = (bytes.fromhex(value) for value in (group["publicKey"]["pk"], test["sig"], test["msg"]))
        if test["result"] == "valid":
            signatures.verify(*inputs)
        else:
            with refuses(Code.SIGNATURE_INVALID):
                signatures.verify(*inputs)
    return None


def test_wycheproof_aes_gcm(shared_vectors: Path | None) -> None:
    """The AES-GCM under FLOE, into a given buffer as FLOE uses it, passes.

    Nonces of another size than 12 bytes, which FLOE never has, may be refused.
    """
    if shared_vectors is None:
        return _check_own("floe.json")
    opened = 0
    for group, test in _wycheproof(shared_vectors, "aes_gcm.json"):
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(test[field]) for field in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        out, sealed = bytearray(len(plaintext)), bytearray(len(plaintext) + 16)
        try:
            AESGCM(key).decrypt_into(nonce, ciphertext + tag, aad, out)
            AESGCM(key).encrypt_into(nonce, plaintext, aad, sealed)
        except (InvalidTag, ValueError):
            assert test["result"] == "invalid" or not 64 <= group["ivSize"] <= 1024, test["tcId"]
        else:
            assert test["result"] == "valid", test["tcId"]
            assert bytes(out) == plaintext, test["tcId"]
            assert bytes(sealed) == ciphertext + tag, test["tcId"]
            opened += group["ivSize"] == 96
    assert opened > 100
    return None


def test_wycheproof_xchacha20_poly1305(shared_vectors: Path | None) -> None:
    """The cipher of boxes passes; nonces of another size are refused."""
    if shared_vectors is None:
        return _check_own("boxes.json")
    for _, test in _wycheproof(shared_vectors, "xchacha20_poly1305.json"):
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(test[field]) for field in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        try:
            opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext + tag, aad, nonce, key)
        except (CryptoError, TypeError):  # a wrong size is the binding's TypeError; boxes check sizes before
            assert test["result"] == "invalid", test["tcId"]
        else:
            assert test["result"] == "valid", test["tcId"]
            assert opened == plaintext, test["tcId"]
            sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, aad, nonce, key)
            assert sealed == ciphertext + tag, test["tcId"]
    return None


def test_wycheproof_hkdf_sha256(shared_vectors: Path | None) -> None:
    """The derivation of the key tree passes."""
    if shared_vectors is None:
        return _check_own("keytree.json")
    for _, test in _wycheproof(shared_vectors, "hkdf_sha256.json"):
        key, salt, info = (bytes.fromhex(test[field]) for field in ("ikm", "salt", "info"))
        if test["result"] == "valid":
            assert keytree._hkdf(key, salt, info, test["size"]).hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(ValueError, match="Cannot derive"):
                keytree._hkdf(key, salt, info, test["size"])
    return None


def test_wycheproof_hkdf_sha384(shared_vectors: Path | None) -> None:
    """FLOE's expansion passes, after the extraction that the vectors have and FLOE has not."""
    if shared_vectors is None:
        return _check_own("floe.json")
    for _, test in _wycheproof(shared_vectors, "hkdf_sha384.json"):
        key, salt, info = (bytes.fromhex(test[field]) for field in ("ikm", "salt", "info"))
        extracted = hmac.digest(salt or bytes(48), key, hashlib.sha384)
        if test["result"] == "valid":
            assert floe._expand(extracted, info, test["size"]).hex() == test["okm"], test["tcId"]
        else:
            with pytest.raises(ValueError, match="Cannot derive"):
                floe._expand(extracted, info, test["size"])
    return None
