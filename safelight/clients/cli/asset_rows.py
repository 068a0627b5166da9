"""Assets as commands list them."""

from typing import Any

from safelight.clients.engine.helper_work import ListedAsset

WITHHELD = "withheld"


def asset_row(listed: ListedAsset, *, withheld: bool = False) -> dict[str, Any]:
    """One asset; one that does not open is listed as what it is, and hides no other.

    *withheld* says that the server gives out its files no more.
    """
    if listed.is_damaged:
        return {"id": listed.asset_id.hex(), "name": "", "taken": "", "size_bytes": 0, "state": "damaged"}
    return {
        "id": listed.asset_id.hex(),
        "name": listed.name,
        "taken": listed.taken,
        "size_bytes": listed.size_bytes,
        "state": WITHHELD if withheld else "stored",
        "kind": listed.kind,
        "renditions": list(listed.renditions),
    }
