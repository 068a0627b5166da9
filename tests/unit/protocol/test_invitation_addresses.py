"""Invitations as people copy them: whole they come back, and any damage is found before anything is sent."""

from safelight.sync_protocol import codes, invitations
from safelight.sync_protocol.invitations import InvitationAddress
from safelight.sync_protocol.limits import MAX_INTEGER
from safelight.sync_protocol.log import Head
from safelight.sync_protocol.refusals import Code
from tests.support.ledgers import id_of, seed_of
from tests.support.refusing import refusal

ADDRESS = InvitationAddress(
    server_url="https://photos.example:8443",
    server_fingerprint=id_of("server"),
    space_id=seed_of("space"),
    head=Head(9, seed_of("head")),
    invitation_id=id_of("invitation"),
    inviter_fingerprint=id_of("anna"),
    secret=seed_of("secret"),
)
START = "safelight:join#"


def test_invitations_come_back_and_damage_is_found() -> None:
    """Every changed letter, a cut and other text are refused; the secret is in no log by accident."""
    uri = invitations.build_invitation_uri(ADDRESS)
    assert invitations.parse_invitation_uri(f" {uri}\n") == ADDRESS
    assert invitations.parse_invitation_uri(uri.upper()) == ADDRESS
    assert repr(ADDRESS.secret) not in repr(ADDRESS)
    for place in range(len(START), len(uri)):
        changed = uri[:place] + ("a" if uri[place] != "a" else "b") + uri[place + 1 :]
        assert refusal(invitations.parse_invitation_uri, changed) is Code.INVITATION_INVALID
    for text in ("", "https://photos.example", uri[:60], START, uri + "a" * 2000, uri.replace("join", "pair")):
        assert refusal(invitations.parse_invitation_uri, text) is Code.INVITATION_INVALID


def test_invitations_of_later_versions_and_odd_bytes() -> None:
    """With a right checksum: another version, a number beyond all logs, a URL that is no text."""
    body = (codes.from_letters(invitations.build_invitation_uri(ADDRESS).partition("#")[2]) or b"")[:-4]
    for odd in (
        b"\x02" + body[1:],
        body[:49] + (MAX_INTEGER + 1).to_bytes(8, "big") + body[57:],
        body[:-1] + b"\xff",
    ):
        text = START + codes.to_letters(odd + invitations._checksum(odd))
        assert refusal(invitations.parse_invitation_uri, text) is Code.INVITATION_INVALID
