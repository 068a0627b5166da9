"""A lost device: a new identity for its account, and every other device shut out (docs/spec/keys.md §5).

Whoever has a device that could read has the account secret, and with it all that is ever sealed to its identity. A new
password does not change that. So the account gets a new secret and a new identity, vouched for by the recovery words,
which lie on paper; and each of its spaces a new epoch, which is sealed to that identity.
"""

import asyncio
import secrets

import msgspec

from safelight.clients.engine.account_entries import AccountKeys, EntryChain
from safelight.clients.engine.account_session import AccountSession
from safelight.clients.engine.keyring_document import KeyringDocument
from safelight.clients.engine.profile_secrets import ProfileSecrets, rewrap, unwrap, with_next_secret
from safelight.clients.engine.unlocking import check_new_password, password_unlocker, recovery_unlocker
from safelight.sync_protocol import signatures
from safelight.sync_protocol.account_ledger import AccountKind, RevokeDeviceBody
from safelight.sync_protocol.limits import KEY_SIZE_BYTES
from safelight.sync_protocol.messages.accounts import AppendAccountEntries, NewUnlocker
from safelight.sync_protocol.refusals import Code, Refused
from safelight.sync_protocol.sealing import passwords

_MAX_ATTEMPTS = 4
# Somebody else was at the account's ledger or keyring meanwhile: look again, and sign anew.
_OVERTAKEN = frozenset({Code.ACCOUNT_LEDGER_CONFLICT, Code.KEYRING_CONFLICT})


async def renew_identity(session: AccountSession, words: str, password: str) -> None:
    """Give the account a new identity, and shut out all its devices but this one.

    The account's first recovery *words* vouch for it, since the ledger knows their key, and are its recovery words from
    then on; *password*, which opens the profile where it needs one, is its password. The server is not asked whether it
    was so before: *a thief sets another first*, and this device and the words are enough. Ledger, unlockers and keyring
    change in one step or not at all; stopped anywhere, the same call, or the next opening of the profile, goes on. The
    session is to be opened anew afterwards. Raises WORDS_INVALID, PROFILE_LOCKED, and BAD_REQUEST for a password under
    8 characters.
    """
    check_new_password(password)
    entropy = passwords.words_to_entropy(words)
    recovery_seed = passwords.recovery_keys(entropy)[2]
    if signatures.public_key_of(recovery_seed) != session.state.recovery_signing:
        raise Refused(Code.WORDS_INVALID, "a new identity needs the words that the account was made with")
    held = await asyncio.to_thread(unwrap, session.profile, password)
    for attempt in range(_MAX_ATTEMPTS):
        try:
            await _renew(session, held, entropy, recovery_seed, password)
            return
        except Refused as refusal:
            if refusal.code not in _OVERTAKEN or attempt == _MAX_ATTEMPTS - 1:
                raise
            await session.refresh()


async def _renew(
    session: AccountSession, held: ProfileSecrets, entropy: bytes, recovery_seed: bytes, password: str
) -> None:
    now_ms = session.clock()
    # Kept before the server hears of it: after a lost answer nothing else would open the account on this device.
    secret = held.next_account_secret or session.next_secret or secrets.token_bytes(KEY_SIZE_BYTES)
    session.next_secret = secret
    keeping = msgspec.structs.replace(held, next_account_secret=secret)
    session.keep(await asyncio.to_thread(rewrap, session.profile, keeping, password))
    chain = EntryChain(session.keys, session.account_id, session.state.head)
    for device_id, device in session.state.devices.items():
        if not device.revoked and device_id != session.device.device_id:
            chain.add(AccountKind.REVOKE_DEVICE, RevokeDeviceBody(device_id), now_ms)
    chain.rotate(AccountKeys(secret), recovery_seed, now_ms)
    unlockers = await _unlockers(chain, entropy, password, now_ms)
    renewed = KeyringDocument(session.connection, session.account_id, secret, session.keyring.version)
    content = msgspec.structs.replace(
        session.content,
        account_number=chain.head.number,
        account_hash=chain.head.hash,
        former_secrets=[session.keys.secret, *session.content.former_secrets],
    )
    next_keyring = renewed.next_version(content)
    await session.append(AppendAccountEntries(chain.entries, unlockers, next_keyring), repeatable=False)
    # *A server that said yes and kept nothing*: while this device holds both secrets, nothing is lost by it.
    if await renewed.fetch() != content:
        raise Refused(Code.KEYRING_CONFLICT, "the server shows another keyring than it was given")
    pinned = msgspec.structs.replace(
        session.profile,
        account_number=chain.head.number,
        account_hash=chain.head.hash,
        keyring_version=renewed.version,
        words="shown",
    )
    session.keep(await asyncio.to_thread(rewrap, pinned, with_next_secret(keeping), password))


async def _unlockers(chain: EntryChain, entropy: bytes, password: str, now_ms: int) -> list[NewUnlocker]:
    by_password = await password_unlocker(chain, password, now_ms)
    return [by_password, recovery_unlocker(chain, entropy, now_ms)]
