-- What a group of commits reads to judge, and then writes. Four spaces are read at once: every statement is a way to the
-- database and back, and one for each space was most of what a group cost that commits in several.

-- name: lock_spaces
-- Locked in the order of their ids, which is everyone's, so that no two groups wait for each other.
SELECT space_id, number, chain, ledger_number, ledger_hash, epoch, used_bytes, quota_bytes, time_ms FROM spaces
WHERE space_id IN (:each) ORDER BY space_id FOR UPDATE;

-- name: slot
SELECT number, chain, time_ms, entry_id FROM entries
WHERE space_id = :space_id AND device_id = :device_id AND counter = :counter;

-- name: positions
SELECT space_id, device_id, counter, entry_id, used_bytes FROM positions
WHERE space_id IN (:space0, :space1, :space2, :space3) AND device_id IN (:each);

-- name: rolls
SELECT space_id, roll_id, device_id, epoch, assets, opened_ms FROM rolls
WHERE space_id IN (:space0, :space1, :space2, :space3) AND roll_id IN (:each);

-- name: assets
SELECT space_id, asset_id FROM assets
WHERE space_id IN (:space0, :space1, :space2, :space3) AND asset_id IN (:each);

-- name: in_trash
SELECT DISTINCT space_id, asset_id FROM trashed_blobs
WHERE space_id IN (:space0, :space1, :space2, :space3) AND asset_id IN (:each);

-- name: proposed
SELECT space_id, asset_id FROM proposed_assets
WHERE space_id IN (:space0, :space1, :space2, :space3) AND asset_id IN (:each);

-- name: blobs
-- Locked, so that none is forgotten between here and the record that names it; in the order in which that locks them.
SELECT space_id, name, size_bytes, tier FROM space_blobs
WHERE space_id IN (:space0, :space1, :space2, :space3) AND name IN (:each) ORDER BY space_id, name FOR UPDATE;

-- name: album_head
SELECT number, chain FROM album_entries WHERE space_id = :space_id AND album_id = :album_id
ORDER BY number DESC LIMIT 1;

-- name: album_roll
SELECT album_id, generation FROM album_rolls WHERE space_id = :space_id AND roll_id = :roll_id;

-- name: approval_albums
SELECT album_id FROM album_rules WHERE space_id = :space_id AND requires_approval = 1;

-- name: album_has_files
SELECT 1 FROM album_files WHERE space_id = :space_id AND album_id = :album_id LIMIT 1;

-- name: asset_files
SELECT r.owner_id, r.rendition, r.name FROM assets AS a
JOIN blob_refs AS r ON r.space_id = a.space_id AND r.number = a.number AND r.owner_id = a.asset_id
WHERE a.space_id = :space_id AND a.asset_id IN (:each) ORDER BY r.number, r.place;

-- name: album_files
SELECT name, asset_id, approved FROM album_files
WHERE space_id = :space_id AND album_id = :album_id AND name IN (:each);

-- name: links
SELECT link_id, space_id, revoked FROM links WHERE link_id IN (:each);

-- name: upload_links
SELECT link_id, space_id, number, files, used_bytes FROM upload_links WHERE link_id IN (:each);

-- name: devices
SELECT device_id FROM devices WHERE device_id IN (:each);

-- name: add_space
INSERT INTO spaces (space_id, kind, number, chain, ledger_number, ledger_hash, epoch, used_bytes, quota_bytes, time_ms)
VALUES (:space_id, :kind, 0, :chain, 0, :ledger_hash, 0, 0, :quota_bytes, 0);

-- name: move_space
UPDATE spaces SET number = :number, chain = :chain, ledger_number = :ledger_number, ledger_hash = :ledger_hash,
    epoch = :epoch, used_bytes = :used_bytes, time_ms = :time_ms
WHERE space_id = :space_id;

-- name: add_entry
INSERT INTO entries (space_id, number, time_ms, is_ledger, size_bytes, device_id, counter, entry_id, chain, signature,
    envelope)
VALUES (:space_id, :number, :time_ms, :is_ledger, :size_bytes, :device_id, :counter, :entry_id, :chain, :signature,
    :envelope);

-- name: set_position
INSERT INTO positions (space_id, device_id, counter, entry_id, used_bytes)
VALUES (:space_id, :device_id, :counter, :entry_id, :used_bytes)
ON CONFLICT (space_id, device_id) DO UPDATE SET
    counter = excluded.counter, entry_id = excluded.entry_id, used_bytes = excluded.used_bytes;

-- name: set_roll
INSERT INTO rolls (space_id, roll_id, device_id, epoch, assets, opened_ms)
VALUES (:space_id, :roll_id, :device_id, :epoch, :assets, :opened_ms)
ON CONFLICT (space_id, roll_id) DO UPDATE SET assets = excluded.assets;

-- name: add_asset
INSERT INTO assets (space_id, asset_id, number, fingerprint) VALUES (:space_id, :asset_id, :number, :fingerprint);

-- name: add_ref
INSERT INTO blob_refs (space_id, number, place, name, owner_id, rendition, tier)
VALUES (:space_id, :number, :place, :name, :owner_id, :rendition, :tier);

-- name: refer
UPDATE space_blobs SET refs = refs + 1, tier = :tier WHERE name = :name AND space_id = :space_id;

-- name: trash_asset
INSERT INTO trashed_blobs (space_id, asset_id, place, name)
SELECT r.space_id, r.owner_id, r.place, r.name FROM assets AS a
JOIN blob_refs AS r ON r.space_id = a.space_id AND r.number = a.number AND r.owner_id = a.asset_id
WHERE a.space_id = :space_id AND a.asset_id = :asset_id;

-- name: restore_asset
DELETE FROM trashed_blobs WHERE space_id = :space_id AND asset_id = :asset_id;

-- name: propose_asset
INSERT INTO proposed_assets (space_id, asset_id) VALUES (:space_id, :asset_id) ON CONFLICT DO NOTHING;

-- name: settle_asset
DELETE FROM proposed_assets WHERE space_id = :space_id AND asset_id = :asset_id;

-- name: clear_members
DELETE FROM members WHERE space_id = :space_id;

-- name: add_member
INSERT INTO members (space_id, account_id, role) VALUES (:space_id, :account_id, :role);

-- name: add_box
-- A member that reads more from now on has another box of the same epoch.
INSERT INTO boxes (space_id, epoch, account_id, box) VALUES (:space_id, :epoch, :account_id, :box)
ON CONFLICT (space_id, epoch, account_id) DO UPDATE SET box = excluded.box;

-- name: add_album_entry
INSERT INTO album_entries (space_id, album_id, number, slot, chain)
VALUES (:space_id, :album_id, :number, :slot, :chain);

-- name: add_album_roll
INSERT INTO album_rolls (space_id, roll_id, album_id, generation)
VALUES (:space_id, :roll_id, :album_id, :generation);

-- name: add_album_blob
INSERT INTO album_blobs (space_id, name, album_id) VALUES (:space_id, :name, :album_id) ON CONFLICT DO NOTHING;

-- name: add_album_file
INSERT INTO album_files (space_id, album_id, name, asset_id, approved)
VALUES (:space_id, :album_id, :name, :asset_id, 0) ON CONFLICT DO NOTHING;

-- name: remove_album_file
DELETE FROM album_files
WHERE space_id = :space_id AND album_id = :album_id AND name = :name AND asset_id = :asset_id;

-- name: hide_album_blob
DELETE FROM album_blobs WHERE space_id = :space_id AND name = :name AND album_id = :album_id AND NOT EXISTS (
    SELECT 1 FROM album_files AS f
    WHERE f.space_id = album_blobs.space_id AND f.album_id = album_blobs.album_id AND f.name = album_blobs.name
);

-- name: set_approved
INSERT INTO album_files (space_id, album_id, name, asset_id, approved)
VALUES (:space_id, :album_id, :name, :asset_id, :approved)
ON CONFLICT (space_id, album_id, name, asset_id) DO UPDATE SET approved = excluded.approved;

-- name: set_album_rules
INSERT INTO album_rules (space_id, album_id, requires_approval) VALUES (:space_id, :album_id, :requires_approval)
ON CONFLICT (space_id, album_id) DO UPDATE SET requires_approval = excluded.requires_approval;

-- name: add_link
INSERT INTO links (link_id, space_id, number, tier, album_id, token_hash, proof_hash, publishing_key, head,
    head_signature, created_ms, starts_ms, expires_ms, max_opens, originals, revoked, opens, last_opened_ms, downloads,
    last_download_ms)
VALUES (:link_id, :space_id, :number, :tier, :album_id, :token_hash, :proof_hash, :publishing_key, :head,
    :head_signature, :created_ms, :starts_ms, :expires_ms, :max_opens, :originals, 0, 0, 0, 0, 0);

-- name: add_link_blob
INSERT INTO link_blobs (link_id, name, tier) VALUES (:link_id, :name, :tier) ON CONFLICT DO NOTHING;

-- name: revoke_link
UPDATE links SET revoked = 1 WHERE link_id = :link_id AND space_id = :space_id;

-- name: add_upload_link
INSERT INTO upload_links (link_id, space_id, number, head, head_signature, files, used_bytes)
VALUES (:link_id, :space_id, 0, :head, :head_signature, 0, 0);

-- name: set_inbox
UPDATE upload_links SET number = :number, head = :head, head_signature = :head_signature WHERE link_id = :link_id;

-- name: set_upload_link
UPDATE upload_links SET files = :files, used_bytes = :used_bytes WHERE link_id = :link_id;
