-- Spaces as members see them, and their logs read; commits.sql writes them.

-- name: by_id
SELECT space_id, kind, number, chain, ledger_number, ledger_hash, epoch, used_bytes, quota_bytes FROM spaces
WHERE space_id = :space_id;

-- name: ledger_numbers
SELECT space_id, ledger_number FROM spaces WHERE space_id IN (:each);

-- name: of_account
SELECT s.space_id, s.kind, s.number, s.chain, s.ledger_number, s.ledger_hash, s.epoch, s.used_bytes, s.quota_bytes,
    m.role
FROM members AS m JOIN spaces AS s ON s.space_id = m.space_id
WHERE m.account_id = :account_id ORDER BY s.space_id;

-- name: role
SELECT role FROM members WHERE space_id = :space_id AND account_id = :account_id;

-- name: entries
-- A page: at most :page entries and :max_bytes, but at least one; numbers have no gaps.
SELECT number, time_ms, chain, entry_id, envelope, signature FROM entries
WHERE space_id = :space_id AND number > :after AND number <= (
    SELECT COALESCE(MAX(number), :after + 1) FROM (
        SELECT number, SUM(size_bytes) OVER (ORDER BY number) AS total FROM (
            SELECT number, size_bytes FROM entries
            WHERE space_id = :space_id AND number > :after ORDER BY number LIMIT :page
        ) AS page
    ) AS measured WHERE total <= :max_bytes
) ORDER BY number;

-- name: entry_ids
SELECT entry_id FROM entries WHERE space_id = :space_id AND number > :after ORDER BY number LIMIT :page;

-- name: ledger_entries
SELECT number, time_ms, chain, entry_id, envelope, signature FROM entries
WHERE space_id = :space_id AND number > :after AND is_ledger = 1 ORDER BY number LIMIT :page;

-- name: entry
SELECT number, time_ms, chain, entry_id, envelope, signature FROM entries
WHERE space_id = :space_id AND number = :number;

-- name: slot
SELECT number, chain, time_ms FROM entries
WHERE space_id = :space_id AND device_id = :device_id AND counter = :counter AND entry_id = :entry_id;

-- name: blobs_named
SELECT name FROM blob_refs WHERE space_id = :space_id AND number = :number ORDER BY place;

-- name: position
SELECT counter, entry_id FROM positions WHERE space_id = :space_id AND device_id = :device_id;

-- name: box
SELECT box FROM boxes WHERE space_id = :space_id AND epoch = :epoch AND account_id = :account_id;

-- name: fingerprints
SELECT fingerprint, MIN(number) FROM assets
WHERE space_id = :space_id AND LENGTH(fingerprint) > 0 AND fingerprint IN (:each) GROUP BY fingerprint;

-- name: any_bad_blob
SELECT 1 FROM blob_checks WHERE found <> '' LIMIT 1;

-- name: bad_assets
-- Asked only where there is a bad blob: it goes through all references of the space.
SELECT DISTINCT r.owner_id FROM blob_refs AS r JOIN blob_checks AS c ON c.name = r.name
WHERE r.space_id = :space_id AND c.found <> '';

-- name: fingerprinted
SELECT fingerprint, number, asset_id FROM assets
WHERE space_id = :space_id AND LENGTH(fingerprint) > 0 AND fingerprint IN (:each) ORDER BY number;
