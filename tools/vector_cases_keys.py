"""Vectors of contexts, padding, the key tree, passwords and fingerprints."""

import unicodedata
from itertools import pairwise

from safelight.sync_protocol.contexts import Label
from safelight.sync_protocol.padding import pad, padme
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.sealing import passwords
from tools.vector_builder import Cases, seeded
from tools.vector_operations import Values

_FROM_KEY = (
    ("identity_signing_seed", "account secret"),
    ("identity_sealing_seed", "account secret"),
    ("keyring_key", "account secret"),
    ("vault_account_key", "account secret"),
    ("vault_sealing_seed", "vault secret"),
    ("view_secret", "epoch secret"),
    ("full_inbox_seed", "epoch secret"),
    ("view_inbox_seed", "view secret"),
    ("full_metadata_key", "epoch secret"),
    ("view_metadata_key", "view secret"),
    ("full_history_key", "epoch secret"),
    ("view_history_key", "view secret"),
    ("roll_view_key", "roll key"),
    ("roll_wrap_key", "roll key"),
    ("roll_view_wrap_key", "roll view key"),
    ("asset_view_key", "asset key"),
    ("asset_metadata_key", "asset key"),
    ("album_view_key", "album key"),
    ("album_wrap_key", "album key"),
    ("album_view_wrap_key", "album view key"),
    ("album_metadata_key", "album view key"),
    ("album_full_history_key", "album key"),
    ("album_view_history_key", "album view key"),
    ("album_full_inbox_seed", "album key"),
    ("album_view_inbox_seed", "album view key"),
    ("pairing_signing_seed", "pairing secret"),
    ("pairing_box_key", "pairing secret"),
    ("invitation_signing_seed", "invitation secret"),
    ("link_key", "link base"),
    ("link_head_key", "link key"),
)
_FROM_LINK_SECRET = (
    "link_access_token",
    "link_base",
    "link_password_salt",
    "link_picks_key",
    "upload_signing_seed",
    "upload_head_key",
)
_FROM_LINK_PASSWORD = ("link_key_with_password", "link_password_proof")
_RENDITIONS = ("original", "motion", "raw", "sidecar", "preview", "thumbnail")


def contexts() -> list[Values]:
    """Return cases for `context` and `uint`: every label once, and the borders between parts."""
    cases = Cases()
    for label in Label:
        cases.add(f"label {label.value}", "context", label_text=label.value, parts=[seeded(label.value, 16)])
    cases.add("no part", "context", label_text=Label.FILE.value, parts=[])
    cases.add("an empty part", "context", label_text=Label.FILE.value, parts=[b""])
    cases.add("two empty parts", "context", label_text=Label.FILE.value, parts=[b"", b""])
    cases.add("the border is here", "context", label_text=Label.FILE.value, parts=[b"ab", b"c"])
    cases.add("the border is there", "context", label_text=Label.FILE.value, parts=[b"a", b"bc"])
    cases.add("a long part", "context", label_text=Label.FILE.value, parts=[seeded("long part", 300)])
    for value in (0, 1, 255, 256, 2**32, 2**53 - 1):
        cases.add(f"the number {value}", "uint", value=value)
    return cases.cases


def padding() -> list[Values]:
    """Return cases for Padmé sizes, and for the padding of small values and how it fails."""
    cases = Cases()
    sizes = [*range(18), 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 4097, 262_112, 1_000_000]
    sizes += [2**24 + 1, 2**31, 2**32, 2**32 + 1, 2**40 - 1, 2**40, 2**53 - 2**45]
    for size_bytes in sizes:
        cases.add(f"Padmé of {size_bytes}", "padme", plain_size_bytes=size_bytes)
    for size_bytes in (0, 1, 4, 5, 6, 28, 100, 1000):
        data = seeded(f"pad {size_bytes}", size_bytes)
        cases.add(f"pad {size_bytes} bytes", "pad", data=data)
        cases.add(f"unpad {size_bytes} bytes", "unpad", padded=pad(data))
    padded = pad(bytes(28))  # 32 bytes, all of them used
    longer = pad(bytes(29))  # 33 bytes, padded to 34
    refused = Code.PADDING_INVALID
    cases.add("no bytes at all", "unpad", refused, padded=b"")
    cases.add("half a length field", "unpad", refused, padded=padded[:3])
    cases.add("length beyond the end", "unpad", refused, padded=b"\x00\x00\x00\x1d" + padded[4:])
    cases.add("length far beyond the end", "unpad", refused, padded=b"\xff\xff\xff\xff" + padded[4:])
    cases.add("one zero too many", "unpad", refused, padded=padded + b"\0")
    cases.add("one zero too few", "unpad", refused, padded=longer[:-1])
    cases.add("not padded", "unpad", refused, padded=longer[:33])
    cases.add("padding is not zero", "unpad", refused, padded=longer[:-1] + b"\x01")
    cases.add("padded to a longer Padmé size", "unpad", refused, padded=pad(b"x").ljust(padme(64), b"\0"))
    return cases.cases


def keytree() -> list[Values]:
    """Return one case for each derivation, and renditions and pages that must differ."""
    cases = Cases()
    for derivation, key in _FROM_KEY:
        cases.add(derivation, "keytree", derivation_text=derivation, key=seeded(key))
    for derivation in _FROM_LINK_SECRET:
        cases.add(derivation, "keytree", derivation_text=derivation, key=seeded("link secret", 16))
    for derivation in _FROM_LINK_PASSWORD:
        cases.add(derivation, "keytree", derivation_text=derivation, key=seeded("link base and stretched", 64))
    cases.add("vault_wrap_key", "keytree", derivation_text="vault_wrap_key", key=seeded("account and passphrase", 64))
    view = {"derivation_text": "asset_metadata_key", "key": seeded("asset view key")}
    cases.add("asset_metadata_key of the view tier", "keytree", **view)
    for name in _RENDITIONS:
        above = seeded("asset view key" if name in {"preview", "thumbnail"} else "asset key")
        rendition = {"derivation_text": "rendition_key", "key": above, "name_text": name}
        cases.add(f"rendition_key {name}", "keytree", **rendition, rendition_id=seeded("rendition id", 16))
        cases.add(f"rendition_key {name} anew", "keytree", **rendition, rendition_id=seeded("another id", 16))
    for number in (0, 1, 199):
        inputs = {"derivation_text": "link_page_key", "key": seeded("link key"), "page_number": number}
        cases.add(f"link_page_key {number}", "keytree", **inputs)
    return cases.cases


def passwords_and_words() -> list[Values]:
    """Return cases for Argon2id and its limits, recovery words, and wrapped account secrets."""
    cases = Cases()
    salt = seeded("salt", 16)
    composed, decomposed = "Müßiggänger Ångström", unicodedata.normalize("NFD", "Müßiggänger Ångström")
    for name, password, memory_kib, passes in (
        ("ASCII", "correct horse battery staple", 65_536, 3),
        ("composed", composed, 65_536, 3),
        ("decomposed, the same", decomposed, 65_536, 3),
        ("beyond the basic plane", "📷 夜の写真", 65_536, 3),
        ("spaces count", " correct horse battery staple ", 65_536, 3),
        ("more memory and passes", "correct horse battery staple", 65_537, 4),
    ):
        inputs = {"password_text": password, "salt": salt, "memory_kib": memory_kib, "passes": passes}
        cases.add(f"stretch: {name}", "password.stretch", **inputs)
    refused = Code.PASSWORD_COST_REFUSED
    for memory_kib, passes, code in (
        (65_536, 3, None), (1_048_576, 16, None), (65_535, 3, refused), (65_536, 2, refused), (0, 0, refused),
        (1_048_577, 3, refused), (65_536, 17, refused), (2**53 - 1, 3, refused), (65_536, 2**53 - 1, refused),
    ):  # fmt: skip
        name = f"costs of {memory_kib} KiB and {passes} passes"
        cases.add(name, "password.check-costs", code, memory_kib=memory_kib, passes=passes)
    lowered = {"password_text": "correct horse battery staple", "salt": salt, "memory_kib": 8, "passes": 1}
    cases.add("a server that lowers the cost", "password.stretch", refused, **lowered)
    empty = {"password_text": "", "salt": salt, "memory_kib": 65_536, "passes": 3}
    cases.add("an empty password", "password.stretch", Code.BAD_REQUEST, **empty)
    cases.add("password keys", "password.keys", stretched=seeded("stretched"))
    entropy = seeded("recovery entropy")
    cases.add("recovery keys", "recovery.keys", entropy=entropy)
    _words(cases, entropy)
    _wrapped_secrets(cases)
    _vault_secrets(cases)
    return cases.cases


def _words(cases: Cases, entropy: bytes) -> None:
    cases.add("words of zeros", "recovery.words", entropy=bytes(32))
    cases.add("words of ones", "recovery.words", entropy=b"\xff" * 32)
    words = cases.add("words", "recovery.words", entropy=entropy)["words_text"].split(" ")
    numbered = "\n".join(f"{number}. {word}" for number, word in enumerate(words, 1))
    for name, text in (
        ("as shown", " ".join(words)),
        ("upper case", " ".join(words).upper()),
        ("commas and spaces", "  " + " ,  ".join(words) + " "),
        ("numbered lines", numbered),
    ):
        cases.add(f"words typed: {name}", "recovery.entropy", words_text=text)
    swapped = next([*words[:i], b, a, *words[i + 2 :]] for i, (a, b) in enumerate(pairwise(words)) if a != b)
    for name, changed in (
        ("23 words", words[:-1]),
        ("25 words", [*words, words[0]]),
        ("nothing", []),
        ("a word that is not in the list", [*words[:-1], "safelights"]),
        ("two words exchanged", swapped),
        ("a word of the list in place of another", ["zoo" if words[0] != "zoo" else "zone", *words[1:]]),
        ("letters of another script", ["аbandon", *words[1:]]),  # noqa: RUF001 (a Cyrillic letter, on purpose)
    ):
        cases.add(f"words refused: {name}", "recovery.entropy", Code.WORDS_INVALID, words_text=" ".join(changed))


def _wrapped_secrets(cases: Cases) -> None:
    wrap_key, account_id, secret = seeded("wrap key"), seeded("account id", 16), seeded("account secret")
    wrapped = passwords.wrap_account_secret(
        wrap_key, account_id, "password", secret, random=lambda size_bytes: seeded(f"wrap {size_bytes}", size_bytes)
    )
    inputs = {"wrap_key": wrap_key, "account_id": account_id, "unlocker_text": "password", "wrapped": wrapped}
    operation, refused = "account-secret.unwrap", Code.OPEN_FAILED
    cases.add("unwrap", operation, **inputs)
    cases.add("unwrap with another key", operation, refused, **{**inputs, "wrap_key": seeded("another")})
    cases.add("unwrap for another account", operation, refused, **{**inputs, "account_id": seeded("another", 16)})
    cases.add("unwrap as another unlocker", operation, refused, **{**inputs, "unlocker_text": "recovery"})


def _vault_secrets(cases: Cases) -> None:
    wrap_key, account_id, nonce = seeded("vault wrap key"), seeded("account id", 16), seeded("nonce")
    wrapped = passwords.wrap_vault_secret(
        wrap_key, account_id, nonce, seeded("vault secret"), random=lambda size: seeded(f"vault wrap {size}", size)
    )
    inputs = {"wrap_key": wrap_key, "account_id": account_id, "nonce": nonce, "wrapped": wrapped}
    operation, refused = "vault-secret.unwrap", Code.OPEN_FAILED
    cases.add("unwrap a vault secret", operation, **inputs)
    cases.add("with another passphrase's key", operation, refused, **{**inputs, "wrap_key": seeded("another")})
    cases.add("for another account's vault", operation, refused, **{**inputs, "account_id": seeded("another", 16)})
    cases.add("of another vault", operation, refused, **{**inputs, "nonce": seeded("another")})


def fingerprints() -> list[Values]:
    """Return cases for the fingerprints of keys and of contents."""
    cases = Cases()
    cases.add("signing key", "key-fingerprint", public_key=seeded("signing key"))
    cases.add("inbox key", "key-fingerprint", public_key=seeded("inbox key", 1216))
    inputs = {"dedupe_key": seeded("dedupe key"), "space_id": seeded("space id"), "sha256": seeded("digest")}
    cases.add("content", "content-fingerprint", **inputs)
    for field in inputs:
        cases.add(f"content, another {field}", "content-fingerprint", **{**inputs, field: seeded(f"another {field}")})
    return cases.cases
