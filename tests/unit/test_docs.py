"""What is written for people is so: links lead somewhere, and commands, flags and refusal codes exist."""

import argparse
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from safelight.clients.cli.app import app
from safelight.server.__main__ import DOCTORS_SETTINGS
from safelight.server.settings import Settings, flag_of
from safelight.server.upkeep.commands import COMMANDS
from safelight.sync_protocol.refusals import Code

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INVITE_FLAGS = {"--data", "--database", "--invite-lifetime-s", "--json"}
_CODE_PAGES = ("docs/spec/http.md", "docs/spec/upload.md", "docs/spec/log.md", "docs/spec/records.md")


def _documents() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    found = [name for name in listed if (ROOT / name).exists()]
    return found or ["README.md", "CONTRIBUTING.md", "SECURITY.md"]


DOCUMENTS = _documents()
_DEPLOYED = ("safelight.service", "Caddyfile", "cloudflared.yml", "nginx.conf", "compose.yaml", "compose.cluster.yaml")
WITH_COMMANDS = [*DOCUMENTS, *(f"deploy/{name}" for name in _DEPLOYED)]


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _anchors(text: str) -> set[str]:
    """The names that a heading can be linked by."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_within_the_repository_lead_somewhere(name: str) -> None:
    """Every relative link names a file or folder that is there, and every anchor a heading in it."""
    for target in _LINK.findall(_FENCE.sub("", _read(name))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    """A path in code quotes that begins at one of the repository's folders is one that is there."""
    for path in re.findall(r"`((?:safelight|tests|docs|deploy|tools|bench)/[\w./-]+)`", _read(name)):
        assert (ROOT / path).exists(), path


def _lines_with(program: str, text: str) -> Iterator[list[str]]:
    """The command lines of *program* in *text*, continued lines joined, as words."""
    joined = re.sub(r"\\\n[#\s]*", " ", text)
    for match in re.finditer(rf"(?:^|[\s`/]){program} ([^`\n]+)", joined):
        yield re.split(r"\s{3,}|\s+&&\s", match[1].strip())[0].split()


def _command(words: list[str]) -> tuple[Any, list[str]] | None:
    """The `safelight` command that *words* begin with, and what follows; None for prose."""
    command: Any = typer.main.get_command(app)  # a group has `commands`, which its declared type does not say
    rest = list(words)
    while hasattr(command, "commands"):
        name = rest.pop(0).rstrip(".,;:)") if rest else ""
        if name not in command.commands:
            return None
        command = command.commands[name]
    return command, rest


def test_every_command_in_the_readme_exists() -> None:
    """README's block of commands names commands and options that there are; `a|b` stands for each."""
    block = next(block for block in _FENCE.findall(_read("README.md")) if "safelight account create" in block)
    seen = 0
    for words in _lines_with("safelight", block):
        for alternative in (words[1] if len(words) > 1 else "").split("|"):
            found = _command([words[0], alternative, *words[2:]])
            assert found, words
            command, rest = found
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", " ".join(rest))) <= known, words
            seen += 1
    assert seen > 12


def test_every_command_stands_in_the_readme() -> None:
    """Who reads README's block knows all that the command line can do."""
    block = " ".join(_FENCE.findall(_read("README.md")))
    root: Any = typer.main.get_command(app)
    for name, group in root.commands.items():
        listed = " ".join(re.findall(rf"safelight {name} (\S+)", block)).replace("|", " ").split()
        assert name == "export" or set(group.commands) == set(listed), name


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_the_servers_flags_exist(name: str) -> None:
    """Every `safelight-server` command that is shown has flags which the server takes."""
    run = {flag_of(setting.name) for setting in fields(Settings)}
    flags = {"run": run, "invite": _INVITE_FLAGS, "doctor": {*map(flag_of, DOCTORS_SETTINGS), "--json"}}
    for command, kept in COMMANDS.items():
        parser = argparse.ArgumentParser()
        kept.add_arguments(parser)
        own = {option for action in parser._actions for option in action.option_strings}
        flags[command] = own | set(map(flag_of, kept.settings))
    for words in _lines_with("safelight-server", _read(name)):
        if words[0] in flags:
            assert set(re.findall(r"--[a-z-]+", shlex.join(words))) <= flags[words[0]], words


@pytest.mark.parametrize("name", [name for name in _CODE_PAGES if (ROOT / name).exists()])
def test_every_refusal_that_is_named_exists(name: str) -> None:
    """Codes in docs/spec (`some-code` in brackets or first in a row, or SOME_CODE) are in the one table."""
    text = _read(name)
    codes = {code.value for code in Code}
    named = set(re.findall(r"\(`([a-z]+(?:-[a-z]+)+)`(?: otherwise)?\)", text))
    named |= set(re.findall(r"^\| `([a-z]+(?:-[a-z]+)+)` \| \d{3} ", text, re.MULTILINE))
    assert named <= codes, named - codes
    shouted = set(re.findall(r"\b(?:[A-Z]+_)+[A-Z]+\b", text))
    assert {one for one in shouted if not one.startswith("SAFELIGHT_")} <= {code.name for code in Code}
