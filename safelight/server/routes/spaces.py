"""Spaces: making them, committing to them, and reading them."""

import base64
import binascii

from aiohttp import web

from safelight.server.routes.call import LARGEST_BODY_SIZE_BYTES, Call
from safelight.server.routes.table import BYTES, FRAMES, Auth, Route
from safelight.sync_protocol.limits import MAX_FEED_ENTRIES, MAX_FEED_SIZE_BYTES
from safelight.sync_protocol.messages import spaces as messages
from safelight.sync_protocol.refusals import Code, Refused

PAIRING_HEADER = "Safelight-Pairing"
INVITATION_HEADER = "Safelight-Invitation"


async def mine(call: Call) -> messages.Spaces:
    """List the spaces of who asks."""
    return await call.services.spaces.mine(call.who)


async def create(call: Call) -> messages.Committed:
    """Commit a genesis."""
    return await call.services.commits.create_space(call.who, await call.body(messages.CommitEntry))


async def one(call: Call) -> messages.SpaceRow:
    """Say where a space stands."""
    return await call.services.spaces.one(call.who, call.path_bytes("space"))


async def feed(call: Call) -> web.Response:
    """Page through the log."""
    page = call.query_numbers(after=0, limit=MAX_FEED_ENTRIES, max_bytes=MAX_FEED_SIZE_BYTES)
    if page["limit"] < 1 or page["max_bytes"] < 1:
        raise Refused(Code.BAD_REQUEST, "limit and max_bytes are at least 1")
    body = await call.services.spaces.feed(
        call.who, call.path_bytes("space"), page["after"], page["limit"], page["max_bytes"]
    )
    return web.Response(body=body, content_type=FRAMES)


async def chain(call: Call) -> web.Response:
    """Page through the log's entry ids."""
    after = call.query_numbers(after=0)["after"]
    body = await call.services.spaces.chain(call.who, call.path_bytes("space"), after)
    return web.Response(body=body, content_type=BYTES)


async def ledger(call: Call) -> web.Response:
    """Page through the ledger's entries."""
    after = call.query_numbers(after=0)["after"]
    body = await call.services.spaces.ledger(call.who, call.path_bytes("space"), after)
    return web.Response(body=body, content_type=FRAMES)


async def ledger_for_pairing(call: Call) -> web.Response:
    """Page through the ledger's entries for a camera that is not yet bound."""
    after, signature = call.query_numbers(after=0)["after"], signature_of(call, PAIRING_HEADER)
    body = await call.services.spaces.ledger_for_pairing(
        call.path_bytes("space"), call.path_bytes("camera"), signature, after
    )
    return web.Response(body=body, content_type=FRAMES)


async def ledger_for_joining(call: Call) -> web.Response:
    """Page through the ledger's entries for whom an invitation brings."""
    after, signature = call.query_numbers(after=0)["after"], signature_of(call, INVITATION_HEADER)
    body = await call.services.spaces.ledger_for_joining(
        call.path_bytes("space"), call.path_bytes("invitation"), signature, after
    )
    return web.Response(body=body, content_type=FRAMES)


def signature_of(call: Call, header: str) -> bytes:
    """Return the signature that a header carries; raises BAD_REQUEST."""
    try:
        return base64.b64decode(call.request.headers.get(header, ""), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Code.BAD_REQUEST, f"{header} is a signature in base64") from None


async def position(call: Call) -> messages.DevicePositionRow:
    """Say which entry of the asking device is its last."""
    return await call.services.spaces.position(call.who, call.path_bytes("space"))


async def commit(call: Call) -> messages.Committed:
    """Commit an entry."""
    request = await call.body(messages.CommitEntry)
    return await call.services.commits.commit(call.who, call.path_bytes("space"), request)


async def bind(call: Call) -> messages.Committed:
    """Commit the binding of a camera or guest, which authenticates itself."""
    request = await call.body(messages.CommitEntry)
    return await call.services.commits.bind_camera(call.path_bytes("space"), request)


async def join(call: Call) -> messages.Committed:
    """Commit the join of an account that is no member yet."""
    request = await call.body(messages.CommitEntry)
    return await call.services.commits.join(call.who, call.path_bytes("space"), request)


async def box(call: Call) -> messages.EpochBox:
    """Return the asking account's box of an epoch."""
    return await call.services.spaces.box(call.who, call.path_bytes("space"), call.path_number("epoch"))


async def fingerprints(call: Call) -> messages.KnownFingerprints:
    """Say which fingerprints are there."""
    request = await call.body(messages.AskFingerprints)
    return await call.services.spaces.known(call.who, call.path_bytes("space"), request)


SPACE = "/v1/spaces/{space:[0-9a-f]{64}}"
_READING = (Code.SPACE_UNKNOWN, Code.FORBIDDEN)
_COMMITTING = (
    Code.SPACE_UNKNOWN,
    Code.FORBIDDEN,
    Code.ENTRY_MALFORMED,
    Code.ENTRY_UNKNOWN_CRITICAL,
    Code.ENTRY_WRONG_SPACE,
    Code.ENTRY_STALE,
    Code.COUNTER_CONFLICT,
    Code.HISTORY_FORKED,
    Code.SIGNER_UNKNOWN,
    Code.SIGNATURE_INVALID,
    Code.RIGHT_MISSING,
    Code.LEDGER_RULE,
    Code.EPOCH_REQUIRED,
    Code.EPOCH_OLD,
    Code.INVITATION_USED,
    Code.INVITATION_EXPIRED,
    Code.MEMBER_EXISTS,
    Code.LAST_OWNER,
    Code.UPDATE_REQUIRED,
    Code.ACCOUNT_LEDGER_CONFLICT,
    Code.UPLOAD_LINK_OVER,
    Code.QUOTA_EXCEEDED,
    Code.STORAGE_FULL,
    Code.STORAGE_READ_ONLY,
)
_RECORDS = (
    Code.ROLL_UNKNOWN,
    Code.ROLL_FULL,
    Code.ASSET_CONFLICT,
    Code.BLOB_MISSING,
    Code.BLOB_SIZE_MISMATCH,
    Code.GENERATION_OLD,
    Code.ALBUM_STALE,
    Code.POLICY_FORBIDS,
    Code.MANIFEST_INVALID,
    Code.NOT_FOUND,
    Code.UPLOAD_LINK_FULL,
)

ROUTES = [
    Route("GET", "/v1/spaces", mine, "List the spaces of who asks", Auth.SESSION, response=messages.Spaces),
    Route(
        "POST",
        "/v1/spaces",
        create,
        "Create a space by its genesis entry",
        Auth.SESSION,
        request=messages.CommitEntry,
        response=messages.Committed,
        refusals=_COMMITTING,
        max_body_bytes=LARGEST_BODY_SIZE_BYTES,
    ),
    Route("GET", SPACE, one, "Where a space stands", Auth.SESSION, response=messages.SpaceRow, refusals=_READING),
    Route(
        "GET",
        SPACE + "/log",
        feed,
        "Read the log onwards from a number",
        Auth.SESSION,
        refusals=_READING,
        query=("after", "limit", "max_bytes"),
        response_media=FRAMES,
    ),
    Route(
        "GET",
        SPACE + "/chain",
        chain,
        "Read the log's entry ids onwards from a number",
        Auth.SESSION,
        refusals=_READING,
        query=("after",),
        response_media=BYTES,
    ),
    Route(
        "GET",
        SPACE + "/ledger",
        ledger,
        "Read the ledger's entries onwards from a number",
        Auth.SESSION,
        refusals=_READING,
        query=("after",),
        response_media=FRAMES,
    ),
    Route(
        "GET",
        SPACE + "/pairing/{camera:[0-9a-f]{32}}",
        ledger_for_pairing,
        "Read the ledger with a camera's pairing key, before the camera is bound",
        Auth.NONE,
        refusals=(Code.SPACE_UNKNOWN, Code.SIGNATURE_INVALID, Code.CAMERA_ALREADY_BOUND, Code.PAIRING_EXPIRED),
        query=("after",),
        headers=(PAIRING_HEADER,),
        response_media=FRAMES,
    ),
    Route(
        "GET",
        SPACE + "/invitations/{invitation:[0-9a-f]{32}}",
        ledger_for_joining,
        "Read the ledger with an invitation's key, until it is over",
        Auth.NONE,
        refusals=(Code.SPACE_UNKNOWN, Code.SIGNATURE_INVALID, Code.INVITATION_EXPIRED),
        query=("after",),
        headers=(INVITATION_HEADER,),
        response_media=FRAMES,
    ),
    Route(
        "GET",
        SPACE + "/position",
        position,
        "The asking device's last entry",
        Auth.SESSION,
        response=messages.DevicePositionRow,
        refusals=_READING,
    ),
    Route(
        "POST",
        SPACE + "/commits",
        commit,
        "Commit an entry",
        Auth.SESSION,
        request=messages.CommitEntry,
        response=messages.Committed,
        refusals=(*_COMMITTING, *_RECORDS, Code.RATE_LIMITED),
        max_body_bytes=LARGEST_BODY_SIZE_BYTES,
    ),
    Route(
        "POST",
        SPACE + "/bind",
        bind,
        "Commit the binding of a camera, or of an upload link's guest",
        Auth.NONE,
        request=messages.CommitEntry,
        response=messages.Committed,
        refusals=(
            *_COMMITTING,
            Code.CAMERA_ALREADY_BOUND,
            Code.PAIRING_EXPIRED,
            Code.UPLOAD_LINK_FULL,
            Code.RATE_LIMITED,
        ),
    ),
    Route(
        "POST",
        SPACE + "/join",
        join,
        "Commit an account's join, by an invitation",
        Auth.SESSION,
        request=messages.CommitEntry,
        response=messages.Committed,
        refusals=_COMMITTING,
        max_body_bytes=LARGEST_BODY_SIZE_BYTES,
    ),
    Route(
        "GET",
        SPACE + "/boxes/{epoch:[0-9]{1,16}}",
        box,
        "The asking account's box of an epoch",
        Auth.SESSION,
        response=messages.EpochBox,
        refusals=(*_READING, Code.NOT_FOUND),
    ),
    Route(
        "POST",
        SPACE + "/fingerprints",
        fingerprints,
        "Which of these fingerprints are there",
        Auth.SESSION,
        request=messages.AskFingerprints,
        response=messages.KnownFingerprints,
        refusals=_READING,
    ),
]
