"""The command line, which also writes down every key that it seals, opens, signs or derives with."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safelight.sync_protocol import signatures
from safelight.sync_protocol.sealing import boxes, floe, hpke, keytree, passwords


def collect(path: Path) -> None:
    """Wrap whatever takes or gives a key; before anything else imports it by name."""

    def note(*keys: object) -> None:
        with path.open("a") as file:
            file.writelines(key.hex() + "\n" for key in keys if isinstance(key, bytes) and len(key) >= 16)

    def taking(module: Any, name: str, at: int = 0) -> None:
        function = getattr(module, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            note(arguments[at])
            return function(*arguments, **named)

        setattr(module, name, noted)

    def giving(module: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            given = function(*arguments, **named)
            note(*(given if isinstance(given, tuple) else (given,)))
            return given

        setattr(module, name, noted)

    for name in ("seal_box", "open_box"):
        taking(boxes, name)
    for name in ("public_key", "open_sealed"):
        taking(hpke, name)
    for name in ("sign", "public_key_of"):
        taking(signatures, name)
    taking(floe.FloeEncryptor, "__init__", 1)
    taking(floe.FloeDecryptor, "__init__", 1)
    for name in ("password_keys", "recovery_keys", "stretch"):
        giving(passwords, name)
    # A picks key and a password's salt say nothing alone, but nobody has to see them either.
    for name, value in list(vars(keytree).items()):
        if callable(value) and not name.startswith("_") and value.__module__ == keytree.__name__:
            giving(keytree, name)


def main() -> None:
    """Collect, and run the command."""
    collect(Path(sys.argv.pop(1)))
    from safelight.clients.cli.__main__ import main as command  # noqa: PLC0415 - what it imports is wrapped by now

    command()


if __name__ == "__main__":
    main()
