"""Where a bucket is, in the form that people write it."""

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
_ENDPOINT = re.compile(r"https?://[^/@?#]+/?")


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Which bucket, under which prefix, at which endpoint (empty: AWS, or what AWS_ENDPOINT_URL says)."""

    bucket: str
    prefix: str
    endpoint: str = ""

    @classmethod
    def parse(cls, text: str, endpoint: str = "") -> "BucketAddress":
        """Read `s3://BUCKET/PREFIX`; raises ValueError."""
        found = _ADDRESS.fullmatch(text)
        if found is None or ".." in text:
            raise ValueError("blobs is s3://BUCKET/PREFIX, without a name or key of yours in it")
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            raise ValueError("s3_endpoint is https:// (or http://) and a host, without a path, name or key of yours")
        return cls(found[1], (found[2] or "").strip("/"), endpoint.rstrip("/"))
