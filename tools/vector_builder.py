"""What the makers of vectors share: seeded bytes, and cases that are recorded by running them."""

import hashlib
from typing import Any

from safelight.sync_protocol.refusals import Code
from tools.vector_operations import SUCCESS, Values, digest_of, encode, run

_LARGE_BYTES = 8192


def seeded(name: str, size_bytes: int = 32) -> bytes:
    """Return bytes that look random, are the same at every run, and protect nothing."""
    return hashlib.shake_256(f"safelight vectors: {name}".encode()).digest(size_bytes)


def repeated(size_bytes: int) -> Values:
    """Return a large input of *size_bytes* as a pattern; its period is prime, so that moved segments differ."""
    return {"repeat": bytes(range(251)).hex(), "size_bytes": size_bytes}


class Cases:
    """The cases of one file, in order."""

    def __init__(self) -> None:
        self.cases: list[Values] = []

    def add(self, name: str, operation: str, expect: Code | None = None, /, **inputs: Any) -> Values:
        """Run *operation* and record what it gives; return its output.

        Raises AssertionError if the class of the result is not *expect* (None: success), so that no file can record
        by accident that something opens.
        """
        stated = {field: encode(value) for field, value in inputs.items()}
        result, output = run(operation, stated)
        if result != (SUCCESS if expect is None else expect.value):
            raise AssertionError(f"{name}: {result} instead of {expect}")
        if any(case["name"] == name for case in self.cases):
            raise AssertionError(f"{name} stands here twice")
        case: Values = {"name": name, "operation": operation, "inputs": stated, "expect": result}
        if output is not None:
            case["output"] = {field: _recorded(value) for field, value in output.items()}
        self.cases.append(case)
        return output or {}


def _recorded(value: Any) -> Any:
    return digest_of(value) if isinstance(value, bytes) and len(value) > _LARGE_BYTES else encode(value)
