"""The real command line as a process of its own, one profile each, as people and scripts run it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.samples import REPOSITORY
from tests.support.server_process import ServerAddress

PASSWORD = "correct horse battery staple"
TIMEOUT_S = 90


@dataclass
class Cli:
    """`safelight` with one profile. Nothing of the environment that runs the tests reaches it but what it needs."""

    profile: Path
    variables: dict[str, str] = field(default_factory=dict)
    timeout_s: int = field(default=TIMEOUT_S, kw_only=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the command sees."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.profile.parent),
            "LANG": "C.UTF-8",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "SAFELIGHT_PROFILE": str(self.profile),
            "SAFELIGHT_PASSWORD": PASSWORD,
            **self.variables,
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and return its process, with pipes to read."""
        return subprocess.Popen(
            [sys.executable, "-m", "safelight.clients.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=self.environment,
        )

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "safelight.clients.cli", *arguments],
            check=False,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=self.environment,
            timeout=self.timeout_s,
        )

    def ok(self, *arguments: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed with --json, and return its one document."""
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, *arguments: str, code: int = 1) -> str:
        """Run a command that must fail with this exit code, and return its one line on stderr."""
        done = self.run(*arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr


def new_account(server: ServerAddress, profile: Path, name: str, **variables: str) -> Cli:
    """An account of its own on *server*, with its profile; *variables* are in its commands' environment."""
    cli = Cli(profile, variables)
    cli.json("account", "create", "--server", server.url, "--name", name, "--invite", server.invite())
    return cli


def new_camera(owner: Cli, space: str, profile: Path, name: str = "Phone") -> Cli:
    """A camera of *owner*'s space, with its profile."""
    uri = owner.json("camera", "pair", "--space", space, "--name", name)["uri"]
    camera = Cli(profile, owner.variables)
    camera.ok("camera", "add", uri)
    return camera


def kill(process: "subprocess.Popen[str]") -> None:
    """End a process without warning, and its pipes with it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
