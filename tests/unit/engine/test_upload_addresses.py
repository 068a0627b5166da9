"""Upload links as they are pasted: the server and the link are of one address, whatever stands around it."""

import pytest

from safelight.clients.engine.guests import parse_upload_address
from safelight.sync_protocol.links import LinkAddress, build_fragment
from safelight.sync_protocol.refusals import Code
from tests.support.refusing import refuses

LINK = LinkAddress(bytes(range(16)), False, b"s" * 16, b"f" * 16, is_upload=True)
OTHER = LinkAddress(bytes(range(1, 17)), False, b"t" * 16, b"g" * 16, is_upload=True)
PATH, OTHER_PATH = (f"/s/{one.link_id.hex()}#{build_fragment(one)}" for one in (LINK, OTHER))


@pytest.mark.parametrize(
    ("text", "server"),
    [
        (f"https://h{PATH}", "https://h"),
        (f"https://h/base{PATH} See you there!", "https://h/base"),
        (f"[add here](https://h:8443{PATH})", "https://h:8443"),
        (f"http://[::1]:8000{PATH.replace('#', '%23')}.", "http://[::1]:8000"),
        (f"https://h{PATH}\nhttps://other.example{OTHER_PATH}", "https://h"),
        (f"photos.example{OTHER_PATH} or https://h{PATH}", "https://h"),
        (f"https://l.example/?to=https://h{PATH}", "https://h"),
    ],
)
def test_what_is_pasted(text: str, server: str) -> None:
    """*A link that is asked for at another server*, which would learn of it: what stands right before it counts."""
    found = parse_upload_address(text)
    assert (found.server_url, found.link) == (server, LINK)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"https://h/?to={PATH}", Code.LINK_ADDRESS_CUT),
        (f"photos.example{PATH}", Code.LINK_ADDRESS_CUT),
        (f"https://h{PATH[:50]}", Code.LINK_ADDRESS_CUT),
        (f"https://h{PATH[:50]}\nhttps://h{PATH}", Code.LINK_ADDRESS_MANGLED),
        (f"https://h/s/{OTHER.link_id.hex()}/{PATH}", Code.LINK_ADDRESS_MANGLED),
    ],
)
def test_what_is_no_address(text: str, code: Code) -> None:
    """What is cut, or belongs to no server, is asked for again."""
    with refuses(code):
        parse_upload_address(text)
