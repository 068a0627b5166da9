"""The operations on logs, ledgers, receipts and pairing codes that vectors name."""

from typing import Any

from safelight.sync_protocol import (
    account_ledger,
    album_log,
    ledger,
    ledger_entries,
    ledger_state,
    log,
    pairing,
    receipts,
    record_rules,
)
from safelight.sync_protocol.approvals import content_of
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.roles import Right
from safelight.sync_protocol.verify_words import verify_words

Values = dict[str, Any]


def _account(v: Values) -> Values:
    state = account_ledger.apply_account_entries(None, v["entries"])
    devices = sorted(state.devices.items())
    return {
        "account_id": state.account_id,
        "head_number": state.head.number,
        "head_hash": state.head.hash,
        "signing_key": state.identity.signing,
        "standing_devices": [device_id for device_id, device in devices if not device.revoked],
        "revoked_devices": [device_id for device_id, device in devices if device.revoked],
    }


def _chain(v: Values) -> Values:
    state = log.LogState()
    for frame in log.frames_from_bytes(v["frames"]):
        state = log.step(state, frame)
    return {"head_number": state.number, "chain": state.chain}


def _album_chain(v: Values) -> Values:
    head, slot = log.NO_HEAD, 0
    for frame in log.split_frames(v["frames"], album_log.AlbumFrame):
        head, slot = album_log.check_album_frame(v["space_id"], v["album_id"], head, slot, frame), frame.slot
    return {"head_number": head.number, "head_hash": head.hash, "slot_number": slot}


class _Reader:
    """Reads a log as a member's client does: a bad ledger entry stops it, a bad record is set aside."""

    def __init__(self) -> None:
        self.log = log.LogState()
        self.ledger: ledger_state.LedgerState | None = None
        self.chains: dict[int, bytes] = {0: b""}
        self.ledgers: dict[int, bytes] = {0: b""}
        self.set_aside: list[str] = []

    def take(self, frame: log.Frame) -> None:
        """Take the next frame."""
        self.log = log.step(self.log, frame)
        self.chains[frame.number] = frame.chain
        entry = log.parse_entry(frame.envelope)
        log.check_heads(entry, frame.number, self.chains.get, self.ledgers.get)
        if ledger_entries.is_ledger_kind(entry.header.kind):
            log.check_position(self.log, entry)
            self.ledger = ledger.apply(self.ledger, entry, frame.number)
            self.ledgers[frame.number] = entry.id
        else:
            self._take_record(entry)
        self.log = log.place(self.log, entry)

    def _take_record(self, entry: log.Entry) -> None:
        if self.ledger is None:
            raise LookupError("a record before the genesis")
        try:
            log.check_position(self.log, entry)
            record_rules.check_record(self.ledger, entry)
        except Refused as refusal:
            if refusal.code is Code.ENTRY_UNKNOWN_CRITICAL:
                raise
            self.set_aside.append(refusal.code.value)


def _space(v: Values) -> Values:
    reader = _Reader()
    for frame in log.frames_from_bytes(v["frames"]):
        reader.take(frame)
    state = reader.ledger
    if state is None:
        raise LookupError("a log without a genesis")
    return {
        "space_id": state.space_id,
        "head_number": state.head.number,
        "head_hash": state.head.hash,
        "chain": reader.log.chain,
        "epoch_number": state.epoch.number,
        "member_ids": sorted(state.members),
        "members_text": [_described(key, member) for key, member in sorted(state.members.items())],
        "boxes_text": sorted(f"{box.account_id.hex()} {box.tier}" for box in state.epoch.boxes),
        "open_invitation_ids": sorted(key for key, invitation in state.invitations.items() if not invitation.over),
        "epoch_due_text": "yes" if state.epoch_due else "no",
        "albums_text": [_described_album(key, album) for key, album in sorted(state.albums.items())],
        "grants_text": sorted(line for key, album in state.albums.items() for line in _described_grants(key, album)),
        "grant_boxes_text": sorted(
            f"{key.hex()} {generation.number} {box.account_id.hex()} {box.tier}"
            for key, album in state.albums.items()
            for generation in album.generations
            for box in generation.boxes
        ),
        "pointed_text": sorted(
            f"{key.hex()} {camera.album_id.hex()}" for key, camera in state.cameras.items() if camera.album_id
        ),
        "upload_links_text": sorted(_described_link(key, link) for key, link in state.upload_links.items()),
        "adding_ids": sorted(key for key in (*state.members, *state.cameras) if Right.ADD in state.rights_of(key)),
        "set_aside_count": len(reader.set_aside),
        "set_aside_codes_text": reader.set_aside,
    }


def _described(account_id: bytes, member: ledger_state.Member) -> str:
    return " ".join((account_id.hex(), member.role.value, *sorted(right.value for right in member.rights)))


def _described_album(album_id: bytes, album: ledger_state.SharedAlbum) -> str:
    return f"{album_id.hex()} {album.generation.number} {album.generation.epoch}"


def _described_grants(album_id: bytes, album: ledger_state.SharedAlbum) -> list[str]:
    return [
        f"{album_id.hex()} {key.hex()} {grant.tier.value} {grant.expires_ms} {grant.given_by.hex()} {grant.given_ms}"
        + (" adds" if grant.can_add else "")
        + (" organises" if grant.can_organise else "")
        for key, grant in album.grants.items()
    ]


def _described_link(link_id: bytes, link: ledger_state.UploadLink) -> str:
    closed, album, terms = "yes" if link.closed else "no", link.album_id.hex() or "-", link.terms
    return (
        f"{link_id.hex()} {link.made_by.hex()} {link.guests} {closed} {album} "
        f"{terms.expires_ms} {terms.max_files} {terms.quota_bytes} {terms.max_guests}"
    )


def _receipt(v: Values) -> Values:
    receipt = receipts.verify_receipt(
        v["content"], v["signature"], v["server_key"], space_id=v["space_id"], entry_id=v["entry_id"], blobs=v["blobs"]
    )
    return {"slot_number": receipt.number, "chain": receipt.chain, "time_number": receipt.time_ms}


def _pairing(v: Values) -> Values:
    code = pairing.parse_pairing_uri(v["uri_text"])
    return {
        "server_url_text": code.server_url,
        "server_fingerprint": code.server_fingerprint,
        "space_id": code.space_id,
        "head_number": code.head.number,
        "head_hash": code.head.hash,
        "camera_id": code.camera_id,
        "secret": code.secret,
    }


def _verify_words(v: Values) -> Values:
    return {"words_text": " ".join(verify_words(v["space_id"], log.Head(v["head_number"], v["head_hash"])))}


def _asset_content(v: Values) -> Values:
    return {"content": content_of(v["asset_id"], zip(v["renditions_text"], v["blobs"], strict=True))}


LEDGER_OPERATIONS = {
    "asset.content": _asset_content,
    "account.replay": _account,
    "log.chain": _chain,
    "album.chain": _album_chain,
    "space.replay": _space,
    "receipt.verify": _receipt,
    "pairing.parse": _pairing,
    "verify.words": _verify_words,
}
