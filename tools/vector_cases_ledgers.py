"""Vectors of account ledgers, receipts and pairing codes: whole ones, and each broken rule."""

from safelight.sync_protocol import account_ledger, pairing, receipts, signatures
from safelight.sync_protocol.account_ledger import AccountKind
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.verify_words import VERIFY_WORD_COUNT
from tests.support.ledgers import NOW_MS, Person, id_of, seed_of
from tools.vector_builder import Cases
from tools.vector_operations import Values


def verify_words() -> list[Values]:
    """Return cases for the words that members compare: another space, number or entry gives others."""
    cases = Cases()
    space, entry = seed_of("space"), seed_of("ledger entry")
    said = [
        cases.add(name, "verify.words", space_id=space_id, head_number=number, head_hash=head)["words_text"]
        for name, space_id, number, head in (
            ("the genesis", space, 1, entry),
            ("another number", space, 2, entry),
            ("another entry", space, 1, seed_of("another entry")),
            ("another space", seed_of("another space"), 1, entry),
            ("far on", space, 2**53 - 1, entry),
        )
    ]
    if len(set(said)) != len(said) or any(len(words.split()) != VERIFY_WORD_COUNT for words in said):
        raise AssertionError(said)
    return cases.cases


def accounts() -> list[Values]:
    """Return cases for account ledgers."""
    cases = Cases()
    anna = Person("anna")
    laptop, _ = anna.add_device("laptop")
    anna.take(anna.entry(AccountKind.SET_UNLOCKER, account_ledger.SetUnlockerBody("password", seed_of("wrapped"))))
    anna.revoke_device(laptop)
    device = account_ledger.AddDeviceBody(id_of("device x"), signatures.public_key_of(seed_of("device x")))

    def replay(name: str, entries: list[bytes], expect: Code | None = None) -> None:
        cases.add(name, "account.replay", expect, entries=entries)

    replay("created", anna.entries[:1])
    replay("with a device and an unlocker", anna.entries[:3])
    replay("with a revoked device", anna.entries)
    replay("nothing", [], Code.LEDGER_RULE)
    replay("without its creation", anna.entries[1:], Code.LEDGER_RULE)
    replay("one dropped", [anna.entries[0], anna.entries[2]], Code.ACCOUNT_LEDGER_CONFLICT)
    replay("one repeated", [*anna.entries[:2], anna.entries[1]], Code.ACCOUNT_LEDGER_CONFLICT)
    replay("another account's entry", [*anna.entries[:1], *Person("bert").entries], Code.LEDGER_RULE)
    by_device = anna.entry(AccountKind.ADD_DEVICE, device, seed=anna.device_seed)
    replay("signed by a device", [*anna.entries, by_device], Code.SIGNATURE_INVALID)
    again = anna.entry(AccountKind.REVOKE_DEVICE, account_ledger.RevokeDeviceBody(laptop))
    replay("revoked twice", [*anna.entries, again], Code.LEDGER_RULE)
    forked = anna.entry(AccountKind.ADD_DEVICE, device, head=Head(4, seed_of("another history")))
    replay("another history", [*anna.entries, forked], Code.ACCOUNT_LEDGER_CONFLICT)
    replay("garbage", [b"\xc1"], Code.ENTRY_MALFORMED)
    # The same array of two under a longer head: another hash, though nothing that is signed has changed.
    replay("rewritten on its way", [b"\xdc\x00\x02" + anna.entries[0][1:]], Code.ENTRY_MALFORMED)
    return cases.cases


def promises() -> list[Values]:
    """Return cases for receipts and pairing codes."""
    cases = Cases()
    server = seed_of("server")
    blobs = [seed_of("blob one"), seed_of("blob two")]
    receipt = receipts.Receipt(1, seed_of("space"), seed_of("entry"), 7, seed_of("chain"), NOW_MS, blobs)
    content, signature = receipts.sign_receipt(receipt, signatures.Signer(server))
    good: Values = {
        "content": content,
        "signature": signature,
        "server_key": signatures.public_key_of(server),
        "space_id": receipt.space_id,
        "entry_id": receipt.entry_id,
        "blobs": blobs,
    }
    cases.add("a receipt", "receipt.verify", **good)
    cases.add("a receipt for more than asked", "receipt.verify", **{**good, "blobs": blobs[:1]})
    bad = Code.RECEIPT_INVALID
    cases.add("a receipt for another entry", "receipt.verify", bad, **{**good, "entry_id": seed_of("other")})
    cases.add("a receipt for another space", "receipt.verify", bad, **{**good, "space_id": seed_of("other")})
    cases.add("a receipt without a blob", "receipt.verify", bad, **{**good, "blobs": [seed_of("blob three")]})
    cases.add("a receipt signed with garbage", "receipt.verify", bad, **{**good, "signature": bytes(64)})
    other = signatures.public_key_of(seed_of("another server"))
    cases.add("a receipt of another server", "receipt.verify", bad, **{**good, "server_key": other})

    uri = pairing.build_pairing_uri(
        pairing.Pairing(
            "https://photos.example:8443",
            id_of("server"),
            seed_of("space"),
            Head(9, seed_of("head")),
            id_of("camera"),
            seed_of("secret"),
        )
    )
    cases.add("a pairing code", "pairing.parse", uri_text=uri)
    cases.add("in upper case, between spaces", "pairing.parse", uri_text=f" {uri.upper()}\n")
    cases.add("cut", "pairing.parse", Code.PAIRING_INVALID, uri_text=uri[:-1])
    changed = uri[:80] + ("a" if uri[80] != "a" else "b") + uri[81:]
    cases.add("one letter changed", "pairing.parse", Code.PAIRING_INVALID, uri_text=changed)
    cases.add("a link instead", "pairing.parse", Code.PAIRING_INVALID, uri_text="https://photos.example/s/00")
    return cases.cases
