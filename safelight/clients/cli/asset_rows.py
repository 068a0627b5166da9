"""Assets as commands list them."""

from typing import Any

from safelight.clients.engine.assets import FailedAsset, OpenedAsset

WITHHELD = "withheld"


def asset_row(found: OpenedAsset | FailedAsset, *, withheld: bool = False) -> dict[str, Any]:
    """One asset; one that does not open is listed as what it is, and hides no other.

    *withheld* says that the server gives out its files no more.
    """
    if isinstance(found, FailedAsset):
        return {"id": found.asset_id.hex(), "name": "", "taken": "", "size_bytes": 0, "state": "damaged"}
    name = found.full.name if found.full else ""
    size_bytes = found.full.size_bytes if found.full else sum(ref.size_bytes for ref in found.body.renditions)
    return {
        "id": found.asset_id.hex(),
        "name": name,
        "taken": _taken(found),
        "size_bytes": size_bytes,
        "state": WITHHELD if withheld else "stored",
        "kind": found.view.kind,
        "renditions": [ref.name.value for ref in found.body.renditions],
    }


def _taken(found: OpenedAsset) -> str:
    """The capture time with its offset where that is known; empty where the file does not say when it was taken."""
    view = found.view
    if not view.taken_local or view.taken_offset_min is None:
        return view.taken_local
    hours, minutes = divmod(abs(view.taken_offset_min), 60)
    return f"{view.taken_local}{'-' if view.taken_offset_min < 0 else '+'}{hours:02}:{minutes:02}"
