"""Vectors of the guests of upload links: what they add, what they sign in vain, and what they are told."""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec.structs import replace

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.ids import key_fingerprint
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RevokeCameraBody
from safelight.sync_protocol.log import NO_HEAD, Entry
from safelight.sync_protocol.records import AddAssetsBody, OpenRollBody, RecordKind, RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.upload_links import UploadHead, album_inboxes, sign_upload_head
from safelight.sync_protocol.wire import Signed, pack
from tests.support.grants import ALBUM, album_assets, album_roll, open_body, shown
from tests.support.ledgers import NOW_MS, Signer, Space, id_of, inbox_of, seed_of
from tests.support.upload_ledgers import (
    GUEST_SEED,
    LINK,
    PUBLISHING_SEED,
    SECRET,
    TERMS,
    bound,
    guest_of,
    inbox_entry,
    upload_head,
)
from tools.vector_builder import Cases
from tools.vector_upload_links import (
    END_MS,
    OTHER,
    Judged,
    Linked,
    Next,
    forger,
    judge_link,
    judge_records,
    placed,
    replay_link,
    terms,
)


def guests(cases: Cases) -> None:
    """Add the cases."""
    _added(cases)
    _signed_by_guests(cases)
    _published(cases)
    _told(cases)


def _adds(kind: str, body: Signed, linked: Linked, guest: Signer, at_ms: int = NOW_MS) -> Entry:
    return linked.space.entry(kind, body, guest, signed_ms=at_ms)


def _added(cases: Cases) -> None:
    """What guests add, before and after their link, its maker or they themselves are over."""
    roll = (RecordKind.OPEN_ROLL, OpenRollBody(id_of("roll"), 1, b"full", b"view"))
    asset = (RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [shown().asset]))
    in_album = ((RecordKind.OPEN_ALBUM_ROLL, album_roll()), (RecordKind.ADD_ALBUM_ASSETS, album_assets()))
    _all(cases, "to the space", Linked.opened, (roll, asset))
    _all(cases, "to the link's album, and to the space alone", Linked.filling, (*in_album, roll, asset))
    assets, unknown = partial(_adds, *asset), Code.SIGNER_UNKNOWN
    for name, made, expect in (
        ("a roll when its maker makes no more links", lambda s: _roll_of_hers(s.hers().no_maker()), None),
        ("a roll when its maker adds no more", lambda s: _roll_of_hers(s.hers().demoted()), unknown),
        ("a roll when its maker may add again", lambda s: _roll_of_hers(s.hers().demoted().demoted(Role.EDITOR)), None),
        ("a roll when its maker was removed", lambda s: _roll_of_hers(s.hers().without_ella()), unknown),
        ("an asset when it was shut out", _shut_out, unknown),
        ("an asset before it is bound", lambda s: assets(s.opened(), guest_of()), unknown),
        ("an asset under another's key", lambda s: assets(s.opened(), forger(bound(s.space))), Code.SIGNATURE_INVALID),
        ("a roll of an album that is not its link's", _elsewhere, Code.RIGHT_MISSING),
        ("a roll of the album, of a link without one", _nowhere, Code.RIGHT_MISSING),
        ("a roll under an old generation", _under_an_old, Code.GENERATION_OLD),
    ):
        judge_link(cases, f"of a guest: {name}", made, expect)


def _all(cases: Cases, name: str, begin: Callable[[Linked], Linked], bodies: Sequence[tuple[str, Signed]]) -> None:
    """Each record at once, at the last moment, and after it; and when the link is closed."""
    linked = begin(Linked())
    guest = bound(linked.space)
    times = ((NOW_MS, None), (END_MS - 1, None), (END_MS, Code.UPLOAD_LINK_OVER))
    records = [(partial(_next, kind, body, linked, guest, at), code) for kind, body in bodies for at, code in times]
    judge_records(cases, f"a guest adds {name}, until the link expires", linked.space, records)
    linked = begin(Linked())
    guest = bound(linked.space)
    linked.after(linked.close())
    ended = [(partial(_next, kind, body, linked, guest), Code.SIGNER_UNKNOWN) for kind, body in bodies]
    judge_records(cases, f"a guest adds {name}, until the link is closed", linked.space, ended)


def _next(kind: str, body: Signed, linked: Linked, guest: Signer, at_ms: int = NOW_MS, **changes: object) -> Entry:
    """Build a guest's next record."""
    return linked.space.entry(kind, body, placed(linked.space, guest), signed_ms=at_ms, **changes)


def _roll_of_hers(linked: Linked) -> Entry:
    """A roll by the guest of Ella's link, in the epoch in force."""
    guest = guest_of()
    position = linked.space.log.devices[guest.author_id + guest.device_id]
    guest.counter, guest.last_id = position.counter, position.entry_id
    body = OpenRollBody(id_of("roll"), linked.space.state.epoch.number, b"full", b"view")
    return linked.space.entry(RecordKind.OPEN_ROLL, body, guest)


def _shut_out(linked: Linked) -> Entry:
    guest = bound(linked.opened().space)
    return _adds(RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [shown().asset]), linked.revoked(guest), guest)


def _elsewhere(linked: Linked) -> Entry:
    other = id_of("another album")
    linked.filling().after(linked.space.entry(LedgerKind.OPEN_GENERATION, open_body(linked.space, album=other)))
    return _adds(RecordKind.OPEN_ALBUM_ROLL, album_roll(album_id=other), linked, bound(linked.space))


def _nowhere(linked: Linked) -> Entry:
    return _adds(RecordKind.OPEN_ALBUM_ROLL, album_roll(), linked.shared().opened(), bound(linked.space))


def _under_an_old(linked: Linked) -> Entry:
    linked.filling().after(linked.space.entry(LedgerKind.OPEN_GENERATION, open_body(linked.space)))
    return _adds(RecordKind.OPEN_ALBUM_ROLL, album_roll(), linked, bound(linked.space))


def _signed_by_guests(cases: Cases) -> None:
    """*A space stopped by a guest's garbage*, and all else that a guest signs in vain."""
    body = RevokeLinkBody(LINK)
    rights = Code.RIGHT_MISSING
    linked = Linked().opened()
    guest = bound(linked.space)
    records = [
        (partial(_next, kind, body, linked, guest, at_ms, **changes), rights)
        for kind, at_ms, changes in (
            ("guest.book", NOW_MS, {}),
            ("guest.book", NOW_MS, {"critical": False}),
            ("guest.book", END_MS, {}),
            ("guest.book", END_MS, {"critical": False}),
            (RecordKind.OPEN_ROLL, NOW_MS, {"version": 2}),
            (RecordKind.OPEN_ROLL, NOW_MS, {"version": 2, "critical": False}),
            (RecordKind.REVOKE_LINK, NOW_MS, {}),
            (RecordKind.PUBLISH_INBOX, NOW_MS, {}),
            (RecordKind.SHOW_IN_ALBUM, NOW_MS, {}),
            (RecordKind.CREATE_ALBUM, NOW_MS, {}),
        )
    ]
    judge_records(cases, "records that a guest may not sign", linked.space, records)
    refused: tuple[tuple[str, Next, Code], ...] = (
        ("a ledger entry of an unknown kind", partial(_signed, "upload.noise", body, {}), rights),
        ("one that is not critical", partial(_signed, "upload.noise", body, {"critical": False}), rights),
        ("a camera", lambda s: _ledger(s, LedgerKind.CERTIFY_CAMERA, s.space.certify_body()), rights),
        ("its own revocation", _itself, rights),
    )
    for name, make, expect in refused:
        replay_link(cases, f"a guest may not sign in the ledger: {name}", make, expect)
    replay_link(cases, "a guest is pointed elsewhere", _pointed, Code.LEDGER_RULE)
    replay_link(cases, "a guest is shut out", _shut, None)


def _signed(kind: str, body: Signed, changes: dict[str, object], linked: Linked) -> Entry:
    guest = bound(linked.opened().space)
    return linked.space.entry(kind, body, guest, **changes)


def _ledger(linked: Linked, kind: str, body: Signed) -> Entry:
    guest = bound(linked.opened().space)
    return linked.space.entry(kind, body, guest)


def _itself(linked: Linked) -> Entry:
    guest = bound(linked.opened().space)
    return linked.space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(guest.author_id, None), guest)


def _pointed(linked: Linked) -> Entry:
    guest = bound(linked.shared().opened().space)
    return linked.space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(guest.author_id, ALBUM))


def _shut(linked: Linked) -> Entry:
    guest = bound(linked.opened().space)
    return linked.space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(guest.author_id, linked.space.next_epoch()))


def _published(cases: Cases) -> None:
    """Heads, as the server and every reader compare them with the ledger."""
    _plain_heads(cases)
    _album_heads(cases)
    over = Code.UPLOAD_LINK_OVER
    judged: tuple[tuple[str, Next, Code | None], ...] = (
        (" by an editor who makes links", lambda s: inbox_entry(s.opened().space, s.with_ella()), None),
        (" renewed in a new epoch", lambda s: inbox_entry(_in_a_new_epoch(s).space), None),
        (" of a link whose maker was removed", lambda s: inbox_entry(s.hers().without_ella().space), over),
        (" with the generation before", _the_generation_before, Code.GENERATION_OLD),
        (" with an album that its link has not", _no_album, Code.MANIFEST_INVALID),
        (" of the epoch before", _the_epoch_before, Code.EPOCH_OLD),
        (" of no link", lambda s: inbox_entry(s.space), over),
        (" of a link that is closed", lambda s: inbox_entry(s.opened().after(s.close()).space), over),
        (" of a link whose maker adds no more", lambda s: inbox_entry(s.hers().demoted().space), over),
        (" by an editor", lambda s: inbox_entry(s.opened().space, s.with_ella(rights=None)), Code.RIGHT_MISSING),
        (" by a guest", lambda s: inbox_entry(s.opened().space, bound(s.space)), Code.RIGHT_MISSING),
    )
    for name, make, expect in judged:
        judge_link(cases, f"{'a' if expect is None else 'no'} head is published{name}", make, expect)


def _plain_heads(cases: Cases) -> None:
    """*An insider's own inbox*, own terms, own heads of the log: one after another, and a good one at the end."""
    space, own, invalid = Linked().opened().space, inbox_of("mallory"), Code.MANIFEST_INVALID
    unfit: tuple[tuple[dict[str, object], Code | None], ...] = (
        ({"full_inbox": own}, invalid),
        ({"view_inbox": own}, invalid),
        ({"epoch": 2}, Code.EPOCH_OLD),
        ({"space_id": bytes(32)}, invalid),
        ({"terms": terms(expires_ms=END_MS + 1)}, invalid),
        ({"terms": terms(max_files=11)}, invalid),
        ({"terms": terms(quota_bytes=0)}, invalid),
        ({"ledger": NO_HEAD}, invalid),
        ({"log": NO_HEAD}, invalid),
        ({"version": 2}, invalid),
        ({"link_id": OTHER}, invalid),
        ({"seed": seed_of("mallory")}, invalid),
        ({"seed": GUEST_SEED}, invalid),
        ({"at_ms": END_MS}, Code.UPLOAD_LINK_OVER),
        ({"at_ms": END_MS - 1}, None),
        ({}, None),
    )
    records = [(partial(inbox_entry, space, **changes), code) for changes, code in unfit]  # type: ignore[arg-type]  # values by name
    judge_records(cases, "heads of a link that fit the ledger and do not", space, _after_each_other(space, records))


def _album_heads(cases: Cases) -> None:
    space, own, invalid = Linked().filling().space, inbox_of("mallory"), Code.MANIFEST_INVALID
    album = album_inboxes(space.state, ALBUM)
    if album is None:
        raise LookupError("no album")
    records = [
        (partial(inbox_entry, space, album=wrong), code)
        for wrong, code in (
            (replace(album, full_inbox=own), invalid),
            (replace(album, view_inbox=own), invalid),
            (replace(album, album_id=bytes(16)), invalid),
            (replace(album, generation=1), Code.GENERATION_OLD),
            (replace(album, generation=3), Code.GENERATION_OLD),
            (replace(album, generation=3, full_inbox=own), Code.GENERATION_OLD),
            (None, invalid),
            (album, None),
        )
    ]
    judge_records(cases, "heads of a link that fills an album", space, _after_each_other(space, records))


def _after_each_other(space: Space, records: Judged) -> Judged:
    """The owner's records, each naming the one before."""

    def make(build: Callable[[], Entry]) -> Entry:
        placed(space, space.signer)
        return build()

    return [(partial(make, build), code) for build, code in records]


def _in_a_new_epoch(linked: Linked) -> Linked:
    linked.opened().with_ella()
    return linked.without_ella()


def _the_generation_before(linked: Linked) -> Entry:
    album = album_inboxes(linked.filling().space.state, ALBUM)
    linked.after(linked.space.entry(LedgerKind.OPEN_GENERATION, open_body(linked.space)))
    return inbox_entry(linked.space, album=album)


def _no_album(linked: Linked) -> Entry:
    space = linked.shared().opened().space
    return inbox_entry(space, album=album_inboxes(space.state, ALBUM))


def _the_epoch_before(linked: Linked) -> Entry:
    return inbox_entry(_in_a_new_epoch(linked).space, epoch=1)


def _told(cases: Cases) -> None:
    """What a guest believes: the publishing key of the address, and no other."""
    head = upload_head(Linked().opened().space)
    filling = upload_head(Linked().filling().space)
    key = signatures.public_key_of(PUBLISHING_SEED)
    content, signature = sign_upload_head(head, PUBLISHING_SEED)
    usual: dict[str, object] = {
        "link_id": LINK,
        "secret": SECRET,
        "publisher_fingerprint": key_fingerprint(key),
        "content": content,
        "signature": signature,
        "publishing_key": key,
    }
    server = signatures.public_key_of(seed_of("server"))
    moved = pack(replace(head, link_id=OTHER))
    small = pack(replace(head, terms=replace(TERMS, max_files=9)))
    for name, changes in (
        ("by a key of the server", _signed_head(head, "server") | {"publishing_key": server}),
        ("by a key of the server, under the makers'", _signed_head(head, "server")),
        ("that was changed", {"content": small}),
        ("that was cut", {"content": content[:-1]}),
        ("of another link", {"content": moved, "signature": _sign(Label.SIGN_UPLOAD_HEAD, moved, OTHER)}),
        ("of another link, under this one's id", {"content": moved, "signature": _sign(Label.SIGN_UPLOAD_HEAD, moved)}),
        ("for another link", {"link_id": OTHER}),
        ("for another address", {"publisher_fingerprint": bytes(16)}),
        ("signed as a manifest", {"signature": _sign(Label.SIGN_MANIFEST, content)}),
        ("of a later version", _resigned(replace(head, version=2))),
        ("that is none", {"content": b"\xc1", "signature": _sign(Label.SIGN_UPLOAD_HEAD, b"\xc1")}),
        ("whose signature is cut", {"signature": signature[:-1]}),
    ):
        cases.add(f"a guest is told no head {name}", "upload.head", Code.MANIFEST_INVALID, **(usual | changes))
    cases.add("a guest is told a head", "upload.head", **usual)
    cases.add("a guest is told a head with an album", "upload.head", **(usual | _resigned(filling)))


def _sign(label: Label, content: bytes, link_id: bytes = LINK) -> bytes:
    return signatures.sign(PUBLISHING_SEED, context(label, link_id, content))


def _signed_head(head: UploadHead, name: str) -> dict[str, object]:
    content, signature = sign_upload_head(head, seed_of(name))
    return {"content": content, "signature": signature}


def _resigned(head: UploadHead) -> dict[str, object]:
    content, signature = sign_upload_head(head, PUBLISHING_SEED)
    return {"content": content, "signature": signature}
