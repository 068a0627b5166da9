"""Connections: so many for one address, and no more, so that one client cannot hold them all."""

import asyncio
import socket
from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from aiohttp import web

from safelight.server.domain.addresses import network_of
from safelight.server.routes.connection import Connection

# Linux's alone, like the deployments; elsewhere a proxy in front does the same.
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)


class CountingServer(web.Server):
    """Counts connections by address; those of trusted proxies, which bring everyone's, are not counted."""

    def __init__(
        self,
        made: web.Server,
        limit: int,
        proxies: tuple[IPv4Network | IPv6Network, ...],
        stall_timeout_s: int,
        **options: Any,
    ) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory, **options)
        self._limit = limit
        self._proxies = proxies
        self._stall_timeout_s = stall_timeout_s
        self._counts: Counter[bytes] = Counter()
        self._networks: dict[web.RequestHandler, bytes] = {}

    def __call__(self) -> web.RequestHandler:
        """Make what handles one connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection; where its address has too many it is closed before it is heard."""
        super().connection_made(handler, transport)
        _end_when_stalled(transport, self._stall_timeout_s)
        peer = transport.get_extra_info("peername")
        if not peer or any(ip_address(peer[0]) in network for network in self._proxies):
            return
        network = network_of(peer[0])
        self._networks[handler] = network
        self._counts[network] += 1
        if self._counts[network] > self._limit:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Give a connection back."""
        super().connection_lost(handler, exc)
        network = self._networks.pop(handler, None)
        if network is None:
            return
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]


def _end_when_stalled(transport: asyncio.Transport, timeout_s: int) -> None:
    """Let the system end a connection whose other side takes nothing for so long, whatever answer it was sent.

    aiohttp waits for ever there, also when it closes: the bytes of a page stay, and so does the connection.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6} and _USER_TIMEOUT is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, timeout_s * 1000)


class CountingRunner(web.AppRunner):
    """Runs the application behind a `CountingServer`."""

    def __init__(
        self,
        app: web.Application,
        limit: int,
        proxies: tuple[IPv4Network | IPv6Network, ...],
        stall_timeout_s: int,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self._limit = limit
        self._proxies = proxies
        self._stall_timeout_s = stall_timeout_s
        self._options = {
            key: value for key, value in options.items() if key not in {"handle_signals", "shutdown_timeout"}
        }

    async def _make_server(self) -> web.Server:
        # aiohttp has no other place where one learns of a connection before its first request.
        made = await super()._make_server()
        return CountingServer(made, self._limit, self._proxies, self._stall_timeout_s, **self._options)
