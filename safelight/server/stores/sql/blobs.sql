-- Blobs held in spaces, and the uploads that bring them.

-- name: open_uploads
SELECT COUNT(*), COALESCE(SUM(COALESCE(length_bytes, offset_bytes)), 0) FROM uploads
WHERE device_id = :device_id AND state = 'open';

-- name: add_upload
INSERT INTO uploads (upload_id, device_id, account_id, space_id, created_ms, expires_ms, offset_bytes, length_bytes,
    digest, state, blob)
VALUES (:upload_id, :device_id, :account_id, :space_id, :created_ms, :expires_ms, :offset_bytes, :length_bytes,
    :digest, :state, :blob);

-- name: drop_complete
DELETE FROM uploads WHERE upload_id IN (
    SELECT upload_id FROM uploads WHERE device_id = :device_id AND state = 'complete'
    ORDER BY expires_ms DESC LIMIT :page OFFSET :keep
);

-- name: upload
SELECT upload_id, device_id, account_id, space_id, created_ms, expires_ms, offset_bytes, length_bytes, digest, state,
    blob
FROM uploads WHERE upload_id = :upload_id;

-- name: set_offset
UPDATE uploads SET offset_bytes = :offset_bytes, length_bytes = COALESCE(:length_bytes, length_bytes)
WHERE upload_id = :upload_id AND state = 'open' AND offset_bytes <= :offset_bytes;

-- name: declare
UPDATE uploads SET digest = :name WHERE upload_id = :upload_id AND state = 'open' AND digest IS NULL;

-- name: complete
-- Its time begins anew, so that the order in which uploads expire is the order in which they were completed.
UPDATE uploads SET state = 'complete', blob = :blob, offset_bytes = :size_bytes, length_bytes = :size_bytes,
    expires_ms = expires_ms - created_ms + :now_ms
WHERE upload_id = :upload_id AND state = 'open' RETURNING space_id, device_id;

-- name: hold
INSERT INTO space_blobs (name, space_id, size_bytes, tier, refs, device_id, held_ms)
VALUES (:name, :space_id, :size_bytes, '', 0, :device_id, :held_ms)
ON CONFLICT (name, space_id) DO UPDATE SET held_ms = excluded.held_ms WHERE space_blobs.held_ms < excluded.held_ms;

-- name: fail
DELETE FROM uploads WHERE upload_id = :upload_id AND state = 'open';

-- name: delete_upload
DELETE FROM uploads WHERE upload_id = :upload_id;

-- name: all_open_uploads
SELECT COUNT(*) FROM uploads WHERE state = 'open';

-- name: expired_uploads
SELECT upload_id, device_id, account_id, space_id, created_ms, expires_ms, offset_bytes, length_bytes, digest, state,
    blob
FROM uploads WHERE expires_ms <= :now_ms ORDER BY expires_ms LIMIT :page;

-- name: in_space
SELECT size_bytes, tier FROM space_blobs WHERE name = :name AND space_id = :space_id;

-- name: lock_in_space
-- Locked, so that none is forgotten before it is held elsewhere; in the order in which commits lock them.
SELECT name, size_bytes FROM space_blobs WHERE space_id = :space_id AND name IN (:each) ORDER BY name FOR UPDATE;

-- name: collectable
SELECT b.name FROM space_blobs AS b WHERE b.refs = 0 AND b.held_ms < :before_ms
AND NOT EXISTS (SELECT 1 FROM space_blobs AS o WHERE o.name = b.name AND (o.refs > 0 OR o.held_ms >= :before_ms))
AND NOT EXISTS (SELECT 1 FROM link_blobs AS l WHERE l.name = b.name)
AND NOT EXISTS (SELECT 1 FROM uploads AS u WHERE u.state = 'open' AND u.digest = b.name)
LIMIT :page;

-- name: lock_held
-- In the order in which commits lock spaces.
SELECT space_id FROM space_blobs WHERE name = :name ORDER BY space_id FOR UPDATE;

-- name: is_collectable
SELECT 1 FROM space_blobs AS b WHERE b.name = :name
AND NOT EXISTS (SELECT 1 FROM space_blobs AS o WHERE o.name = :name AND (o.refs > 0 OR o.held_ms >= :before_ms))
AND NOT EXISTS (SELECT 1 FROM link_blobs AS l WHERE l.name = :name)
AND NOT EXISTS (SELECT 1 FROM uploads AS u WHERE u.state = 'open' AND u.digest = :name)
LIMIT 1;

-- name: known_blobs
SELECT DISTINCT name FROM space_blobs WHERE name IN (:each);

-- name: note_orphan
INSERT INTO orphan_blobs (name, seen_ms) VALUES (:name, :seen_ms) ON CONFLICT DO NOTHING;

-- name: old_orphans
SELECT name FROM orphan_blobs WHERE seen_ms < :before_ms ORDER BY seen_ms LIMIT :page;

-- name: is_named
SELECT 1 FROM space_blobs WHERE name = :name
UNION ALL SELECT 1 FROM link_blobs WHERE name = :name
UNION ALL SELECT 1 FROM uploads WHERE state = 'open' AND digest = :name
LIMIT 1;

-- name: delete_orphan
DELETE FROM orphan_blobs WHERE name = :name;

-- name: forget
DELETE FROM space_blobs WHERE name = :name;

-- name: add_forgotten
INSERT INTO forgotten_blobs (name) VALUES (:name) ON CONFLICT DO NOTHING;

-- name: forgotten
SELECT name FROM forgotten_blobs ORDER BY name LIMIT :page;

-- name: is_forgotten
SELECT 1 FROM forgotten_blobs WHERE name = :name;

-- name: delete_forgotten
DELETE FROM forgotten_blobs WHERE name = :name;
