-- What devices have uploaded that no record names: how much was counted last, and held since.

-- name: noted
SELECT blobs, size_bytes, counted, counted_ms FROM uncommitted WHERE device_id = :device_id;

-- name: note_held
UPDATE uncommitted SET blobs = blobs + :blobs, size_bytes = size_bytes + :size_bytes WHERE device_id = :device_id;

-- name: begin
INSERT INTO uncommitted (device_id, blobs, size_bytes, counted, counted_ms) VALUES (:device_id, 0, 0, 0, 0)
ON CONFLICT DO NOTHING;

-- name: lock
SELECT blobs FROM uncommitted WHERE device_id = :device_id FOR UPDATE;

-- name: count
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM space_blobs WHERE device_id = :device_id AND refs = 0;

-- name: note_counted
UPDATE uncommitted SET blobs = :blobs, size_bytes = :size_bytes, counted = :blobs, counted_ms = :counted_ms
WHERE device_id = :device_id;
