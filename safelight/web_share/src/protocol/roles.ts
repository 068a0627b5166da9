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

/** What a member is in a space. A grantee reads what it is granted, album by album, and nothing besides. */
export type Role = "owner" | "manager" | "editor" | "viewer" | "previewer" | "contributor" | "grantee";

const EDITING: readonly Right[] = ["add", "organise", "edit", "trash", "propose-deletion"];
const ALL: readonly Right[] = [...EDITING, "approve", "link", "revoke-link", "members", "policy"];

export const RIGHTS: Readonly<Record<Role, ReadonlySet<Right>>> = {
  owner: new Set(ALL),
  manager: new Set(ALL),
  editor: new Set(EDITING),
  viewer: new Set(),
  previewer: new Set(),
  contributor: new Set<Right>(["add"]),
  grantee: new Set(),
};

const EVERY: ReadonlySet<Right> = new Set(ALL);

/** What a role may be given instead; an owner has every right, and who gives rights gives none that it has not. */
export const MAY_HOLD: Readonly<Record<Role, ReadonlySet<Right>>> = {
  owner: EVERY,
  manager: EVERY,
  editor: new Set(ALL.filter((right) => right !== "members" && right !== "policy")),
  viewer: new Set<Right>(["propose-deletion", "approve", "revoke-link"]),
  previewer: new Set<Right>(["approve"]),
  contributor: new Set<Right>(["add"]),
  grantee: new Set(),
};

/** Whose members each may invite, change and remove, where it has the right to. */
export const MANAGES: Readonly<Record<Role, ReadonlySet<Role>>> = {
  owner: new Set<Role>(["owner", "manager", "editor", "viewer", "previewer", "contributor", "grantee"]),
  manager: new Set<Role>(["editor", "viewer", "previewer", "contributor", "grantee"]),
  editor: new Set(),
  viewer: new Set(),
  previewer: new Set(),
  contributor: new Set(),
  grantee: new Set(),
};

export const CAMERA_RIGHTS: ReadonlySet<Right> = new Set<Right>(["add"]);

export const TIERS: Readonly<Record<Role, Tier>> = {
  owner: "full",
  manager: "full",
  editor: "full",
  viewer: "full",
  previewer: "view",
  contributor: "none",
  grantee: "none",
};

/** Whether who reads `tier` may read something of tier `wanted`. */
export function reads(tier: Tier, wanted: Tier): boolean {
  const order: readonly Tier[] = ["none", "view", "full"];
  return order.indexOf(tier) >= order.indexOf(wanted);
}

/** Whether all of `some` are among `all`. */
export function isWithin(some: ReadonlySet<Right>, all: ReadonlySet<Right>): boolean {
  return [...some].every((right) => all.has(right));
}

/** Whether `rights` can be those of a `role`: an owner has all, and who only adds may not even not add. */
export function mayHold(role: Role, rights: ReadonlySet<Right>): boolean {
  const exactly = role === "owner" || role === "contributor";
  return exactly ? isWithin(RIGHTS[role], rights) && isWithin(rights, RIGHTS[role]) : isWithin(rights, MAY_HOLD[role]);
}
