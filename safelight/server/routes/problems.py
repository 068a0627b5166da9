"""Refusals as problem documents (RFC 9457), and the one place where every failure of a request ends."""

import secrets
import time
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web

from safelight.server.domain.addresses import truncated
from safelight.server.domain.throttle import TooSoon
from safelight.server.routes.call import Call
from safelight.server.routes.services import METER, SERVING
from safelight.sync_protocol.messages.common import Problem
from safelight.sync_protocol.refusals import TABLE, Code, Refused

_log = structlog.get_logger("requests")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_BY_STATUS = {
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
}


def problem_type(code: Code) -> str:
    """The stable identifier of a refusal."""
    return f"urn:safelight:refusal:{code.value}"


def problem_response(refused: Refused, **headers: str) -> web.Response:
    """Print a refusal."""
    row = TABLE[refused.code]
    if isinstance(refused, TooSoon):
        headers["Retry-After"] = str(refused.wait_s)
    problem = Problem(problem_type(refused.code), row.sentence, row.status, refused.code.value, refused.detail)
    return web.Response(
        body=msgspec.json.encode(problem),
        status=row.status,
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer every failure with a problem document, and log requests where that is asked for.

    The log holds method, route pattern, status, code, time and a truncated address: no ids, names, tokens or bodies.
    """
    started_s = time.perf_counter()
    code = ""
    try:
        response = await handler(request)
    except Refused as refused:
        code = refused.code.value
        response = problem_response(refused)
    except web.HTTPException as error:
        code = _BY_STATUS.get(error.status, Code.BAD_REQUEST).value
        response = problem_response(Refused(Code(code)))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except ConnectionError:
        request.app[METER].answered(request.method, _pattern(request), 0, "", time.perf_counter() - started_s)
        raise
    except Exception as error:  # noqa: BLE001 - the one place where every mistake ends
        code = Code.SERVER_FAULT.value
        response = problem_response(Refused(Code.SERVER_FAULT, f"request {_log_mistake(request, error)}"))
    took_s = time.perf_counter() - started_s
    request.app[METER].answered(request.method, _pattern(request), response.status, code, took_s)
    if request.app[SERVING].log_requests:
        _log_request(request, response.status, code, round(took_s * 1000, 1))
    return response


def _log_mistake(request: web.Request, error: Exception) -> str:
    """Log a mistake of the server's own; returns the number that the person is shown."""
    number = secrets.token_hex(6)
    _log.error(
        "the server made a mistake", request=number, route=_pattern(request), method=request.method, exc_info=error
    )
    return number


def _log_request(request: web.Request, status: int, code: str, took_ms: float) -> None:
    _log.debug(
        "request",
        method=request.method,
        route=_pattern(request),
        status=status,
        code=code,
        ms=took_ms,
        address=_logged_address(request),
    )


async def add_common_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Set what every answer has unless its route said otherwise; answers are not for caches."""
    set_common_headers(response)


def set_common_headers(response: web.StreamResponse) -> None:
    """The same for answers to what never became a request."""
    response.headers["Server"] = "Safelight"
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")


def _pattern(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"


def _logged_address(request: web.Request) -> str:
    keep = request.app[SERVING].log_addresses
    if keep == "none":
        return ""
    address = Call(request).address
    return address if keep == "full" else truncated(address)
