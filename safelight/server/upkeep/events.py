"""What a check says while it runs. The running server tells it through the control socket, as lines of JSON."""

import msgspec

MISSING = "missing"
DAMAGED = "damaged"


class CheckRequest(msgspec.Struct, frozen=True):
    """Which blobs to hash: a `share` (0 to 1) or those not checked for `older_than_s`, else all; at which rate.

    `rate_bytes` is a second; 0 is as fast as it goes. `repair` deletes what is nobody's and corrects counts.
    """

    share: float | None = None
    older_than_s: int | None = None
    rate_bytes: int = 0
    repair: bool = False


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a stage has come."""

    stage: str
    done: int
    total: int
    done_bytes: int = 0


class Finding(msgspec.Struct, frozen=True, tag="finding"):
    """Something that is not as it should be, and what to do about it; `subject` is the hex id that it is about."""

    kind: str
    subject: str
    detail: str
    remedy: str
    repaired: bool = False


class Summary(msgspec.Struct, frozen=True, tag="summary"):
    """The end: what was looked at. `blobs` are all that rows hold, `checked` those that were hashed this time."""

    blobs: int
    checked: int
    checked_bytes: int
    spaces: int
    accounts: int


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The check could not go on."""

    message: str


Event = Progress | Finding | Summary | Failure
EVENT = msgspec.json.Decoder(Event)
