/** Account ledgers: who a person is. Their identity, devices and unlockers, signed entry by signed entry; mirror of the
 * reader's side of sync_protocol/account_ledger.py (docs/spec/keys.md).
 */

import { equal, sha256, toHex, type Bytes } from "./bytes.ts";
import { Label, context } from "./contexts.ts";
import { INBOX_KEY_SIZE_BYTES, KEY_SIZE_BYTES } from "./limits.ts";
import { NO_HEAD, envelopeShape, kind, signatureBytes, type Head } from "./log.ts";
import { Code, Refused } from "./refusals.ts";
import { verify } from "./signatures.ts";
import {
  bytes,
  count,
  flag,
  hash,
  id,
  optionalHash,
  ordinal,
  packSigned,
  pattern,
  signed,
  unpack,
  unpackContent,
  type Shaped,
} from "./wire.ts";

export const publicKey = bytes(KEY_SIZE_BYTES, KEY_SIZE_BYTES);
export const inboxKey = bytes(INBOX_KEY_SIZE_BYTES, INBOX_KEY_SIZE_BYTES);

const ACCOUNT_ENTRY_VERSION = 1;
// Revoked devices stay in the ledger for ever, so they have a limit of their own.
const MAX_DEVICES = 200;
const MAX_DEVICES_EVER = 10_000;
const MAX_UNLOCKERS = 64;

const accountHeader = signed({
  version: count,
  critical: flag,
  kind,
  accountId: id,
  number: ordinal,
  previousId: optionalHash,
  signedMs: count,
});
type AccountHeader = Shaped<typeof accountHeader>;

/** An account's public identity: signing (Ed25519) and sealing (X-Wing) keys. */
const identityShape = signed({ signing: publicKey, sealing: inboxKey });
export type Identity = Shaped<typeof identityShape>;

const createAccountBody = signed({
  nonce: hash,
  identity: identityShape,
  recoverySigning: publicKey,
  deviceId: id,
  deviceKey: publicKey,
});
const addDeviceBody = signed({ deviceId: id, deviceKey: publicKey });
const revokeDeviceBody = signed({ deviceId: id });
const setUnlockerBody = signed({ unlocker: pattern(/^[a-z-]+$/, 32), wrappedHash: hash });
const rotateIdentityBody = signed({
  identity: identityShape,
  recoverySignature: signatureBytes,
  newSignature: signatureBytes,
});

const KINDS = ["account.create", "device.add", "device.revoke", "unlocker.set", "identity.rotate"];

/** A device's signing key, and whether it still counts. */
export interface Device {
  readonly id: Bytes;
  readonly key: Bytes;
  readonly revoked: boolean;
}

/** What an account's ledger says up to its head; devices by their id in hexadecimal. */
export interface AccountState {
  readonly accountId: Bytes;
  readonly head: Head;
  readonly identity: Identity;
  readonly recoverySigning: Bytes;
  readonly devices: ReadonlyMap<string, Device>;
  readonly unlockers: ReadonlyMap<string, Bytes>;
}

/** The signing key of a device in good standing. */
export function deviceKey(state: AccountState, deviceId: Bytes): Bytes | undefined {
  const device = state.devices.get(toHex(deviceId));
  return device?.revoked ? undefined : device?.key;
}

/** The 16-byte id of the account that begins with these keys: a server cannot swap them. */
export async function accountId(nonce: Bytes, identity: Identity, recoverySigning: Bytes): Promise<Bytes> {
  const parts = [nonce, identity.signing, identity.sealing, recoverySigning];
  return (await sha256(context(Label.ACCOUNT_ID, ...parts))).slice(0, 16);
}

/** Take one entry: state + entry → state, or a named refusal. */
export async function applyAccountEntry(state: AccountState | undefined, envelope: Bytes): Promise<AccountState> {
  const outer = unpack(envelope, envelopeShape);
  const { header, body } = unpackContent(outer.content, accountHeader);
  const isKnown = header.version === ACCOUNT_ENTRY_VERSION && KINDS.includes(header.kind);
  const newer = new Refused(Code.ENTRY_UNKNOWN_CRITICAL, `${header.kind}, version ${header.version}`);
  if (!isKnown && !state) throw newer;
  const message = context(Label.SIGN_ACCOUNT_ENTRY, outer.content);
  const head = { number: header.number, hash: await sha256(envelope) };
  if (!state) return create(header, body, outer.signature, message, head);
  const change = isKnown ? readChange(header.kind, body) : unchanged;
  if (!equal(header.accountId, state.accountId)) {
    throw new Refused(Code.LEDGER_RULE, "the entry belongs to another account");
  }
  if (header.number !== state.head.number + 1 || !equal(header.previousId, state.head.hash)) {
    throw new Refused(
      Code.ACCOUNT_LEDGER_CONFLICT,
      `entry ${header.number} does not follow entry ${state.head.number}`,
    );
  }
  await verify(state.identity.signing, outer.signature, message);
  if (!isKnown && header.critical) throw newer;
  return { ...(await change(state, header)), head };
}

/** Take several entries in order; LEDGER_RULE if there is none to begin with. */
export async function applyAccountEntries(
  state: AccountState | undefined,
  envelopes: readonly Bytes[],
): Promise<AccountState> {
  for (const envelope of envelopes) state = await applyAccountEntry(state, envelope);
  if (!state) throw new Refused(Code.LEDGER_RULE, "an account's ledger begins with its creation");
  return state;
}

async function create(
  header: AccountHeader,
  body: Bytes,
  signature: Bytes,
  message: Bytes,
  head: Head,
): Promise<AccountState> {
  if (header.kind !== "account.create") {
    readChange(header.kind, body); // a malformed body is called that first
    throw new Refused(Code.LEDGER_RULE, "an account's ledger begins with its creation");
  }
  const created = unpack(body, createAccountBody);
  if (header.number !== 1 || !equal(header.previousId, NO_HEAD.hash)) {
    throw new Refused(Code.LEDGER_RULE, "an account's ledger begins with its creation");
  }
  if (!equal(header.accountId, await accountId(created.nonce, created.identity, created.recoverySigning))) {
    throw new Refused(Code.LEDGER_RULE, "the account's id is not made from its keys");
  }
  await verify(created.identity.signing, signature, message);
  const first = { id: created.deviceId, key: created.deviceKey, revoked: false };
  return {
    accountId: header.accountId,
    head,
    identity: created.identity,
    recoverySigning: created.recoverySigning,
    devices: new Map([[toHex(created.deviceId), first]]),
    unlockers: new Map(),
  };
}

type Change = (state: AccountState, header: AccountHeader) => AccountState | Promise<AccountState>;
const unchanged: Change = (state) => state;

/** Read a body of a known kind and return what it does. */
function readChange(entryKind: string, body: Bytes): Change {
  switch (entryKind) {
    case "device.add":
      return addDevice(unpack(body, addDeviceBody));
    case "device.revoke":
      return revokeDevice(unpack(body, revokeDeviceBody));
    case "unlocker.set":
      return setUnlocker(unpack(body, setUnlockerBody));
    case "identity.rotate":
      return rotateIdentity(unpack(body, rotateIdentityBody));
    default:
      unpack(body, createAccountBody);
      return () => {
        throw new Refused(Code.LEDGER_RULE, "an account is created once");
      };
  }
}

function withDevice(state: AccountState, device: Device): AccountState {
  return { ...state, devices: new Map([...state.devices, [toHex(device.id), device]]) };
}

function addDevice(body: Shaped<typeof addDeviceBody>): Change {
  return (state) => {
    const standing = [...state.devices.values()].filter((device) => !device.revoked).length;
    const full = standing >= MAX_DEVICES || state.devices.size >= MAX_DEVICES_EVER;
    if (state.devices.has(toHex(body.deviceId)) || full) {
      throw new Refused(Code.LEDGER_RULE, "the device is there already, or there are too many");
    }
    return withDevice(state, { id: body.deviceId, key: body.deviceKey, revoked: false });
  };
}

function revokeDevice(body: Shaped<typeof revokeDeviceBody>): Change {
  return (state) => {
    const device = state.devices.get(toHex(body.deviceId));
    if (!device || device.revoked) throw new Refused(Code.LEDGER_RULE, "there is no such device to revoke");
    return withDevice(state, { ...device, revoked: true });
  };
}

function setUnlocker({ unlocker, wrappedHash }: Shaped<typeof setUnlockerBody>): Change {
  return (state) => {
    if (!state.unlockers.has(unlocker) && state.unlockers.size >= MAX_UNLOCKERS) {
      throw new Refused(Code.LEDGER_RULE, "there are too many unlockers");
    }
    return { ...state, unlockers: new Map([...state.unlockers, [unlocker, wrappedHash]]) };
  };
}

/** Signed by the old identity as every entry, and besides by the recovery key and by the new identity itself. */
function rotateIdentity(body: Shaped<typeof rotateIdentityBody>): Change {
  return async (state, header) => {
    const byRecovery = rotationMessage(Label.SIGN_IDENTITY_RECOVERY, header, body.identity);
    await verify(state.recoverySigning, body.recoverySignature, byRecovery);
    const byItself = rotationMessage(Label.SIGN_IDENTITY_NEW, header, body.identity);
    await verify(body.identity.signing, body.newSignature, byItself);
    return { ...state, identity: body.identity };
  };
}

function rotationMessage(label: Label, header: AccountHeader, identity: Identity): Bytes {
  return context(label, packSigned(header), packSigned(identity));
}
