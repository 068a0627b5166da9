-- The trash of a space, read; commits.sql fills it.

-- name: holds
-- What is a link's own (its pages, the pictures made for it) is no asset's, whoever names it as one.
SELECT 1 FROM trashed_blobs AS t JOIN space_blobs AS b ON b.space_id = t.space_id AND b.name = t.name
WHERE t.space_id = :space_id AND t.name = :name AND b.tier IN ('view', 'full') LIMIT 1;

-- name: shown
SELECT DISTINCT t.asset_id FROM trashed_blobs AS t
JOIN album_blobs AS a ON a.space_id = t.space_id AND a.name = t.name
WHERE t.space_id = :space_id AND a.album_id = :album_id ORDER BY t.asset_id LIMIT :page;
