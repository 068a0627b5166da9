"""Account ledgers: who a person is, and what a server or a thief could try with it."""

from dataclasses import replace

import msgspec
import pytest

from safelight.sync_protocol import account_ledger as accounts
from safelight.sync_protocol import signatures
from safelight.sync_protocol.account_ledger import AccountKind
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.log import NO_HEAD, Head
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.wire import pack
from tests.support.ledgers import NOW_MS, Person, id_of, inbox_of, seed_of
from tests.support.refusing import refusal


def refused(state: accounts.AccountState | None, envelope: bytes) -> Code:
    """Apply an entry that must be refused."""
    return refusal(accounts.apply_account_entry, state, envelope)


def rotation_body(anna: Person, *, recovery: bytes, new_seed: bytes) -> accounts.RotateIdentityBody:
    """Build what recovery key and new identity sign for a rotation at the account's next place."""
    identity = accounts.Identity(signatures.public_key_of(seed_of("new identity")), inbox_of("new"))
    number, previous = anna.account.head.number + 1, anna.account.head.hash
    header = accounts.AccountHeader(1, True, AccountKind.ROTATE_IDENTITY, anna.account_id, number, previous, NOW_MS)
    return accounts.RotateIdentityBody(
        identity,
        signatures.sign(recovery, accounts.rotation_message(Label.SIGN_IDENTITY_RECOVERY, header, identity)),
        signatures.sign(new_seed, accounts.rotation_message(Label.SIGN_IDENTITY_NEW, header, identity)),
    )


def rotation(anna: Person, *, recovery: bytes, new_seed: bytes, signer: bytes | None = None) -> bytes:
    """Build a rotation to a new identity."""
    body = rotation_body(anna, recovery=recovery, new_seed=new_seed)
    return anna.entry(AccountKind.ROTATE_IDENTITY, body, seed=signer)


def test_an_account_grows_by_devices_and_unlockers() -> None:
    """Devices and unlockers are added and revoked, and only devices in good standing have a key."""
    anna = Person("anna")
    laptop, _ = anna.add_device("laptop")
    wrapped = accounts.SetUnlockerBody("password", seed_of("wrapped"))
    anna.take(anna.entry(AccountKind.SET_UNLOCKER, wrapped))
    assert anna.account.device_key(laptop) is not None
    anna.revoke_device(laptop)
    assert anna.account.device_key(laptop) is None
    assert anna.account.device_key(id_of("nobody")) is None
    assert anna.account.unlockers == {"password": seed_of("wrapped")}
    assert anna.account.head.number == 4
    assert accounts.apply_account_entries(None, anna.entries) == anna.account


def test_the_id_is_made_from_the_keys() -> None:
    """A server that swaps a key in the first entry makes another account of it."""
    anna = Person("anna")
    mallory = seed_of("mallory")
    identity = accounts.Identity(signatures.public_key_of(mallory), inbox_of("mallory"))
    recovery = signatures.public_key_of(anna.recovery_seed)
    body = accounts.CreateAccountBody(seed_of("nonce anna"), identity, recovery, anna.device_id, seed_of("key"))
    forged = accounts.build_account_entry(
        AccountKind.CREATE, body, mallory, account=anna.account_id, head=Head(0, b""), signed_ms=NOW_MS
    )
    assert refused(None, forged) is Code.LEDGER_RULE


def test_a_creation_must_be_signed_by_its_identity() -> None:
    """Who only knows the public keys cannot create the account in another's name."""
    anna = Person("anna")
    recovery = signatures.public_key_of(anna.recovery_seed)
    body = accounts.CreateAccountBody(seed_of("nonce anna"), anna.identity, recovery, anna.device_id, seed_of("key"))
    forged = accounts.build_account_entry(
        AccountKind.CREATE, body, seed_of("mallory"), account=anna.account_id, head=Head(0, b""), signed_ms=NOW_MS
    )
    assert refused(None, forged) is Code.SIGNATURE_INVALID


def test_a_ledger_begins_with_creation_once() -> None:
    """Neither a later entry first, nor a second creation, nor nothing at all."""
    anna = Person("anna")
    device = accounts.AddDeviceBody(id_of("laptop"), seed_of("key"))
    assert refused(None, anna.entry(AccountKind.ADD_DEVICE, device)) is Code.LEDGER_RULE
    recovery = signatures.public_key_of(anna.recovery_seed)
    again = accounts.CreateAccountBody(seed_of("nonce anna"), anna.identity, recovery, anna.device_id, seed_of("key"))
    assert refused(anna.account, anna.entry(AccountKind.CREATE, again)) is Code.LEDGER_RULE
    assert refusal(accounts.apply_account_entries, None, []) is Code.LEDGER_RULE


def test_entries_follow_one_another_and_their_account() -> None:
    """A replayed, skipped or foreign entry is refused."""
    anna, bert = Person("anna"), Person("bert")
    device = accounts.AddDeviceBody(id_of("laptop"), seed_of("key"))
    assert refused(bert.account, anna.entry(AccountKind.ADD_DEVICE, device)) is Code.LEDGER_RULE
    skipping = anna.entry(AccountKind.ADD_DEVICE, device, head=Head(7, anna.account.head.hash))
    assert refused(anna.account, skipping) is Code.ACCOUNT_LEDGER_CONFLICT
    forked = anna.entry(AccountKind.ADD_DEVICE, device, head=Head(1, seed_of("other")))
    assert refused(anna.account, forked) is Code.ACCOUNT_LEDGER_CONFLICT


def test_devices_are_added_once_and_revoked_once() -> None:
    """The same device twice, an unknown one, and more than the limit are refused."""
    anna = Person("anna")
    again = accounts.AddDeviceBody(anna.device_id, seed_of("key"))
    assert refused(anna.account, anna.entry(AccountKind.ADD_DEVICE, again)) is Code.LEDGER_RULE
    unknown = accounts.RevokeDeviceBody(id_of("nobody"))
    assert refused(anna.account, anna.entry(AccountKind.REVOKE_DEVICE, unknown)) is Code.LEDGER_RULE
    anna.revoke_device(anna.device_id)
    twice = accounts.RevokeDeviceBody(anna.device_id)
    assert refused(anna.account, anna.entry(AccountKind.REVOKE_DEVICE, twice)) is Code.LEDGER_RULE


def test_a_device_cannot_sign_for_the_identity() -> None:
    """A stolen laptop's own key adds no device to the account."""
    anna = Person("anna")
    device = accounts.AddDeviceBody(id_of("thief"), seed_of("key"))
    stolen = anna.entry(AccountKind.ADD_DEVICE, device, seed=anna.device_seed)
    assert refused(anna.account, stolen) is Code.SIGNATURE_INVALID


def test_an_identity_rotates_with_the_recovery_key_only() -> None:
    """The account secret alone, as a stolen laptop holds it, rotates nothing."""
    anna = Person("anna")
    new_seed = seed_of("new identity")
    thief = rotation(anna, recovery=anna.identity_seed, new_seed=new_seed)
    assert refused(anna.account, thief) is Code.SIGNATURE_INVALID
    unproven = rotation(anna, recovery=anna.recovery_seed, new_seed=seed_of("not it"))
    assert refused(anna.account, unproven) is Code.SIGNATURE_INVALID
    without_old = rotation(anna, recovery=anna.recovery_seed, new_seed=new_seed, signer=anna.recovery_seed)
    assert refused(anna.account, without_old) is Code.SIGNATURE_INVALID
    anna.take(rotation(anna, recovery=anna.recovery_seed, new_seed=new_seed))
    assert anna.account.identity.signing == signatures.public_key_of(new_seed)
    late = anna.entry(AccountKind.ADD_DEVICE, accounts.AddDeviceBody(id_of("late"), seed_of("key")))
    assert refused(anna.account, late) is Code.SIGNATURE_INVALID


def test_a_rotation_counts_at_its_own_place_only() -> None:
    """What the recovery key signed once cannot be shown again later, by a thief who holds the identity meanwhile."""
    anna = Person("anna")
    spent = rotation_body(anna, recovery=anna.recovery_seed, new_seed=seed_of("new identity"))
    rotated = accounts.apply_account_entry(anna.account, anna.entry(AccountKind.ROTATE_IDENTITY, spent))
    assert rotated.identity == spent.identity
    anna.add_device("laptop")
    assert refused(anna.account, anna.entry(AccountKind.ROTATE_IDENTITY, spent)) is Code.SIGNATURE_INVALID


@pytest.mark.parametrize("head", [Head(1, b""), Head(0, seed_of("before"))])
def test_nothing_comes_before_a_creation(head: Head) -> None:
    """A creation that names an entry before it, or another number, is no beginning."""
    anna = Person("anna")
    body = accounts.CreateAccountBody(
        seed_of("nonce anna"),
        anna.identity,
        signatures.public_key_of(anna.recovery_seed),
        anna.device_id,
        signatures.public_key_of(anna.device_seed),
    )
    assert accounts.apply_account_entry(None, anna.entry(AccountKind.CREATE, body, head=NO_HEAD)) is not None
    assert refused(None, anna.entry(AccountKind.CREATE, body, head=head)) is Code.LEDGER_RULE


def unknown_entry(anna: Person, *, critical: bool, version: int = 1) -> bytes:
    """Build an entry of a kind that this version does not know."""
    header = accounts.AccountHeader(
        version, critical, "emergency.contact", anna.account_id, 2, anna.account.head.hash, NOW_MS
    )
    body = pack(accounts.RevokeDeviceBody(id_of("any")))
    content = msgspec.msgpack.encode([header, msgspec.Raw(body)])
    signature = signatures.sign(anna.identity_seed, context(Label.SIGN_ACCOUNT_ENTRY, content))
    return msgspec.msgpack.encode([content, signature])


def test_unknown_entries_stop_only_where_they_are_critical() -> None:
    """A later version's entry is passed over, or asks for an update."""
    anna = Person("anna")
    assert refused(anna.account, unknown_entry(anna, critical=True)) is Code.ENTRY_UNKNOWN_CRITICAL
    assert refused(None, unknown_entry(anna, critical=False)) is Code.ENTRY_UNKNOWN_CRITICAL
    state = accounts.apply_account_entry(anna.account, unknown_entry(anna, critical=False, version=2))
    assert state.devices == anna.account.devices
    assert state.head.number == 2


def test_what_this_version_knows_is_told_by_kind_and_version() -> None:
    """A server asks, and takes neither another kind nor a known kind of a later version, critical or not."""
    anna = Person("anna")
    assert accounts.is_known_account_entry(anna.entries[0])
    assert not accounts.is_known_account_entry(unknown_entry(anna, critical=False))
    header = accounts.AccountHeader(
        2, False, AccountKind.REVOKE_DEVICE, anna.account_id, 2, anna.account.head.hash, NOW_MS
    )
    content = msgspec.msgpack.encode([header, msgspec.Raw(pack(accounts.RevokeDeviceBody(anna.device_id)))])
    assert not accounts.is_known_account_entry(msgspec.msgpack.encode([content, bytes(64)]))


@pytest.mark.parametrize("garbage", [b"", b"\x92", b"\x92\xc4\x00\xc4\x00", b"null", b"\xc1" * 40])
def test_garbage_is_malformed(garbage: bytes) -> None:
    """Bytes that are no entry get their refusal, whatever they are."""
    assert refused(None, garbage) is Code.ENTRY_MALFORMED


def test_there_is_a_limit_to_devices() -> None:
    """An account cannot be grown without bound."""
    anna = Person("anna")
    for number in range(accounts.MAX_DEVICES - 1):
        anna.add_device(f"device {number}")
    more = accounts.AddDeviceBody(id_of("one more"), seed_of("key"))
    assert refused(anna.account, anna.entry(AccountKind.ADD_DEVICE, more)) is Code.LEDGER_RULE
    anna.revoke_device(id_of("device device 7"))
    anna.take(anna.entry(AccountKind.ADD_DEVICE, more))
    worn = {id_of(f"old {number}"): accounts.Device(b"", revoked=True) for number in range(accounts.MAX_DEVICES_EVER)}
    late = anna.entry(AccountKind.ADD_DEVICE, accounts.AddDeviceBody(id_of("late"), seed_of("key")))
    assert refused(replace(anna.account, devices=worn), late) is Code.LEDGER_RULE
