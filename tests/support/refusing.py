"""Expecting a refusal by its code, whatever its words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from safelight.sync_protocol.refusals import Code, Refused


@contextmanager
def refuses(code: Code) -> Iterator[None]:
    """Pass if the block raises `Refused` with *code*, and nothing else."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code is code, f"{caught.value!r} instead of {code!r}"


def refusal(action: Callable[..., object], *args: object, **options: object) -> Code:
    """Do what must be refused; returns the code."""
    with pytest.raises(Refused) as caught:
        action(*args, **options)
    return caught.value.code
