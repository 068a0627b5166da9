-- Albums: the own logs of those that are shared by grants, and what their links may show; commits.sql writes them.

-- name: entries
-- A page: at most :page entries and :max_bytes, but at least one; numbers have no gaps.
SELECT a.number, a.slot, e.time_ms, a.chain, e.entry_id, e.envelope
FROM album_entries AS a JOIN entries AS e ON e.space_id = a.space_id AND e.number = a.slot
WHERE a.space_id = :space_id AND a.album_id = :album_id AND a.number > :after AND a.number <= (
    SELECT COALESCE(MAX(number), :after + 1) FROM (
        SELECT number, SUM(size_bytes) OVER (ORDER BY number) AS total FROM (
            SELECT l.number, f.size_bytes
            FROM album_entries AS l JOIN entries AS f ON f.space_id = l.space_id AND f.number = l.slot
            WHERE l.space_id = :space_id AND l.album_id = :album_id AND l.number > :after ORDER BY l.number LIMIT :page
        ) AS page
    ) AS measured WHERE total <= :max_bytes
) ORDER BY a.number;

-- name: head
SELECT number, chain FROM album_entries WHERE space_id = :space_id AND album_id = :album_id
ORDER BY number DESC LIMIT 1;

-- name: showing
SELECT album_id FROM album_blobs WHERE space_id = :space_id AND name = :name;

-- name: approval_albums
SELECT album_id FROM album_rules WHERE space_id = :space_id AND requires_approval = 1;

-- name: approved
SELECT DISTINCT album_id, asset_id FROM album_files WHERE space_id = :space_id AND approved = 1;
