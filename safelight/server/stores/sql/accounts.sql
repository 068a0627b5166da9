-- Invites, accounts, their ledgers, unlockers and keyrings.

-- name: add_invite
INSERT INTO invites (code_hash, expires_ms) VALUES (:code_hash, :expires_ms);

-- name: use_invite
DELETE FROM invites WHERE code_hash = :code_hash AND expires_ms > :now_ms RETURNING code_hash;

-- name: delete_expired_invites
DELETE FROM invites WHERE expires_ms <= :now_ms;

-- name: create
INSERT INTO accounts (account_id, name, created_ms, ledger_number, ledger_hash)
VALUES (:account_id, :name, :created_ms, :ledger_number, :ledger_hash)
ON CONFLICT DO NOTHING RETURNING account_id;

-- name: by_name
SELECT account_id, name, created_ms, ledger_number, ledger_hash FROM accounts WHERE name = :name;

-- name: by_id
SELECT account_id, name, created_ms, ledger_number, ledger_hash FROM accounts WHERE account_id = :account_id;

-- name: lock
SELECT ledger_number FROM accounts WHERE account_id = :account_id FOR UPDATE;

-- name: advance
UPDATE accounts SET ledger_number = :ledger_number, ledger_hash = :ledger_hash
WHERE account_id = :account_id;

-- name: add_entry
INSERT INTO account_entries (account_id, number, entry_id, time_ms, envelope)
VALUES (:account_id, :number, :entry_id, :time_ms, :envelope);

-- name: entries
SELECT envelope FROM account_entries WHERE account_id = :account_id AND number > :after ORDER BY number;

-- name: set_unlocker
INSERT INTO unlockers (account_id, kind, auth_hash, wrapped, salt, memory_kib, passes)
VALUES (:account_id, :kind, :auth_hash, :wrapped, :salt, :memory_kib, :passes)
ON CONFLICT (account_id, kind) DO UPDATE SET
    auth_hash = excluded.auth_hash, wrapped = excluded.wrapped, salt = excluded.salt,
    memory_kib = excluded.memory_kib, passes = excluded.passes;

-- name: unlocker
SELECT kind, auth_hash, wrapped, salt, memory_kib, passes FROM unlockers
WHERE account_id = :account_id AND kind = :kind;

-- name: keyring
SELECT version, sealed FROM keyrings WHERE account_id = :account_id;

-- name: first_keyring
INSERT INTO keyrings (account_id, version, sealed) VALUES (:account_id, 1, :sealed)
ON CONFLICT (account_id) DO NOTHING RETURNING version;

-- name: next_keyring
UPDATE keyrings SET version = version + 1, sealed = :sealed
WHERE account_id = :account_id AND version = :before RETURNING version;
