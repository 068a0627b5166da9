"""Commands that were cut off: what they had begun is finished by the next one, which says so."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec

from safelight.sync_protocol.messages.common import Problem
from tests.hostile.proxy import Exchange, lying_server
from tests.support.commands import Cli
from tests.support.server_process import ServerProcess

_PROBLEM = msgspec.json.encode(Problem("about:blank", "", 500, "server-fault"))


async def test_the_next_command_says_what_the_one_before_did(server: ServerProcess, tmp_path: Path) -> None:
    """The answer was lost and then refused without a look: the next command finishes it, and names it, once."""
    told: list[Exchange] = []

    def lose_then_fail(exchange: Exchange) -> Exchange:
        told.append(exchange)
        if len(told) == 1:
            return exchange.cut()
        return replace(exchange, status=500, headers={"Content-Type": "application/problem+json"}, body=_PROBLEM)

    async with lying_server(server.url) as proxy:
        owner = Cli(tmp_path / "owner")
        create = ("account", "create", "--server", proxy.url, "--name", "cut-off", "--invite", server.invite())
        await asyncio.to_thread(owner.ok, *create)
        await asyncio.to_thread(owner.ok, "space", "create", "Home", "--kind", "family")
        proxy.lie("POST", ".*/commits$", lose_then_fail)
        pair = ("camera", "pair", "--space", "Home", "--name", "Phone")
        assert "server-fault" in await asyncio.to_thread(owner.refused, *pair)
        proxy.be_honest()
        said = await asyncio.to_thread(owner.run, "camera", "list", "--space", "Home")
        assert said.stdout.count("Phone") == 1
        assert "a command that was cut off before is done now: a camera was certified" in said.stderr
        said = await asyncio.to_thread(owner.run, "camera", "list", "--space", "Home")
        assert said.stderr == ""
