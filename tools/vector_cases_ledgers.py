"""Vectors of account ledgers, logs and space ledgers, receipts and pairing codes: whole ones, and each broken rule."""

from collections.abc import Callable

import msgspec

from safelight.sync_protocol import account_ledger, ledger_entries, log, pairing, receipts, signatures
from safelight.sync_protocol.account_ledger import AccountKind
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Entry, Frame, Head
from safelight.sync_protocol.records import (
    AddAssetsBody,
    AssetBody,
    OpenRollBody,
    RecordKind,
    RenditionName,
    RenditionRef,
    RevokeLinkBody,
)
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Tier
from tests.support.ledgers import NOW_MS, Person, Signer, Space, id_of, seed_of
from tools.vector_builder import Cases
from tools.vector_operations import Values


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


def _asset_record(space: Space, camera: Signer) -> Entry:
    ref = RenditionRef(RenditionName.ORIGINAL, id_of("rendition"), seed_of("blob"), 4096, bytes(74))
    asset = AssetBody(id_of("asset"), seed_of("fingerprint"), [ref], b"full wrap", b"view wrap", b"view", b"full")
    return space.entry(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [asset]), camera)


def _grown() -> tuple[Space, Signer]:
    """A space with a camera, a roll, an asset, a revoked second camera and so a second epoch."""
    space = Space(Person("anna")).create()
    camera = space.camera()
    space.take(space.entry(RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view"), camera), camera)
    space.take(_asset_record(space, camera), camera)
    space.camera("old phone")
    body = ledger_entries.RevokeCameraBody(id_of("camera old phone"), space.next_epoch())
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    return space, camera


def logs() -> list[Values]:
    """Return cases for the chain alone."""
    cases = Cases()
    frames = _grown()[0].frames

    def chain(name: str, changed: list[Frame], expect: Code | None = None, cut: int | None = None) -> None:
        cases.add(name, "log.chain", expect, frames=log.frames_to_bytes(changed)[:cut])

    blanked = msgspec.structs.replace(frames[4], envelope=b"", signature=bytes(64))
    swapped = msgspec.structs.replace(frames[4], envelope=frames[5].envelope)
    renamed = msgspec.structs.replace(swapped, entry_id=frames[5].entry_id)
    chain("empty", [])
    chain("whole", frames)
    chain("one blanked, as if it were purged", [*frames[:4], blanked, *frames[5:]], Code.CHAIN_BROKEN)
    chain("one dropped", [*frames[:4], *frames[5:]], Code.CHAIN_BROKEN)
    chain("two reordered", [*frames[:4], frames[5], frames[4], *frames[6:]], Code.CHAIN_BROKEN)
    chain("one repeated", [*frames[:5], frames[4]], Code.CHAIN_BROKEN)
    chain("another entry in a slot", [*frames[:4], swapped], Code.CHAIN_BROKEN)
    chain("another entry and its id in a slot", [*frames[:4], renamed], Code.CHAIN_BROKEN)
    chain("cut short", frames, Code.ENTRY_MALFORMED, -1)
    return cases.cases


def spaces() -> list[Values]:
    """Return cases for whole logs with their ledgers: what is taken, set aside, and what stops the space."""
    cases = Cases()

    def replay(name: str, make: Callable[[Space, Signer], Entry | None], expect: Code | None = None) -> None:
        space, camera = _grown()
        entry = make(space, camera)
        frames = list(space.frames)
        if entry is not None:
            number = space.log.number + 1
            chain = log.next_chain(space.log.chain, number, entry.id)
            frames.append(Frame(number, NOW_MS, chain, entry.id, entry.envelope))
        cases.add(name, "space.replay", expect, frames=log.frames_to_bytes(frames))

    stranger = Signer(id_of("stranger"), id_of("stranger"), seed_of("stranger"))
    roll = OpenRollBody(id_of("second roll"), 2, b"full", b"view")
    old = OpenRollBody(id_of("second roll"), 1, b"full", b"view")
    revoke = RevokeLinkBody(id_of("link"))
    replay("whole", lambda _space, _camera: None)
    replay("a record more", lambda space, camera: space.entry(RecordKind.OPEN_ROLL, roll, camera))
    replay("set aside: of an old epoch", lambda space, camera: space.entry(RecordKind.OPEN_ROLL, old, camera))
    replay("set aside: by a stranger", lambda space, _: space.entry(RecordKind.OPEN_ROLL, roll, stranger))
    replay("set aside: without the right", lambda space, camera: space.entry(RecordKind.REVOKE_LINK, revoke, camera))
    replay(
        "set aside: one of its device dropped",
        lambda space, camera: space.entry(RecordKind.OPEN_ROLL, roll, camera, counter=camera.counter + 2),
    )
    replay(
        "set aside: by a revoked camera",
        lambda space, _: space.entry(RecordKind.OPEN_ROLL, roll, _last(space, space.camera_signer("old phone"))),
    )
    replay(
        "another history was shown to its signer",
        lambda space, camera: space.entry(RecordKind.OPEN_ROLL, roll, camera, log=Head(3, seed_of("fork"))),
        Code.HISTORY_FORKED,
    )
    replay(
        "a ledger entry on an older ledger",
        lambda space, _: space.entry(
            LedgerKind.CERTIFY_CAMERA, space.certify_body("third", epoch=2), ledger=Head(2, space.frames[1].entry_id)
        ),
        Code.ENTRY_STALE,
    )
    replay(
        "a revocation without a new epoch",
        lambda space, _: _advance_without_epoch(space),
        Code.EPOCH_REQUIRED,
    )
    replay(
        "an epoch that skips a number",
        lambda space, _: space.entry(
            LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.epoch(4, [_reader(space)]))
        ),
        Code.EPOCH_OLD,
    )
    replay(
        "an epoch without the owner's box",
        lambda space, _: space.entry(LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.epoch(3, []))),
        Code.LEDGER_RULE,
    )
    replay(
        "an epoch under an old inbox",
        lambda space, _: space.entry(
            LedgerKind.ROTATE_EPOCH,
            ledger_entries.RotateEpochBody(
                msgspec.structs.replace(space.next_epoch(), full_inbox=space.state.epochs[0].full_inbox)
            ),
        ),
        Code.LEDGER_RULE,
    )
    replay(
        "a camera's entry of an unknown kind in the ledger",
        lambda space, camera: space.entry("policy.something-new", roll, camera, critical=False),
        Code.RIGHT_MISSING,
    )
    replay(
        "a known kind of a later version is passed over",
        lambda space, _: space.entry(
            LedgerKind.CERTIFY_CAMERA, space.certify_body("third", epoch=2), version=2, critical=False
        ),
    )
    replay(
        "a camera bound twice",
        lambda space, camera: space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera),
        Code.CAMERA_ALREADY_BOUND,
    )
    replay(
        "an epoch by a camera",
        lambda space, camera: space.entry(
            LedgerKind.ROTATE_EPOCH, ledger_entries.RotateEpochBody(space.next_epoch()), camera
        ),
        Code.RIGHT_MISSING,
    )
    replay(
        "a later version's critical ledger entry",
        lambda space, _: space.entry("policy.something-new", roll),
        Code.ENTRY_UNKNOWN_CRITICAL,
    )
    replay(
        "a later version's other ledger entry",
        lambda space, _: space.entry("policy.something-new", roll, critical=False),
    )
    for kind, links, refused in (("family", "full", True), ("vault", "view", True), ("work", "full", False)):
        space = Space(Person("anna"), kind, links)
        entry = space.entry(LedgerKind.CREATE_SPACE, space.genesis_body())
        frames = [Frame(1, NOW_MS, log.next_chain(b"", 1, entry.id), entry.id, entry.envelope)]
        expect = Code.LEDGER_RULE if refused else None
        name = f"a {kind} space that allows {links} links"
        cases.add(name, "space.replay", expect, frames=log.frames_to_bytes(frames))
    return cases.cases


def _reader(space: Space) -> tuple[bytes, Tier]:
    return space.owner.account_id, Tier.FULL


def _last(space: Space, signer: Signer) -> Signer:
    """Continue at the signer's last entry."""
    position = space.log.devices[signer.author_id + signer.device_id]
    signer.counter, signer.last_id = position.counter, position.entry_id
    return signer


def _advance_without_epoch(space: Space) -> Entry:
    owner = space.owner
    owner.add_device("laptop")
    added = ledger_entries.AdvanceAccountBody(owner.account_id, owner.entries[1:], None)
    space.take(space.entry(LedgerKind.ADVANCE_ACCOUNT, added))
    owner.revoke_device(id_of("device laptop"))
    return space.entry(
        LedgerKind.ADVANCE_ACCOUNT, ledger_entries.AdvanceAccountBody(owner.account_id, owner.entries[2:], None)
    )


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
