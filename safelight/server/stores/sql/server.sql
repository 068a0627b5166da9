-- What the server remembers of itself, and the time below which its clock never falls.

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: claim_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING;

-- name: highest_time
SELECT COALESCE(MAX(time_ms), 0) FROM spaces;

-- name: highest_time_of_all
SELECT MAX(time_ms) FROM (
    SELECT COALESCE(MAX(time_ms), 0) AS time_ms FROM spaces
    UNION ALL SELECT COALESCE(MAX(time_ms), 0) FROM account_entries
    UNION ALL SELECT COALESCE(MAX(created_ms), 0) FROM accounts
) AS times;
