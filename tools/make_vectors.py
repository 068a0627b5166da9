"""Make our own test vectors, the same at every run, and write them to safelight/sync_protocol/vectors.

Only sealing to a public key is random; those values were made once and are kept. The format is described beside them.
"""

from collections.abc import Callable

from tools import (
    vector_cases_approvals,
    vector_cases_grants,
    vector_cases_keys,
    vector_cases_ledgers,
    vector_cases_links,
    vector_cases_logs,
    vector_cases_members,
    vector_cases_sealed,
    vector_cases_signatures,
    vector_cases_uploads,
    vector_cases_vaults,
)
from tools.vector_operations import VECTORS, Values, dump

FILES: dict[str, tuple[str, Callable[[], list[Values]]]] = {
    "contexts.json": ("Contexts and the numbers in them.", vector_cases_keys.contexts),
    "padding.json": ("Padmé sizes and the padding of small values.", vector_cases_keys.padding),
    "keytree.json": ("Every derivation of the key tree.", vector_cases_keys.keytree),
    "passwords.json": ("Argon2id, recovery words, account and vault secrets.", vector_cases_keys.passwords_and_words),
    "fingerprints.json": ("Fingerprints of keys and of contents.", vector_cases_keys.fingerprints),
    "boxes.json": ("Small values under XChaCha20-Poly1305.", vector_cases_sealed.boxes),
    "hpke.json": ("Values sealed to a public key.", vector_cases_sealed.sealing_to_keys),
    "floe.json": ("Files and everything under a password-derived key.", vector_cases_sealed.files),
    "signatures.json": ("Strict Ed25519.", vector_cases_signatures.signatures),
    "addresses.json": ("The addresses of links, as they arrive.", vector_cases_links.addresses),
    "manifests.json": ("What a link's publishing key signs, and what it seals.", vector_cases_links.manifests),
    "files.json": ("The renditions of an asset, with the padding of files.", vector_cases_links.files),
    "accounts.json": ("Account ledgers.", vector_cases_ledgers.accounts),
    "logs.json": ("The log's chain.", vector_cases_logs.logs),
    "spaces.json": ("Whole logs: what a reader takes, sets aside, and stops at.", vector_cases_logs.spaces),
    "members.json": ("Members of a space, from invitation to removal.", vector_cases_members.members),
    "vaults.json": ("Vaults, whose members bring a key for them.", vector_cases_vaults.vaults),
    "grants.json": ("Albums shared by grants, and their own log.", vector_cases_grants.grants),
    "approvals.json": ("Albums that require approval, and what is approved.", vector_cases_approvals.approvals),
    "uploads.json": ("Upload links, their guests, and what those are told.", vector_cases_uploads.uploads),
    "verify_words.json": ("Words by which members compare their ledgers.", vector_cases_ledgers.verify_words),
    "promises.json": ("Receipts and pairing codes.", vector_cases_ledgers.promises),
}


def texts() -> dict[str, str]:
    """Return every file's name and text."""
    return {name: dump(about, make()) for name, (about, make) in FILES.items()}


def main() -> None:
    """Write the files."""
    for name, text in texts().items():
        (VECTORS / name).write_text(text, encoding="utf-8")
        print(VECTORS / name)


if __name__ == "__main__":
    main()
