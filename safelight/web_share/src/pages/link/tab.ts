/** What a tab remembers of an opened link, so that a reload asks nobody anything (docs/decisions/0006).
 *
 * sessionStorage, which is this tab's and ends with it, holds that the link was opened, until when, and, where there is a
 * password, the link key and its proof sealed under a key that script cannot export, which lies in IndexedDB. Either half
 * alone opens nothing; both end with the server's session.
 */

import { concat, fromHex, randomBytes, toHex, type Bytes } from "../../protocol/bytes.ts";
import { KEY_SIZE_BYTES } from "../../protocol/limits.ts";

const DATABASE = "safelight-tabs";
const STORE = "keys";
const NONCE_SIZE_BYTES = 12;

/** What the password gave. */
export interface PasswordKeys {
  readonly linkKey: Bytes;
  readonly proof: Bytes;
}

export interface Remembered {
  /** The highest manifest number seen: a lower one later is a server that rolled back. */
  readonly manifestNumber: number;
  readonly keys?: PasswordKeys;
}

interface Note {
  readonly untilMs: number;
  readonly manifestNumber: number;
  readonly keyName?: string;
  readonly sealed?: string;
}

interface StoredKey {
  readonly name: string;
  readonly key: CryptoKey;
  readonly untilMs: number;
}

/** Keep what a reload needs until `untilMs`; where the browser keeps nothing, the reload asks again. */
export async function remember(linkId: string, untilMs: number, { manifestNumber, keys }: Remembered): Promise<void> {
  const before = readNote(linkId);
  let note: Note = { untilMs, manifestNumber };
  try {
    if (keys) {
      const keyName = before?.keyName ?? toHex(randomBytes(16));
      const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
      const iv = randomBytes(NONCE_SIZE_BYTES);
      const plaintext = concat(keys.linkKey, keys.proof);
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plaintext));
      await inStore("readwrite", (store) => store.put({ name: keyName, key, untilMs } satisfies StoredKey));
      note = { ...note, keyName, sealed: toHex(concat(iv, sealed)) };
    }
    sessionStorage.setItem(noteName(linkId), JSON.stringify(note));
  } catch {
    // Storage is full or switched off.
  }
}

/** What this tab remembers of the link; undefined if nothing, or not any more. */
export async function recall(linkId: string, nowMs: number): Promise<Remembered | undefined> {
  const note = readNote(linkId);
  if (!note) return undefined;
  if (note.untilMs <= nowMs) {
    await forget(linkId);
    return undefined;
  }
  if (!note.keyName || !note.sealed) return { manifestNumber: note.manifestNumber };
  try {
    const stored: unknown = await inStore("readonly", (store) => store.get(note.keyName!));
    const sealed = fromHex(note.sealed);
    if (!stored || !sealed) return undefined;
    const algorithm = { name: "AES-GCM", iv: sealed.slice(0, NONCE_SIZE_BYTES) };
    const { key } = stored as StoredKey;
    const opened = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, sealed.slice(NONCE_SIZE_BYTES)));
    const keys = { linkKey: opened.slice(0, KEY_SIZE_BYTES), proof: opened.slice(KEY_SIZE_BYTES) };
    return { manifestNumber: note.manifestNumber, keys };
  } catch {
    return undefined;
  }
}

/** Forget the link in this tab: the next visit is a first one. */
export async function forget(linkId: string): Promise<void> {
  const keyName = readNote(linkId)?.keyName;
  try {
    sessionStorage.removeItem(noteName(linkId));
    if (keyName) await inStore("readwrite", (store) => store.delete(keyName));
  } catch {
    // Nothing was kept.
  }
}

/** Delete the keys of tabs that were closed and whose sessions are over. */
export async function sweep(nowMs: number): Promise<void> {
  try {
    const stored: unknown = await inStore("readonly", (store) => store.getAll());
    const over = (stored as StoredKey[]).filter(({ untilMs }) => untilMs <= nowMs);
    for (const { name } of over) await inStore("readwrite", (store) => store.delete(name));
  } catch {
    // There is no database, then.
  }
}

function noteName(linkId: string): string {
  return `safelight/link/${linkId}`;
}

function readNote(linkId: string): Note | undefined {
  try {
    const note: unknown = JSON.parse(sessionStorage.getItem(noteName(linkId)) ?? "null");
    return note && typeof (note as Note).untilMs === "number" ? (note as Note) : undefined;
  } catch {
    return undefined;
  }
}

async function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await openDatabase();
  try {
    return await settled(act(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "name" });
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
}
