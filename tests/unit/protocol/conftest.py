"""Whom the tests of the protocol are about."""

import pytest

from tests.support.ledgers import Person, Space


@pytest.fixture
def anna() -> Person:
    """The owner."""
    return Person("anna")


@pytest.fixture
def space(anna: Person) -> Space:
    """Her family space, which allows links of the view tier."""
    return Space(anna).create()
