-- Share links: their state, what they may fetch, and their openings.

-- name: by_id
SELECT link_id, space_id, number, tier, token_hash, proof_hash, publishing_key, head, head_signature, created_ms,
    starts_ms, expires_ms, max_opens, originals, revoked, opens, last_opened_ms, downloads
FROM links WHERE link_id = :link_id;

-- name: of_space
SELECT link_id, space_id, number, tier, token_hash, proof_hash, publishing_key, head, head_signature, created_ms,
    starts_ms, expires_ms, max_opens, originals, revoked, opens, last_opened_ms, downloads
FROM links WHERE space_id = :space_id ORDER BY number DESC;

-- name: blob
-- While an album of the space requires approval, what a link names is withheld unless it is in the link's album, and
-- approved there if that one requires it. Pages, and pictures made for the link, are no asset's.
SELECT b.size_bytes, l.tier FROM link_blobs AS l
JOIN links AS k ON k.link_id = l.link_id
JOIN space_blobs AS b ON b.name = l.name AND b.space_id = k.space_id
WHERE l.link_id = :link_id AND l.name = :name AND (
    l.tier IN ('page', 'made')
    OR NOT EXISTS (SELECT 1 FROM album_rules AS r
        WHERE r.space_id = k.space_id AND r.requires_approval = 1)
    OR EXISTS (SELECT 1 FROM album_files AS f
        WHERE f.space_id = k.space_id AND f.album_id = k.album_id AND f.name = l.name AND (f.approved = 1
            OR NOT EXISTS (SELECT 1 FROM album_rules AS r
                WHERE r.space_id = k.space_id AND r.album_id = k.album_id AND r.requires_approval = 1)))
);

-- name: count_opening
-- The one statement that lets an opening through: of many at once, as many as the link allows.
UPDATE links SET opens = opens + 1, last_opened_ms = :now_ms
WHERE link_id = :link_id AND revoked = 0 AND starts_ms <= :now_ms AND (expires_ms = 0 OR expires_ms > :now_ms)
AND (CAST(:max_opens AS BIGINT) = 0 OR opens < CAST(:max_opens AS BIGINT))
RETURNING opens;

-- name: add_opening
INSERT INTO openings (link_id, opening_id, handover_hash, handover_expires_ms, opened_ms)
VALUES (:link_id, :opening_id, :handover_hash, :handover_expires_ms, :opened_ms);

-- name: opening
SELECT 1 FROM openings WHERE link_id = :link_id AND opening_id = :opening_id;

-- name: use_handover
UPDATE openings SET handover_expires_ms = 0
WHERE link_id = :link_id AND handover_hash = :handover_hash AND handover_expires_ms > :now_ms
RETURNING opening_id;

-- name: set_handover
UPDATE openings SET handover_hash = :handover_hash, handover_expires_ms = :handover_expires_ms
WHERE link_id = :link_id AND opening_id = :opening_id;

-- name: end_handovers
UPDATE openings SET handover_expires_ms = 0 WHERE handover_expires_ms > 0 AND handover_expires_ms <= :now_ms;

-- name: count_download
UPDATE links SET downloads = downloads + 1, last_download_ms = :now_ms WHERE link_id = :link_id;
