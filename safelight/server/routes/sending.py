"""Sending a blob: ranges (RFC 9110 §14), its name as entity tag, and an end as soon as it may no longer go out."""

import asyncio
import base64
import re
import socket
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass

from aiohttp import web

from safelight.server.domain.downloads import (
    CHUNK_SIZE_BYTES,
    Download,
    Stopped,
    chunks_while_allowed,
    spans_while_allowed,
)
from safelight.server.routes.call import Call
from safelight.server.routes.file_sending import FileSending
from safelight.server.routes.problems import problem_response
from safelight.server.routes.services import METER
from safelight.sync_protocol.refusals import Code, Refused

# What the system holds of a download, ready to go, cannot be called back when the right to it ends. As much as Linux
# gives a connection unless it is told otherwise: less would cost a fast reader, more a removal.
UNSENT_SIZE_BYTES = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")


@dataclass(frozen=True, slots=True)
class Part:
    """Which bytes go out: from `start` up to `end`, and whether that was asked for as a range."""

    start: int
    end: int
    partial: bool


def part_of(size_bytes: int, wanted: str | None, if_range: str | None, etag: str) -> Part | None:
    """Return which part of *size_bytes* a Range header wants; None where there is no such part.

    A header that is malformed or names several ranges is passed over, as the RFC allows: everything goes out.
    """
    whole = Part(0, size_bytes, partial=False)
    found = _RANGE.fullmatch(wanted or "")
    if found is None or (if_range is not None and if_range.strip() != etag):
        return whole
    first, last = found[1], found[2]
    if not first and not last:
        return whole
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return whole
    return Part(start, end, partial=True) if start < end else None


async def send(call: Call, download: Download, *, cache_control: str) -> web.StreamResponse:
    """Answer GET or HEAD with a blob, the part of it that is wanted, 304 or 416; closes the download."""
    try:
        size_bytes = download.reader.size_bytes
        etag = f'"{download.name.hex()}"'
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Cache-Control": cache_control,
            "Repr-Digest": f"sha-256=:{base64.b64encode(download.name).decode('ascii')}:",
        }
        request = call.request
        if etag in {tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")}:
            return web.Response(status=304, headers=headers)
        part = part_of(size_bytes, request.headers.get("Range"), request.headers.get("If-Range"), etag)
        if part is None:
            return problem_response(Refused(Code.RANGE_UNSATISFIABLE), **{"Content-Range": f"bytes */{size_bytes}"})
        response = web.StreamResponse(status=206 if part.partial else 200, headers=headers)
        response.content_type = "application/octet-stream"
        response.content_length = part.end - part.start
        if part.partial:
            response.headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size_bytes}"
        if request.method == "HEAD":
            await response.prepare(request)
        else:
            await _send_part(call, response, download, part)
        return response
    finally:
        await download.reader.close()


async def _send_part(call: Call, response: web.StreamResponse, download: Download, part: Part) -> None:
    """Send the part; whoever may no longer have it, or takes nothing for too long, is cut off in the middle."""
    _hold_little_back(call.request)
    file = download.reader.fileno() if part.end - part.start > CHUNK_SIZE_BYTES else None
    try:
        sending = None if file is None else await FileSending.begin(call.request, response)
        if file is None or sending is None:
            await response.prepare(call.request)
            await _send_chunks(call, response, download, part)
            return
        with closing(sending):
            async with aclosing(spans_while_allowed(download, part.start, part.end)) as spans:
                async for start, end in spans:
                    await sending.send(file, start, end, call.serving.stall_timeout_s)
                    call.request.app[METER].sent(end - start)
    except (Stopped, TimeoutError, EOFError):
        cut(call.request)
        raise ConnectionResetError("cut off") from None
    except BaseException:
        cut(call.request)  # the head promised bytes that nobody will send any more
        raise


def _hold_little_back(request: web.Request) -> None:
    """Have the system take little ahead of what it has sent, however large an operator lets its buffers grow."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS have it
    if connection is not None and option is not None:
        with suppress(OSError):  # the connection is gone, which is noticed where it matters
            connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT_SIZE_BYTES)


async def _send_chunks(call: Call, response: web.StreamResponse, download: Download, part: Part) -> None:
    async with aclosing(chunks_while_allowed(download, part.start, part.end)) as chunks:
        async for chunk in chunks:
            async with asyncio.timeout(call.serving.stall_timeout_s):
                await response.write(chunk)
            call.request.app[METER].sent(len(chunk))


def cut(request: web.Request) -> None:
    """Cut the request's connection at once."""
    if request.transport is not None:
        request.transport.abort()
