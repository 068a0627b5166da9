"""Recovery words reach their owner, whatever stops on the way, and can be replaced."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.clients.engine.account_changes import recovery_words, words_were_shown
from safelight.clients.engine.accounts import CreatedAccount, create_account, recover
from safelight.clients.engine.connection import Connection
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.profile_secrets import unwrap
from safelight.sync_protocol.refusals import Code, Refused
from tests.hostile.proxy import Exchange, Proxy, lying_server
from tests.support.commands import Cli, kill
from tests.support.people import PASSWORD, Someone, new_someone
from tests.support.server_process import ServerProcess

NEW_PASSWORD = "a password after that"


async def _opens(server: ServerProcess, path: Path, name: str, words: list[str]) -> bool:
    with ProfileFolder(path) as folder:
        try:
            await recover(folder, server.url, name, " ".join(words), NEW_PASSWORD, use_system_keyring=False)
        except Refused as refusal:
            if refusal.code is not Code.UNLOCK_FAILED:
                raise
            return False
    return True


async def _create(path: Path, url: str, name: str, invite: str, password: str = PASSWORD) -> CreatedAccount:
    with ProfileFolder(path) as folder:
        return await create_account(folder, url, name, invite, password, use_system_keyring=False)


async def _die_at(proxy: Proxy, path: str, start: Callable[[], Any], stop: Callable[[Any], Awaitable[None]]) -> None:
    """Start something, and stop it when the server has done what *path* asks, before the answer arrives."""
    answered = asyncio.Event()

    async def hold(exchange: Exchange) -> Exchange:
        answered.set()
        await asyncio.sleep(0.5)
        return exchange.cut()

    proxy.lie("POST", path, hold)
    running = start()
    async with asyncio.timeout(30):
        await answered.wait()
    await stop(running)
    proxy.be_honest()


async def _kill(process: Any) -> None:
    await asyncio.to_thread(kill, process)


async def test_create_killed_before_it_printed(server: ServerProcess, tmp_path: Path) -> None:
    """`kill -9` between the server's answer and the words: the same command goes on, once, and the words are right."""
    name = "killed.create"
    cli = Cli(tmp_path / "first")
    arguments = ("account", "create", "--name", name, "--invite", server.invite(), "--server")
    async with lying_server(server.url) as proxy:
        await _die_at(proxy, "/v1/accounts$", lambda: cli.start(*arguments, proxy.url), _kill)
        refused = await asyncio.to_thread(cli.refused, "space", "list")
        assert "run the same `account create` again" in refused
        again = await asyncio.to_thread(cli.run, *arguments, proxy.url, "--json")
        assert (again.returncode, "goes on" in again.stderr) == (0, True)
        words = json.loads(again.stdout)["recovery_words"]
        assert "profile-exists" in await asyncio.to_thread(cli.refused, *arguments, proxy.url)
        assert await asyncio.to_thread(cli.json, "space", "list") == []
    assert await _opens(server, tmp_path / "second", name, words)


async def test_create_stopped_before_the_server_heard(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the request went out, the same call makes the account; nothing of the first attempt is left."""
    honest = Connection.request

    async def stop(self: Connection, method: str, path: str, *rest: Any, **more: Any) -> Any:
        if path == "/v1/accounts":
            raise asyncio.CancelledError
        return await honest(self, method, path, *rest, **more)

    invite = server.invite()
    with monkeypatch.context() as patched:
        patched.setattr(Connection, "request", stop)
        with pytest.raises(asyncio.CancelledError):
            await _create(tmp_path / "p", server.url, "unheard", invite)
    with pytest.raises(Refused) as refused:
        await _create(tmp_path / "p", server.url, "another name", invite)
    assert refused.value.code is Code.PROFILE_EXISTS
    with pytest.raises(Refused) as refused:
        await _create(tmp_path / "p", server.url, "unheard", invite, "not the password")
    assert refused.value.code is Code.PROFILE_LOCKED
    created = await _create(tmp_path / "p", server.url, "unheard", invite)
    assert await _opens(server, tmp_path / "second", "unheard", created.recovery_words)


async def test_a_server_that_is_gone_when_asked_again(server: ServerProcess, tmp_path: Path) -> None:
    """While nobody can say whether the account was made, its keys stay; then the same call goes on with them."""
    name, invite = "open.question", server.invite()
    async with lying_server(server.url) as proxy:
        proxy.lie("POST", "/v1/", lambda e: e.cut())
        for _ in range(2):
            with pytest.raises(Refused) as refused:
                await _create(tmp_path / "p", proxy.url, name, invite)
            assert refused.value.code is Code.SERVER_UNREACHABLE
        proxy.be_honest()
        created = await _create(tmp_path / "p", proxy.url, name, invite)
    assert await _opens(server, tmp_path / "second", name, created.recovery_words)


async def test_words_are_shown_until_that_is_confirmed(server: ServerProcess, tmp_path: Path) -> None:
    """The words that were not confirmed are shown again; then they are forgotten."""
    anna = await new_someone(server, tmp_path / "anna", "confirmed")
    with ProfileFolder(anna.path) as folder:
        assert await recovery_words(folder, PASSWORD) == anna.words
        words_were_shown(folder, PASSWORD)
        assert unwrap(folder.load_account(), PASSWORD).recovery_entropy == b""
        assert folder.load_account().words == "shown"
    async with anna.session():
        pass


async def test_new_words(server: ServerProcess, tmp_path: Path) -> None:
    """`account recovery`: with the password, new words that open the account, and the old ones open it no more."""
    cli = Cli(tmp_path / "owner")
    create = ("account", "create", "--server", server.url, "--name", "new.words", "--invite", server.invite())
    old = (await asyncio.to_thread(cli.json, *create))["recovery_words"]
    wrong = Cli(cli.profile, {"SAFELIGHT_PASSWORD": "not the password"})
    assert "profile-locked" in await asyncio.to_thread(wrong.refused, "account", "recovery")
    made = await asyncio.to_thread(cli.json, "account", "recovery")
    assert (len(made["recovery_words"]), made["new"]) == (24, True)
    assert made["recovery_words"] != old
    assert not await _opens(server, tmp_path / "by old", "new.words", old)
    assert await _opens(server, tmp_path / "by new", "new.words", made["recovery_words"])
    printed = await asyncio.to_thread(cli.run, "account", "recovery")
    assert printed.returncode == 1  # the recovery set another password: this device takes it over first
    assert "do not match" in printed.stderr


async def test_new_words_killed_before_they_are_printed(server: ServerProcess, tmp_path: Path) -> None:
    """`kill -9` between the server's answer and the words: the next call prints words that open the account."""
    name = "killed.renewal"
    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", name, url=proxy.url)
        with ProfileFolder(anna.path) as folder:
            words_were_shown(folder, PASSWORD)
        cli = Cli(anna.path)
        await _die_at(proxy, "/v1/accounts/.*/ledger$", lambda: cli.start("account", "recovery"), _kill)
        noted = await asyncio.to_thread(cli.run, "space", "list")
        assert "safelight account recovery" in noted.stderr
        words = (await asyncio.to_thread(cli.json, "account", "recovery"))["recovery_words"]
        noted = await asyncio.to_thread(cli.run, "space", "list")
        assert (noted.returncode, noted.stderr) == (0, "")
    assert not await _opens(server, tmp_path / "by old", name, anna.words)
    assert await _opens(server, tmp_path / "by new", name, words)


async def test_new_words_that_the_server_did_not_keep(server: ServerProcess, tmp_path: Path) -> None:
    """*Words that open nothing*: they are tried before anyone writes them down."""
    async with lying_server(server.url) as proxy:
        anna = await new_someone(server, tmp_path / "anna", "not.kept", url=proxy.url)
        with ProfileFolder(anna.path) as folder:
            words_were_shown(folder, PASSWORD)
            finished = 0

            def forget(exchange: Exchange) -> Exchange:
                nonlocal finished
                finished += 1
                return exchange.with_json({}) if finished == 2 else exchange

            proxy.lie("POST", "/v1/unlock/finish", forget)
            with pytest.raises(Refused):
                await recovery_words(folder, PASSWORD)
            assert finished == 2
            assert folder.load_account().words == "renewing"
            proxy.be_honest()
            words = await recovery_words(folder, PASSWORD)
    again = Someone(tmp_path / "again", "not.kept", words)
    assert await _opens(server, again.path, "not.kept", words)
