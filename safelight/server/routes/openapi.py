"""The OpenAPI 3.1 document, made from the same route table and the same Structs that serve and validate."""

import re
from typing import Any

import msgspec

from safelight.server.routes.problems import problem_type
from safelight.server.routes.table import JSON, Auth, Route
from safelight.sync_protocol.messages.common import Problem
from safelight.sync_protocol.refusals import TABLE, Code

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
# What any route may answer, whatever it does; any that writes; any whose path may name what is not there.
_ALWAYS = (Code.BAD_REQUEST, Code.SERVER_FAULT, Code.STORAGE_UNAVAILABLE)
_WRITING = (Code.STORAGE_FULL, Code.STORAGE_READ_ONLY)
_NAMING = (Code.NOT_FOUND,)
_WITH_BODY = (Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA, Code.TIMED_OUT)
_WITH_SESSION = (Code.SESSION_REQUIRED, Code.SESSION_EXPIRED)
_REASONS = {
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    204: "No Content",
    206: "Partial",
    304: "Not Modified",
    503: "Service Unavailable",
}


def openapi_path(path: str) -> str:
    """Return a route's path without the patterns in its parameters."""
    return _PARAMETER.sub(r"{\1}", path)


def build_document(routes: list[Route], version: str) -> bytes:
    """Return the document as JSON."""
    shapes: list[Any] = [Problem]
    shapes += [shape for route in routes for shape in (route.request, route.response) if shape is not None]
    schemas, components = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=_REF)
    refs = dict(zip(dict.fromkeys(shapes), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(openapi_path(route.path), {})[route.method.lower()] = _operation(route, refs)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Safelight", "version": version, "license": {"name": "AGPL-3.0-or-later"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer"},
                "link": {"type": "apiKey", "in": "cookie", "name": "safelight-link"},
            },
        },
        "x-refusals": {
            code.value: {"type": problem_type(code), "status": row.status, "title": row.sentence}
            for code, row in TABLE.items()
        },
    }
    return msgspec.json.encode(document)


def _operation(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.handler.__module__.rsplit('.', 1)[-1]}_{route.handler.__name__}_{route.method.lower()}",
        "parameters": _parameters(route),
        "responses": _responses(route, refs),
        "security": _security(route),
    }
    if route.request is not None:
        content = {route.request_media: {"schema": refs[route.request]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.request_media != JSON:
        operation["requestBody"] = {"required": False, "content": {route.request_media: {}}}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{pattern}$"}}
        for name, pattern in _PARAMETER.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": name == "space", "schema": {"type": "string"}} for name in route.query
    ]
    parameters += [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in route.headers
    ]
    return parameters


def _responses(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in route.statuses:
        response: dict[str, Any] = {"description": _REASONS[status]}
        if status in {200, 503} and route.response is not None:
            response["content"] = {route.response_media: {"schema": refs[route.response]}}
        elif status in {200, 206} and route.method != "HEAD":
            response["content"] = {route.response_media: {}}
        responses[str(status)] = response
    by_status: dict[int, list[str]] = {}
    for code in sorted(set(_refusals(route))):
        by_status.setdefault(TABLE[code].status, []).append(code.value)
    for status, codes in sorted(by_status.items()):
        content = {"application/problem+json": {"schema": refs[Problem]}}
        responses[str(status)] = {"description": "Refused: " + ", ".join(codes), "content": content}
    return responses


def _refusals(route: Route) -> tuple[Code, ...]:
    has_body = route.request is not None or route.request_media != JSON
    has_session = route.auth in {Auth.SESSION, Auth.SESSION_OR_TICKET}
    return (
        *_ALWAYS,
        *(_WITH_BODY if has_body else ()),
        *(_WITH_SESSION if has_session else ()),
        *(_WRITING if route.method not in {"GET", "HEAD", "OPTIONS"} else ()),
        *(_NAMING if "{" in route.path else ()),
        *route.refusals,
    )


def _security(route: Route) -> list[dict[str, list[str]]]:
    match route.auth:
        case Auth.NONE:
            return []
        case Auth.LINK:
            return [{"link": []}]
        case _:
            return [{"session": []}]
