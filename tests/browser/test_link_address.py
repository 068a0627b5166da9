"""A link as it arrives: whole, cut, mangled, or with what chat programs add to it; and what no secure address means."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from safelight.sync_protocol.links import LinkAddress, build_fragment
from tests.browser.conftest import Visitor
from tests.browser.looking import click_open, see_gallery, see_title
from tests.browser.studio import Studio

PASTE = "The whole link"


@pytest.mark.parametrize(
    ("damage", "title"),
    [
        (lambda url: url[:-7], "This link was cut short"),
        (lambda url: url.split("#")[0], "The second half of the link is missing"),
        (lambda url: url.split("#")[0] + "#", "The second half of the link is missing"),
        (lambda url: url[:-3] + ("aaa" if url[-3:] != "aaa" else "bbb"), "This link was changed on its way"),
        (lambda url: url.replace("#a", "#1"), "This link was changed on its way"),
        (lambda url: url.replace("/s/", "/s/0")[:-1], "The second half of the link is missing"),
    ],
    ids=["cut", "no fragment", "empty fragment", "mangled", "not base32", "path damaged"],
)
def test_a_damaged_link_is_explained_before_any_request(
    studio: Studio, visitor: Visitor, damage: Callable[[str], str], title: str
) -> None:
    """Nothing is asked of the server's API, and the whole link, pasted, opens."""
    link = studio.link()
    page = visitor.page()
    page.goto(damage(link.url))
    see_title(page, title)
    assert visitor.asked("/v1/") == []
    page.get_by_label(PASTE).fill(f"Here they are: <{link.url}>.")
    page.get_by_role("button", name="Use this link").click()
    see_title(page, "Someone shared photos with you")
    assert visitor.asked("/v1/") == []
    click_open(page)
    see_gallery(page)


def test_what_is_pasted_is_judged_too(studio: Studio, visitor: Visitor) -> None:
    """A pasted link that is cut, or no link at all, is said to be so; the box stays."""
    link = studio.link()
    page = visitor.page()
    page.goto(link.url[:-7])
    for pasted, complaint in (
        ("see you on Sunday", "This does not look like a link to shared photos."),
        (link.url[:-1], "Part of it is still missing"),
        (link.url[:-3] + "11x", "This one is not whole either"),
    ):
        page.get_by_label(PASTE).fill(pasted)
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text(complaint)
    assert visitor.asked("/v1/") == []


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("#", "%23"),
        lambda url: url.replace("#", "#%23"),
        lambda url: url + ").",
        lambda url: url.split("#")[0] + "#" + url.split("#")[1].upper(),
    ],
    ids=["%23 in the path", "%23 behind #", "punctuation", "upper case"],
)
def test_what_programs_do_to_links_is_repaired(studio: Studio, visitor: Visitor, change: Callable[[str], str]) -> None:
    """The link opens all the same, and the address is the whole one again."""
    link = studio.link()
    page = visitor.page()
    page.goto(change(link.url))
    see_title(page, "Someone shared photos with you")
    assert page.url == link.url
    click_open(page)
    see_gallery(page)


def test_looking_at_the_address_costs_nothing(studio: Studio, visitor: Visitor) -> None:
    """Preview programs that fetch the page, and even run it, open nothing; its title says nothing of the album."""
    link = studio.link()
    page = visitor.page()
    for _ in range(3):
        page.goto(link.url)
        see_title(page, "Someone shared photos with you")
    assert page.title() == "Shared photos"
    assert visitor.asked("/v1/") == []
    assert studio.opens(link) == 0
    click_open(page)
    see_gallery(page)
    assert studio.opens(link) == 1


def test_an_address_without_protection_is_explained(studio: Studio, visitors: Callable[..., Visitor]) -> None:
    """Neither https nor this machine: the page says what to do, and asks for nothing."""
    link = studio.link()
    visitor = visitors()
    visitor.origin = f"http://photos.example:{urlsplit(link.url).port}"
    page = visitor.page()
    page.goto(link.url.replace("127.0.0.1", "photos.example"))
    see_title(page, "This address is not protected")
    secure = page.get_by_role("link", name="Try it with https://")
    expect(secure).to_have_attribute(
        "href", visitor.origin.replace("http:", "https:") + link.url[link.url.index("/s/") :]
    )
    assert visitor.asked("/v1/") == []
    # Chromium says of some headers that they mean nothing here.
    assert all("origin" in complaint.lower() for complaint in visitor.complaints)
    visitor.complaints.clear()


def test_a_link_for_adding_says_so_before_any_request(studio: Studio, visitor: Visitor) -> None:
    """It shows nothing and asks for nothing; the address stays whole, to be copied into a terminal."""
    shown = studio.link()
    link = LinkAddress(bytes(16), False, b"s" * 16, b"p" * 16, is_upload=True)
    url = f"{shown.url.split('/s/')[0]}/s/{link.link_id.hex()}#{build_fragment(link)}"
    page = visitor.page()
    page.goto(url)
    see_title(page, "Someone asks you for photos")
    expect(page).to_have_title("Someone asks you for photos")
    expect(page.get_by_text("safelight link upload")).to_be_visible()
    assert page.get_by_role("button").count() == 0
    assert page.url == url
    assert visitor.asked("/v1/") == []
    page.goto(shown.url)
    see_title(page, "Someone shared photos with you")
    click_open(page)
    see_gallery(page)


def test_another_link_in_the_same_tab_is_another_visit(studio: Studio, visitor: Visitor) -> None:
    """A second link put into the address bar shows its own door."""
    first, second = studio.link(), studio.link()
    page = visitor.page()
    page.goto(first.url)
    click_open(page)
    see_gallery(page)
    page.goto(second.url)
    see_title(page, "Someone shared photos with you")
    assert (studio.opens(first), studio.opens(second)) == (1, 0)
