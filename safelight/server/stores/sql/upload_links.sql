-- Upload links: what their guests are given, and how much they took of all of them together.

-- name: by_id
SELECT link_id, space_id, head, head_signature, files, used_bytes FROM upload_links WHERE link_id = :link_id;

-- name: sent
-- What guests sent that no record names yet.
SELECT COALESCE(SUM(b.size_bytes), 0) FROM devices AS d JOIN space_blobs AS b ON b.device_id = d.device_id
WHERE d.owner_id = :link_id AND b.refs = 0;

-- name: sending
-- What they said that they would send.
SELECT COALESCE(SUM(u.length_bytes), 0) FROM devices AS d JOIN uploads AS u ON u.device_id = d.device_id
WHERE d.owner_id = :link_id AND u.state = 'open';
