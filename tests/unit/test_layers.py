"""The layers hold, and the linter that holds them would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SEALING = "The server cannot reach the code that decrypts"
LIBRARIES = "The server uses no cryptographic library directly"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the package and its rules, free to be spoilt."""
    leave_out = shutil.ignore_patterns("node_modules", "dist", "src", "vectors", "__pycache__")
    shutil.copytree(REPOSITORY / "safelight", tmp_path / "safelight", ignore=leave_out)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def lint(project: Path) -> tuple[int, str]:
    """Run the linter as `make check` does, on *project*; return its exit code and what it printed."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    # Wide enough that no name is broken over two lines.
    environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "400", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=project, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def spoil(project: Path, module: str, line: str) -> None:
    """Add the import *line* to *module* of the copy, which is made if it is new."""
    path = project / "safelight" / f"{module}.py"
    before = path.read_text() if path.exists() else '"""New."""\n'
    path.write_text(f"{before}\n{line}\n")


def test_the_layers_hold(project: Path) -> None:
    """No module imports what it may not, and the copy that the other tests spoil is sound before."""
    code, output = lint(project)
    assert code == 0, output
    assert f"{SEALING} KEPT" in output
    assert "0 broken" in output


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("server/domain/spoilt", "from safelight.sync_protocol.sealing import boxes"),
        ("server/app", "import safelight.sync_protocol.sealing.keytree"),
        ("web_share/pages", "from safelight.sync_protocol import sealing"),
    ],
)
def test_a_direct_import_of_sealing_is_caught(project: Path, module: str, line: str) -> None:
    """One line anywhere in the server that imports the code that decrypts breaks the build."""
    spoil(project, module, line)
    code, output = lint(project)
    assert code != 0
    assert f"{SEALING} BROKEN" in output


def test_a_detour_to_sealing_is_caught(project: Path) -> None:
    """The server may not reach sealing by way of an innocent module of the protocol either."""
    spoil(project, "sync_protocol/detour", "from safelight.sync_protocol.sealing.boxes import open_box")
    spoil(project, "sync_protocol/halfway", "from safelight.sync_protocol import detour")
    spoil(project, "server/domain/spoilt", "from safelight.sync_protocol import halfway")
    code, output = lint(project)
    assert code != 0
    assert f"{SEALING} BROKEN" in output
    assert "safelight.sync_protocol.halfway -> safelight.sync_protocol.detour" in output


@pytest.mark.parametrize("library", ["nacl.secret", "cryptography.hazmat.primitives.ciphers.aead"])
def test_a_cryptographic_library_in_the_server_is_caught(project: Path, library: str) -> None:
    """The server may not bring its own means to decrypt."""
    spoil(project, "server/stores/spoilt", f"import {library}")
    code, output = lint(project)
    assert code != 0
    assert f"{LIBRARIES} BROKEN" in output


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("server/domain/spoilt", "import aiohttp", "The rules know neither HTTP nor SQL"),
        ("server/domain/spoilt", "import sqlite3", "The rules know neither HTTP nor SQL"),
        ("server/domain/spoilt", "import safelight.server.app", "Layers of the server"),
        ("sync_protocol/spoilt", "import safelight.clients.engine", "The protocol imports nothing else of ours"),
        ("sync_protocol/spoilt", "import time", "The protocol does no I/O and reads no clock"),
        ("clients/engine/spoilt", "import safelight.clients.cli", "Layers of the clients"),
        ("clients/engine/spoilt", "import safelight.server", "Server and clients know each other only by the protocol"),
        ("server/routes/spoilt", "import safelight.web_share.pages", "Only the server's app serves the pages"),
    ],
)
def test_each_other_rule_is_caught(project: Path, module: str, line: str, contract: str) -> None:
    """Every contract notices the import that it is there to forbid."""
    spoil(project, module, line)
    code, output = lint(project)
    assert code != 0
    assert f"{contract} BROKEN" in output
