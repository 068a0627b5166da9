"""The operations on entries, the log and receipts that vectors name."""

from typing import Any

from safelight.sync_protocol import ids, log, receipts

Values = dict[str, Any]


def _parse(v: Values) -> Values:
    entry = log.parse_entry(v["envelope"])
    header = entry.header
    return {
        "entry_id": entry.id,
        "content": entry.content,
        "signature": entry.signature,
        "version_number": header.version,
        "critical": header.critical,
        "kind_text": header.kind,
        "space_id": header.space_id,
        "author_id": header.author_id,
        "device_id": header.device_id,
        "counter_number": header.counter,
        "previous_id": header.previous_id,
        "ledger_number": header.ledger.number,
        "ledger_hash": header.ledger.hash,
        "log_number": header.log.number,
        "log_hash": header.log.hash,
        "signed_number": header.signed_ms,
    }


def _verify(v: Values) -> Values:
    log.verify_entry(log.parse_entry(v["envelope"]), v["device_key"])
    return {}


def _positions(v: Values) -> Values:
    state = log.LogState()
    for envelope in v["envelopes"]:
        entry = log.parse_entry(envelope)
        log.check_position(state, entry)
        state = log.place(state, entry)
    return {}


def _heads(v: Values) -> Values:
    entry = log.parse_entry(v["envelope"])
    known_chain, known_ledger = v["known_chain"] or None, v["known_ledger"] or None
    log.check_heads(entry, v["slot_number"], lambda _slot: known_chain, lambda _slot: known_ledger)
    return {}


def _feed(v: Values) -> Values:
    state = log.LogState(v["start_number"], v["start_chain"])
    entry_ids = []
    for frame in log.frames_from_bytes(v["feed"]):
        state = log.step(state, frame)
        entry_ids.append(frame.entry_id)
    return {"entry_ids": entry_ids, "end_number": state.number, "end_chain": state.chain}


def _receipt(v: Values) -> Values:
    expected = {"space_id": v["space_id"], "entry_id": v["entry_id"], "blobs": v["blobs"]}
    receipt = receipts.verify_receipt(v["content"], v["signature"], v["server_key"], **expected)
    return {"receipt_number": receipt.number, "chain": receipt.chain, "time_number": receipt.time_ms}


LOG_OPERATIONS = {
    "space-id": lambda v: {"space_id": ids.space_id(v["genesis"])},
    "log.parse-entry": _parse,
    "log.verify-entry": _verify,
    "log.check-positions": _positions,
    "log.check-heads": _heads,
    "log.chain": lambda v: {"next_chain": log.next_chain(v["chain"], v["slot_number"], v["entry_id"])},
    "log.read-feed": _feed,
    "receipt.verify": _receipt,
}
