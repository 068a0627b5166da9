-- What `safelight-server check` reads, notes and corrects.

-- name: held_between
SELECT name, MIN(size_bytes), MAX(size_bytes) FROM space_blobs WHERE name >= :first AND name < :last
GROUP BY name ORDER BY name;

-- name: named
SELECT name FROM space_blobs WHERE name IN (:each)
UNION SELECT name FROM link_blobs WHERE name IN (:each)
UNION SELECT name FROM forgotten_blobs WHERE name IN (:each)
UNION SELECT digest FROM uploads WHERE state = 'open' AND digest IN (:each);

-- name: orphans_seen
SELECT name, seen_ms FROM orphan_blobs WHERE name IN (:each);

-- name: holders
SELECT b.space_id, (SELECT COUNT(DISTINCT r.owner_id) FROM blob_refs AS r
    WHERE r.space_id = b.space_id AND r.name = b.name)
FROM space_blobs AS b WHERE b.name = :name ORDER BY b.space_id;

-- name: bad
SELECT c.name, MAX(b.size_bytes) FROM blob_checks AS c JOIN space_blobs AS b ON b.name = c.name
WHERE c.found <> '' AND c.name > :after GROUP BY c.name ORDER BY c.name LIMIT :page;

-- name: unchecked
SELECT b.name, MAX(b.size_bytes) FROM space_blobs AS b
WHERE b.name > :after AND NOT EXISTS (SELECT 1 FROM blob_checks AS c WHERE c.name = b.name)
GROUP BY b.name ORDER BY b.name LIMIT :page;

-- name: long_unchecked
SELECT c.name, COALESCE((SELECT MAX(b.size_bytes) FROM space_blobs AS b WHERE b.name = c.name), 0)
FROM blob_checks AS c WHERE c.checked_ms < :before_ms ORDER BY c.checked_ms LIMIT :page;

-- name: note
INSERT INTO blob_checks (name, checked_ms, found) VALUES (:name, :checked_ms, :found)
ON CONFLICT (name) DO UPDATE SET checked_ms = excluded.checked_ms, found = excluded.found;

-- name: drop_note
DELETE FROM blob_checks WHERE name = :name;

-- name: space_ids
SELECT space_id FROM spaces WHERE space_id > :after ORDER BY space_id LIMIT :page;

-- name: account_heads
SELECT account_id, ledger_number, ledger_hash FROM accounts WHERE account_id > :after ORDER BY account_id LIMIT :page;

-- name: trashed
SELECT DISTINCT asset_id FROM trashed_blobs WHERE space_id = :space_id;

-- name: wrong_trash
-- Blobs that are in the trash and not their asset's, or its and not in the trash.
SELECT t.asset_id FROM trashed_blobs AS t WHERE t.space_id = :space_id AND NOT EXISTS (
    SELECT 1 FROM assets AS a JOIN blob_refs AS r ON r.space_id = a.space_id AND r.number = a.number
    WHERE a.space_id = t.space_id AND a.asset_id = t.asset_id AND r.owner_id = t.asset_id AND r.place = t.place
    AND r.name = t.name
)
UNION SELECT r.owner_id FROM (SELECT DISTINCT asset_id FROM trashed_blobs WHERE space_id = :space_id) AS named
JOIN assets AS a ON a.space_id = :space_id AND a.asset_id = named.asset_id
JOIN blob_refs AS r ON r.space_id = a.space_id AND r.number = a.number AND r.owner_id = a.asset_id
WHERE NOT EXISTS (
    SELECT 1 FROM trashed_blobs AS o WHERE o.space_id = r.space_id AND o.asset_id = r.owner_id AND o.place = r.place
);

-- name: proposed
SELECT asset_id FROM proposed_assets WHERE space_id = :space_id;

-- name: clear_proposed
DELETE FROM proposed_assets WHERE space_id = :space_id;

-- name: clear_trash
DELETE FROM trashed_blobs WHERE space_id = :space_id;

-- name: members
SELECT account_id, role FROM members WHERE space_id = :space_id;

-- name: sums
SELECT s.used_bytes,
    CAST((SELECT COALESCE(SUM(used_bytes), 0) FROM positions WHERE space_id = :space_id) AS BIGINT),
    CAST((SELECT COALESCE(SUM(size_bytes), 0) FROM entries WHERE space_id = :space_id)
        + (SELECT COALESCE(SUM(LENGTH(box)), 0) FROM boxes WHERE space_id = :space_id)
        + (SELECT COALESCE(SUM(b.size_bytes), 0) FROM (
            SELECT DISTINCT name FROM blob_refs WHERE space_id = :space_id
        ) AS named JOIN space_blobs AS b ON b.name = named.name AND b.space_id = :space_id) AS BIGINT)
FROM spaces AS s WHERE s.space_id = :space_id;

-- name: wrong_refs
SELECT b.name, b.refs, COALESCE(c.counted, 0) FROM space_blobs AS b LEFT JOIN (
    SELECT name, COUNT(*) AS counted FROM blob_refs
    WHERE space_id = :space_id AND name >= :first AND name < :last GROUP BY name
) AS c ON c.name = b.name
WHERE b.name >= :first AND b.name < :last AND b.space_id = :space_id AND b.refs <> COALESCE(c.counted, 0);

-- name: unheld_refs
SELECT r.name, MIN(r.number) FROM blob_refs AS r WHERE r.space_id = :space_id
AND NOT EXISTS (SELECT 1 FROM space_blobs AS b WHERE b.name = r.name AND b.space_id = r.space_id)
GROUP BY r.name LIMIT :page;

-- name: lock_blob
SELECT refs FROM space_blobs WHERE name = :name AND space_id = :space_id FOR UPDATE;

-- name: set_refs
UPDATE space_blobs SET refs = (SELECT COUNT(*) FROM blob_refs WHERE space_id = :space_id AND name = :name)
WHERE name = :name AND space_id = :space_id;

-- name: set_used
UPDATE spaces SET used_bytes = :used_bytes WHERE space_id = :space_id;

-- name: set_size
UPDATE space_blobs SET size_bytes = :size_bytes WHERE name = :name;
