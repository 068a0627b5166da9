"""Names of files and objects, read back; whatever else lies beside them is nobody's business."""

import re

_BLOB = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")


def blob_of(text: str) -> bytes | None:
    """Return the blob that a file or object is named for; None if it is none."""
    return bytes.fromhex(text) if _BLOB.fullmatch(text) else None


def upload_of(text: str) -> bytes | None:
    """Return the upload that a file or folder is named for; None if it is none."""
    return bytes.fromhex(text) if _UPLOAD.fullmatch(text) else None
