"""The disks: room, what kind of file system it is, whether it keeps what it was told to keep, and that it is one."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from safelight.server.doctor.findings import Finding, note, ok, problem

MOUNTS = Path("/proc/self/mountinfo")
FEW_FILES = 100_000
_UNSURE = frozenset({"ntfs", "ntfs3", "fuseblk", "ecryptfs"})
_NOT_SYNCED = re.compile(r"\b(nobarrier|barrier=0|fsync_mode=nobarrier|nofail_fsync)\b")
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOVE = "Put the data folder on a disk of this computer with ext4, XFS, Btrfs or ZFS."
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "fuse.sshfs", "virtiofs"}
)
_UNFIT = (
    (_NETWORK, "a network's: SQLite's shared memory and locks do not work there, and it may lose data", _MOVE),
    ({"vfat", "msdos", "exfat"}, "which has no permissions, no large files, and no safe way to rename", _MOVE),
    ({"tmpfs", "ramfs"}, "which is memory: all is gone at the next start", _MOVE),
    (
        {"overlay"},
        "most likely a container's own layer, which goes away with the container",
        "Mount a volume or a folder of the host at the data folder.",
    ),
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system: where, of which kind, with which options."""

    point: Path
    kind: str
    options: str


def mount_of(path: Path, mounts: str) -> Mount | None:
    """Return the file system that *path* lies on, by the lines of a mountinfo (proc(5))."""
    best: Mount | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 6 or len(rest) < 3:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # Of two at the same place the later one lies on top.
        if path.is_relative_to(point) and (best is None or len(point.parts) >= len(best.point.parts)):
            best = Mount(point, rest[0], f"{fields[5]},{rest[2]}")
    return best


def kind(mount: Mount | None) -> list[Finding]:
    """Say whether this kind of file system keeps photographs."""
    if mount is None:
        return []
    where = f"The data folder lies on {mount.kind} (mounted at {mount.point})"
    if "ro" in mount.options.split(","):
        remedy = "Look at the kernel's log (dmesg) for disk errors; check the file system; mount it for writing."
        return [problem("file-system", f"{where}, which is mounted read-only: nothing can be stored.", remedy)]
    for kinds, why, remedy in _UNFIT:
        if mount.kind in kinds:
            return [problem("file-system", f"{where}, {why}.", remedy)]
    if found := _NOT_SYNCED.search(mount.options):
        sentence = f"{where} with {found[1]}: what was said to be stored is lost when the power fails."
        return [problem("file-system", sentence, f"Mount it without {found[1]}.")]
    if mount.kind in _UNSURE:
        return [note("file-system", f"{where}, which nobody has tried Safelight on after a power loss.", _MOVE)]
    return [ok("file-system", f"{where}.")]


def room(folder: Path, ready_free_bytes: int) -> list[Finding]:
    """Say how much room there is, for bytes and for files."""
    found = os.statvfs(folder)
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    shown = f"{_size(free)} of {_size(total)} are free for the data folder"
    findings = []
    if free < ready_free_bytes:
        sentence = f"{shown}, less than the {_size(ready_free_bytes)} at which /ready says that storage is full."
        findings.append(problem("room", sentence, "Make room, or move the data folder to a larger disk."))
    elif free < total // 10:
        findings.append(note("room", f"{shown}, less than a tenth.", "Think of a larger disk before it is full."))
    else:
        findings.append(ok("room", f"{shown}."))
    if found.f_files and found.f_favail < FEW_FILES:
        sentence = f"The file system takes {found.f_favail} more files; each photograph is three or four."
        remedy = "Make the file system anew with more inodes (mkfs.ext4 -i 16384), or use XFS or Btrfs."
        findings.append(problem("inodes", sentence, remedy))
    return findings


def one_file_system(blobs: Path) -> list[Finding]:
    """Check that uploads are on the disk that they are published on: only there is renaming one step."""
    inside = [path for path in sorted(blobs.iterdir()) if path.is_dir()] if blobs.is_dir() else []
    device = blobs.stat().st_dev if inside else 0
    others = [path.name for path in inside if path.stat().st_dev != device]
    if others:
        sentence = f"{blobs / others[0]} lies on another disk than {blobs}: finished uploads cannot be moved over."
        return [problem("one-disk", sentence, "Keep blobs/ with everything in it on one file system.")]
    return [ok("one-disk", "Uploads and blobs lie on one file system.")] if inside else []


def _size(size_bytes: int) -> str:
    value, unit = float(size_bytes), 0
    units = ("bytes", "kB", "MB", "GB", "TB", "PB")
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {units[unit]}" if value >= 10 or not unit else f"{value:.1f} {units[unit]}"
