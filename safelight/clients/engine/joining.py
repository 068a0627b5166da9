"""The joiner's side: verify the space that an invitation names, and say that one joins it (docs/spec/log.md §5)."""

import base64
import hashlib

from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.answers import is_settled
from safelight.clients.engine.keyring_document import KnownSpace, with_space
from safelight.clients.engine.ledger_view import LedgerView
from safelight.clients.engine.memory import SpaceMemory
from safelight.clients.engine.vaults import AskPassphrase, nobody, wrap_of
from safelight.sync_protocol import ids, signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.invitations import InvitationAddress, parse_invitation_uri
from safelight.sync_protocol.ledger_entries import JoinSpaceBody, LedgerKind, join_message
from safelight.sync_protocol.ledger_state import Invitation, LedgerState
from safelight.sync_protocol.log import ENTRY_VERSION, DevicePosition, Head, Header, build_entry, parse_entry
from safelight.sync_protocol.messages.spaces import CommitEntry, Committed
from safelight.sync_protocol.receipts import verify_receipt
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import hpke, keytree
from safelight.sync_protocol.wire import unpack

INVITATION_HEADER = "Safelight-Invitation"
_MAX_SIGNINGS = 4


async def join_space(session: AccountSession, uri: str, choose_passphrase: AskPassphrase = nobody) -> bytes:
    """Join the space that the invitation *uri* names, and return its id; it is read once a member let this account in.

    Into a vault one brings a passphrase of one's own: *choose_passphrase* is asked for it.

    The ledger is verified down to the place that the invitation names, and that its inviter is who gave it, before
    anything is signed. The keyring lists the space first: one that it does not list was slipped in. After a lost answer
    the same call may be made again. Raises INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED (someone else used
    it: tell the inviter), MEMBER_EXISTS, VAULT_LOCKED and the ledger's refusals.
    """
    address = parse_invitation_uri(uri)
    if address.server_fingerprint != ids.key_fingerprint(session.connection.server_key):
        raise Refused(Code.INVITATION_INVALID, f"it is for an account at {address.server_url}")
    memory = session.folder.memory(address.space_id)
    for known in session.content.spaces:
        if known.space_id == address.space_id:
            memory.pin_ledger(Head(known.ledger_number, known.ledger_hash))
    memory.pin_ledger(address.head)
    seed = keytree.invitation_signing_seed(address.secret)
    vault_key: bytes | None = None
    for signing in range(_MAX_SIGNINGS):
        state = await _read_ledger(session, address, seed, memory)
        if session.account_id in state.members:
            raise Refused(Code.MEMBER_EXISTS)  # before the keyring says that it waits to be let in
        invitation = _check_invitation(state, address, seed)
        if invitation.joiner is not None:
            if invitation.joiner.account_id != session.account_id:
                raise Refused(Code.INVITATION_USED)
            break  # an earlier call was interrupted after the server had taken it
        if state.kind == "vault" and vault_key is None and not _pending_join(memory, address.invitation_id):
            vault_key = await _vault_key(session, state, choose_passphrase)
        await _list_in_keyring(session, address.space_id, state.head)
        try:
            await _join(session, address, seed, state, memory, vault_key)
            break
        except Refused as refusal:
            if refusal.code is not Code.ENTRY_STALE or signing == _MAX_SIGNINGS - 1:
                raise
    memory.save()
    return address.space_id


async def _list_in_keyring(session: AccountSession, space_id: bytes, head: Head) -> None:
    content = session.content
    known = KnownSpace(space_id, confirmed=False, ledger_number=head.number, ledger_hash=head.hash)
    await session.keyring.update(lambda kept: with_space(kept or content, known))


async def _vault_key(session: AccountSession, state: LedgerState, choose_passphrase: AskPassphrase) -> bytes:
    """Return this account's key for a vault; a new one is in the keyring before anyone seals anything to it.

    Who waits by another invitation already brings the same one. The keyring keeps those of earlier joins, as the boxes
    may be sealed to any of them: this device's, or another's.
    """
    known = next((each for each in session.content.spaces if each.space_id == state.space_id), None)
    waiting = _waiting_key(session, state)
    if known is not None and waiting is not None:
        return hpke.public_key(await session.vaults.seed(state.space_id, wrap_of(known, waiting)))
    passphrase = await choose_passphrase()
    if passphrase is None:
        raise Refused(Code.VAULT_LOCKED, "to join it, choose a passphrase of your own")
    made = await session.vaults.make(state.nonce, passphrase)
    content, head = session.content, state.head
    listed = KnownSpace(
        state.space_id, confirmed=False, ledger_number=head.number, ledger_hash=head.hash, vaults=[made.wrap]
    )
    await session.keyring.update(lambda kept: with_space(kept or content, listed))
    session.vaults.hold(state.space_id, made)
    return made.public_key


def _waiting_key(session: AccountSession, state: LedgerState) -> bytes | None:
    """The key that this account brought when it joined by an invitation that is not over."""
    for each in state.invitations.values():
        if not each.over and each.joiner is not None and each.joiner.account_id == session.account_id:
            return each.vault_key
    return None


async def _read_ledger(
    session: AccountSession, address: InvitationAddress, seed: bytes, memory: SpaceMemory
) -> LedgerState:
    message = context(Label.SIGN_INVITATION_READ, address.space_id, address.invitation_id)
    signature = base64.b64encode(signatures.sign(seed, message)).decode("ascii")
    view = LedgerView(session.connection, address.space_id, memory)
    view.told = address.head  # also where the memory's own pin stands later than that
    path = f"/v1/spaces/{address.space_id.hex()}/invitations/{address.invitation_id.hex()}"
    state = await view.take_pages(path, headers={INVITATION_HEADER: signature}, anonymous=True)
    memory.pin_ledger(state.head)
    return state


def _check_invitation(state: LedgerState, address: InvitationAddress, seed: bytes) -> Invitation:
    """*A server in the middle*: the invitation stands in the verified ledger, given by whom its address names."""
    invitation = state.invitations.get(address.invitation_id)
    if invitation is None or invitation.key != signatures.public_key_of(seed):
        raise Refused(Code.INVITATION_INVALID, "the space's ledger holds no such invitation")
    if invitation.over and invitation.joiner is None:
        raise Refused(Code.INVITATION_EXPIRED)
    inviter = state.members.get(invitation.invited_by)
    if inviter is None:
        raise Refused(Code.INVITATION_EXPIRED, "who gave it is no member any more")
    if ids.key_fingerprint(inviter.account.identity.signing) != address.inviter_fingerprint:
        raise Refused(Code.INVITATION_INVALID, "it was given by another than its address says")
    return invitation


def _pending_join(memory: SpaceMemory, invitation_id: bytes) -> bytes:
    """An earlier call's join by this very invitation; another, or what a member had sent, is not what is meant now."""
    if not memory.pending:
        return b""
    entry = parse_entry(memory.pending)
    if entry.header.kind != LedgerKind.JOIN_SPACE:
        return b""
    return memory.pending if unpack(entry.body, JoinSpaceBody).invitation_id == invitation_id else b""


async def _join(
    session: AccountSession,
    address: InvitationAddress,
    seed: bytes,
    state: LedgerState,
    memory: SpaceMemory,
    vault_key: bytes | None,
) -> None:
    """Commit the join, signed by this device, the identity and the invitation's key, and verify its receipt."""
    device, position = session.device, memory.position
    signed = (address.space_id, address.invitation_id, device.device_id, session.state.head, vault_key)
    body = JoinSpaceBody(
        invitation_id=address.invitation_id,
        account_entries=session.entries,
        vault_key=vault_key,
        identity_signature=signatures.sign(session.keys.signing_seed, join_message(Label.SIGN_JOIN_IDENTITY, *signed)),
        invitation_signature=signatures.sign(seed, join_message(Label.SIGN_JOIN_INVITATION, *signed)),
    )
    header = Header(
        version=ENTRY_VERSION,
        critical=True,
        kind=LedgerKind.JOIN_SPACE.value,
        space_id=address.space_id,
        author_id=session.account_id,
        device_id=device.device_id,
        counter=position.counter + 1,
        previous_id=position.entry_id,
        ledger=state.head,
        log=memory.log,
        signed_ms=session.clock(),
    )
    sent_before = memory.pending
    envelope = _pending_join(memory, address.invitation_id) or build_entry(header, body, device.signing_seed)
    memory.pending = envelope
    memory.save()
    path = f"/v1/spaces/{address.space_id.hex()}/join"
    try:
        answer = await session.connection.request("POST", path, CommitEntry(envelope), Committed)
    except Refused as refusal:
        if is_settled(refusal):
            memory.pending = b""
            memory.save()
        if refusal.code is not Code.COUNTER_CONFLICT or sent_before in {b"", envelope}:
            raise
        # What had been sent before was taken, though its answer was lost: it has the place that this one was to have.
        memory.position = DevicePosition(parse_entry(sent_before).header.counter, hashlib.sha256(sent_before).digest())
        memory.save()
        raise Refused(Code.ENTRY_STALE) from refusal
    entry_id = hashlib.sha256(envelope).digest()
    receipt = verify_receipt(
        answer.receipt,
        answer.signature,
        session.connection.server_key,
        space_id=address.space_id,
        entry_id=entry_id,
        blobs=(),
    )
    memory.position = DevicePosition(parse_entry(envelope).header.counter, entry_id)
    memory.pending = b""
    memory.pin_ledger(Head(receipt.number, entry_id))
    memory.pin_log(Head(receipt.number, receipt.chain))
    memory.save()
