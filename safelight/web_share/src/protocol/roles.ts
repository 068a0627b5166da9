/** Roles: named sets of rights that the ledger carries, and the tier that each reads; mirror of sync_protocol/roles.py. */

export type Tier = "none" | "view" | "full";

export type Right =
  | "add"
  | "organise"
  | "edit"
  | "trash"
  | "propose-deletion"
  | "approve"
  | "link"
  | "revoke-link"
  | "members"
  | "policy";

export type Role = "owner" | "manager" | "editor" | "viewer" | "previewer" | "contributor";

const EDITING: readonly Right[] = ["add", "organise", "edit", "trash", "propose-deletion"];
const ALL: readonly Right[] = [...EDITING, "approve", "link", "revoke-link", "members", "policy"];

export const RIGHTS: Readonly<Record<Role, ReadonlySet<Right>>> = {
  owner: new Set(ALL),
  manager: new Set(ALL),
  editor: new Set(EDITING),
  viewer: new Set(),
  previewer: new Set(),
  contributor: new Set<Right>(["add"]),
};

export const CAMERA_RIGHTS: ReadonlySet<Right> = new Set<Right>(["add"]);

export const TIERS: Readonly<Record<Role, Tier>> = {
  owner: "full",
  manager: "full",
  editor: "full",
  viewer: "full",
  previewer: "view",
  contributor: "none",
};

/** Whether who reads `tier` may read something of tier `wanted`. */
export function reads(tier: Tier, wanted: Tier): boolean {
  const order: readonly Tier[] = ["none", "view", "full"];
  return order.indexOf(tier) >= order.indexOf(wanted);
}
