"""What one language seals today opens in the other: fresh values, both ways (sync_protocol/vectors/README.md)."""

import subprocess
from pathlib import Path

import pytest

from tools import exchange_vectors

WEB = Path(__file__).resolve().parents[2] / "safelight" / "web_share"
TIME_LIMIT_S = 120


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the pages' packages beside it: `make setup` puts both there."""
    if not (WEB / "node_modules").is_dir():
        pytest.fail("The pages' packages are not installed: run `make setup`.")
    return "node"


def _exchange(node: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [node, "tools/run.mjs", "tools/exchange.ts", *arguments]
    return subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)


def test_typescript_opens_what_python_seals(node: str, tmp_path: Path) -> None:
    """Every fresh value that Python writes is opened by the pages' code."""
    assert exchange_vectors.main(["write", str(tmp_path)]) == 0
    read = _exchange(node, "read", str(tmp_path / "exchange-python.json"))
    assert read.returncode == 0, read.stderr


def test_python_opens_what_typescript_seals(node: str, tmp_path: Path) -> None:
    """Every fresh value that the pages' code writes is opened by Python."""
    written = _exchange(node, "write", str(tmp_path))
    assert written.returncode == 0, written.stderr
    assert exchange_vectors.differences(tmp_path / "exchange-typescript.json") == []


def test_a_value_that_differs_is_noticed(node: str, tmp_path: Path) -> None:
    """The exchange would fail if the languages disagreed: one changed byte is reported by each side."""
    assert exchange_vectors.main(["write", str(tmp_path)]) == 0
    path = tmp_path / "exchange-python.json"
    text = path.read_text(encoding="utf-8")
    place = text.index('"sealed": "') + len('"sealed": "')
    path.write_text(text[:place] + ("1" if text[place] == "0" else "0") + text[place + 1 :], encoding="utf-8")
    assert _exchange(node, "read", str(path)).returncode == 1
    assert len(exchange_vectors.differences(path)) == 1
