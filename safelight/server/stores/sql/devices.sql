-- What signs, and the bearer tokens of its sessions.

-- name: add
INSERT INTO devices (device_id, owner_id, space_id, kind, key, created_ms, last_seen_ms, revoked)
VALUES (:device_id, :owner_id, :space_id, :kind, :key, :created_ms, :last_seen_ms, :revoked)
ON CONFLICT (device_id) DO NOTHING RETURNING device_id;

-- name: by_id
SELECT device_id, owner_id, space_id, kind, key, created_ms, last_seen_ms, revoked FROM devices
WHERE device_id = :device_id;

-- name: by_owner
-- A guest's owner is its upload link, whose id may be chosen to be an account's.
SELECT device_id, owner_id, space_id, kind, key, created_ms, last_seen_ms, revoked FROM devices
WHERE owner_id = :owner_id AND kind <> 'guest' ORDER BY created_ms, device_id;

-- name: touch
UPDATE devices SET last_seen_ms = :now_ms WHERE device_id = :device_id AND last_seen_ms < :now_ms;

-- name: revoke
UPDATE devices SET revoked = 1 WHERE device_id = :device_id AND owner_id = :owner_id;

-- name: revoke_in_space
UPDATE devices SET revoked = 1 WHERE device_id = :device_id AND space_id = :space_id;

-- name: add_session
INSERT INTO sessions (token_hash, purpose, account_id, device_id, space_id, expires_ms)
VALUES (:token_hash, :purpose, :account_id, :device_id, :space_id, :expires_ms);

-- name: limit_sessions
-- The newest few of a device, or of an account's tickets, stay.
DELETE FROM sessions WHERE purpose = :purpose AND device_id = :device_id AND account_id = :account_id
AND token_hash NOT IN (
    SELECT s.token_hash FROM sessions AS s
    WHERE s.purpose = :purpose AND s.device_id = :device_id AND s.account_id = :account_id
    ORDER BY s.expires_ms DESC, s.token_hash = :token_hash DESC LIMIT :keep
);

-- name: sessions
SELECT s.token_hash, s.purpose, s.account_id, s.device_id, s.space_id, s.expires_ms FROM sessions AS s
LEFT JOIN devices AS d ON d.device_id = s.device_id
WHERE s.token_hash IN (:each) AND COALESCE(d.revoked, 0) = 0;

-- name: delete_session
DELETE FROM sessions WHERE token_hash = :token_hash;

-- name: holds
SELECT s.token_hash FROM sessions AS s LEFT JOIN devices AS d ON d.device_id = s.device_id
WHERE s.token_hash = :token_hash AND s.account_id = :account_id AND COALESCE(d.revoked, 0) = 0;

-- name: delete_tickets_of
-- Tickets have no device: so they are found by the index of devices, among those of the last minutes.
DELETE FROM sessions WHERE device_id = :no_device AND purpose = 'ticket' AND account_id = :account_id;

-- name: delete_sessions_of
DELETE FROM sessions WHERE device_id = :device_id;

-- name: delete_sessions_in
-- Only those of a camera of the space: whoever commits to a space ends no session elsewhere.
DELETE FROM sessions WHERE device_id = :device_id AND space_id = :space_id;

-- name: delete_expired_sessions
DELETE FROM sessions WHERE expires_ms <= :now_ms;
