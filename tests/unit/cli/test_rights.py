"""Rights as people name them: in place of a role's usual ones, and none that the role cannot have."""

import pytest

from safelight.clients.cli.asking import Misuse
from safelight.clients.cli.member_names import given_rights, role_text
from safelight.sync_protocol.roles import RIGHTS, Right, Role


@pytest.mark.parametrize(
    ("text", "role", "rights"),
    [
        (None, Role.EDITOR, RIGHTS[Role.EDITOR]),
        ("approve", Role.PREVIEWER, {Right.APPROVE}),
        ("link, add ,organise", Role.EDITOR, {Right.ADD, Right.ORGANISE, Right.LINK}),
        ("none", Role.MANAGER, set()),
    ],
)
def test_rights_that_are_given(text: str | None, role: Role, rights: set[Right]) -> None:
    """By their words, with commas; none for none; where nothing is said, those of the role."""
    assert given_rights(text, role) == rights


@pytest.mark.parametrize(
    ("text", "role", "why"),
    [
        ("aprove", Role.PREVIEWER, "there is no right 'aprove'"),
        ("link", Role.PREVIEWER, "may have of these: approve"),
        ("approve", Role.GRANTEE, "may have of these: none"),
        ("link", Role.OWNER, "has all rights"),
        ("none,link", Role.EDITOR, "or say none"),
        (" , ", Role.EDITOR, "or say none"),
        ("", Role.EDITOR, "or say none"),
    ],
)
def test_rights_that_are_not(text: str, role: Role, why: str) -> None:
    """A word that is none, a right that the role cannot have, nothing at all: said before anything is signed."""
    with pytest.raises(Misuse, match=why):
        given_rights(text, role)


def test_roles_in_lists() -> None:
    """With the rights, where they are not the usual ones."""
    assert role_text(Role.EDITOR, RIGHTS[Role.EDITOR]) == "editor"
    assert role_text(Role.PREVIEWER, frozenset({Right.APPROVE})) == "previewer: approve"
    assert role_text(Role.EDITOR, frozenset()) == "editor: no rights"
