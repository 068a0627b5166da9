-- What one process has to itself for a while. The row stays when a lease ends and says who had it last.

-- name: take
INSERT INTO leases (name, holder, until_ms) VALUES (:name, :holder, :until_ms)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
WHERE leases.holder = excluded.holder OR leases.until_ms <= :now_ms
RETURNING until_ms;

-- name: renew
-- Whoever took it since stands in the row, also after letting go: to take it anew would hide that.
UPDATE leases SET until_ms = :until_ms WHERE name = :name AND holder = :holder RETURNING until_ms;

-- name: until
SELECT until_ms, holder FROM leases WHERE name = :name;

-- name: last_holder
SELECT holder FROM leases WHERE name = :name FOR UPDATE;

-- name: release
UPDATE leases SET until_ms = :now_ms WHERE name = :name AND holder = :holder;

-- name: delete_ended
DELETE FROM leases WHERE until_ms < :before_ms;
