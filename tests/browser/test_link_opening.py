"""Opening: the password, what an opening costs, and everything that refuses."""

import base64
import json
import time
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from safelight.clients.engine.link_making import LinkWish, MadeLink
from tests.browser.conftest import Visitor
from tests.browser.looking import click_open, see_gallery, see_title, viewer
from tests.browser.studio import Studio

PASSWORD = "Grüße aus dem Süden 🌾"
DOOR = "Someone shared photos with you"
WRONG = "That did not open. The password is not right, or the link is not known here."


def _at_door(visitor: Visitor, link: MadeLink) -> Page:
    page = visitor.page()
    page.goto(link.url)
    see_title(page, DOOR)
    return page


def test_only_the_right_password_opens(studio: Studio, visitor: Visitor) -> None:
    """A wrong one is said to be wrong, costs no opening and leaves the field; none at all asks nobody."""
    link = studio.link(LinkWish(password=PASSWORD))
    page = _at_door(visitor, link)
    click_open(page)
    expect(page.get_by_role("alert")).to_have_text("Type the password that came with the link.")
    assert visitor.asked("/v1/") == []
    click_open(page, "not it")
    expect(page.get_by_role("alert")).to_have_text(WRONG)
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    assert studio.opens(link) == 0
    click_open(page, PASSWORD)
    see_gallery(page)
    assert studio.opens(link) == 1


def test_the_password_is_worked_on_beside_the_page(studio: Studio, visitor: Visitor) -> None:
    """Argon2id runs in a worker, whose answer alone may compile WebAssembly; the page goes on and shows progress."""
    link = studio.link(LinkWish(password=PASSWORD))
    page = _at_door(visitor, link)
    page.evaluate("() => { globalThis.beats = 0; setInterval(() => globalThis.beats++, 10); }")
    with page.expect_worker() as worker, page.expect_response("**/argon2-*.js") as script:
        click_open(page, PASSWORD)
    expect(page.get_by_role("progressbar")).to_be_visible()
    see_gallery(page)
    assert "argon2-" in worker.value.url
    assert "'wasm-unsafe-eval'" in script.value.headers["content-security-policy"]
    assert page.evaluate("() => globalThis.beats") > 5


def test_a_tab_remembers_the_password_and_no_other_does(studio: Studio, visitor: Visitor) -> None:
    """Reload and back ask nothing; a new tab of the same browser asks; locking forgets; storage alone opens nothing."""
    link = studio.link(LinkWish(password=PASSWORD))
    page = _at_door(visitor, link)
    click_open(page, PASSWORD)
    see_gallery(page)
    address = page.url
    page.reload()
    see_gallery(page)
    page.goto("about:blank")
    page.go_back()
    see_gallery(page)
    kept = page.evaluate("() => JSON.stringify({ ...sessionStorage })")
    assert PASSWORD not in kept
    other = visitor.page()
    other.goto(address)
    see_title(other, DOOR)
    # Even with a copy of the other tab's storage, the half that lies in IndexedDB is under a name of its own.
    page.get_by_role("button", name="Lock").click()
    see_title(page, DOOR)
    other.evaluate("(kept) => Object.assign(sessionStorage, JSON.parse(kept))", kept)
    other.reload()
    see_title(other, DOOR)
    page.reload()
    see_title(page, DOOR)
    assert studio.opens(link) == 1


def test_one_opening_is_one_browser(studio: Studio, visitors: Callable[..., Visitor]) -> None:
    """With one opening: reload, back, a second tab and "open in browser" are free; a stranger with the link is told."""
    link = studio.link(LinkWish(max_opens=1))
    visitor, elsewhere, stranger = visitors(), visitors(), visitors()
    page = _at_door(visitor, link)
    click_open(page)
    see_gallery(page)
    page.reload()
    see_gallery(page)
    page.goto("about:blank")
    page.go_back()
    see_gallery(page)
    second = _at_door(visitor, link)
    click_open(second)
    see_gallery(second)
    assert second.url.startswith(link.url)
    assert len(second.url) == len(link.url) + 26
    # The app's own browser hands over to the real one: other cookies, the address alone.
    handed = elsewhere.page()
    handed.goto(second.url)
    click_open(handed)
    see_gallery(handed)
    assert studio.opens(link) == 1
    refused = _at_door(stranger, link)
    click_open(refused)
    see_title(refused, "This link has been used up")


def test_a_link_that_is_over_says_so(studio: Studio, visitors: Callable[..., Visitor]) -> None:
    """Expired and withdrawn links each say which, in a sentence."""
    expires_ms = int(time.time() * 1000) + 1500
    expiring, revoked = studio.link(LinkWish(expires_ms=expires_ms)), studio.link()
    studio.revoke(revoked)
    page = _at_door(visitors(), revoked)
    click_open(page)
    see_title(page, "This link was withdrawn")
    page = _at_door(visitors(), expiring)
    while time.time() * 1000 <= expires_ms:
        page.evaluate("() => new Promise(requestAnimationFrame)")
    click_open(page)
    see_title(page, "This link has expired")


def test_a_link_withdrawn_while_it_is_open_shows_no_more(studio: Studio, visitor: Visitor) -> None:
    """The next picture that is asked for ends the visit, viewer and all."""
    link = studio.link()
    page = _at_door(visitor, link)
    click_open(page)
    see_gallery(page).first.click()
    expect(viewer(page)).to_be_visible()
    studio.revoke(link)
    page.keyboard.press("End")
    see_title(page, "This link was withdrawn")
    expect(page.locator(".grid")).to_have_count(0)
    expect(viewer(page)).to_have_count(0)


def test_an_unknown_link_and_a_wrong_password_look_alike(studio: Studio, visitor: Visitor) -> None:
    """A link with a password that the server does not know gives the very sentence of a wrong password."""
    link = studio.link(LinkWish(password=PASSWORD))
    page = visitor.page()

    def forget(route: Route) -> None:
        route.continue_(url=route.request.url.replace(link.link_id.hex(), "00" * 16))

    page.route("**/v1/links/*/open", forget)
    page.goto(link.url)
    click_open(page, PASSWORD)
    expect(page.get_by_role("alert")).to_have_text(WRONG)


def test_a_lost_network_can_be_waited_out(studio: Studio, visitor: Visitor) -> None:
    """The page says so, and opens by itself once the network is back."""
    link = studio.link()
    page = _at_door(visitor, link)
    visitor.context.set_offline(True)
    click_open(page)
    see_title(page, "The server cannot be reached")
    page.get_by_role("button", name="Try again").click()
    see_title(page, "The server cannot be reached")
    visitor.context.set_offline(False)
    see_gallery(page)
    assert studio.opens(link) == 1


def test_a_substituted_manifest_is_not_shown(studio: Studio, visitor: Visitor) -> None:
    """Another link's manifest, though rightly signed by the same maker, is refused: the address names its key."""
    link, other = studio.link(), studio.link()
    page = visitor.page()
    page.goto(other.url)
    with page.expect_response("**/open") as answer:
        click_open(page)
    see_gallery(page)
    stolen = answer.value.json()

    def substitute(route: Route) -> None:
        real = route.fetch().json()
        route.fulfill(json={**real, **{key: stolen[key] for key in ("head", "head_signature", "publishing_key")}})

    page.route(f"**/v1/links/{link.link_id.hex()}/open", substitute)
    page.goto(link.url)
    click_open(page)
    see_title(page, "These are not the photos you were sent")
    expect(page.locator(".grid")).to_have_count(0)


def test_one_flipped_bit_in_the_manifest_is_not_shown(studio: Studio, visitor: Visitor) -> None:
    """Damage on the way or in storage is told from a wrong link."""
    link = studio.link()
    page = visitor.page()

    def damage(route: Route) -> None:
        real = route.fetch().json()
        head = bytearray(base64.b64decode(real["head"]))
        head[len(head) // 2] ^= 1
        route.fulfill(json={**real, "head": base64.b64encode(head).decode()})

    page.route("**/open", damage)
    page.goto(link.url)
    click_open(page)
    see_title(page, "These are not the photos you were sent")


def test_a_server_in_trouble_is_not_the_guests_fault(studio: Studio, visitor: Visitor) -> None:
    """A refusal for haste and a broken answer each have their page, and a way to try again."""
    link = studio.link()
    page = visitor.page()
    problem = json.dumps({"type": "about:blank", "title": "", "status": 429, "code": "rate-limited", "detail": ""})
    page.route(
        "**/open", lambda route: route.fulfill(status=429, body=problem, content_type="application/problem+json")
    )
    page.goto(link.url)
    click_open(page)
    see_title(page, "A little too fast")
    page.unroute("**/open")
    page.route(
        "**/open", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>", content_type="text/html")
    )
    page.get_by_role("button", name="Try again").click()
    see_title(page, "The server stumbled")
    page.unroute("**/open")
    page.get_by_role("button", name="Try again").click()
    see_gallery(page)


def test_a_session_that_ran_out_is_renewed_unseen(studio: Studio, visitor: Visitor) -> None:
    """The cookie is gone while the gallery is open: the next picture comes all the same, and no opening is counted."""
    link = studio.link(LinkWish(max_opens=1))
    page = _at_door(visitor, link)
    click_open(page)
    see_gallery(page).first.click()
    expect(viewer(page)).to_be_visible()
    visitor.context.clear_cookies()
    with page.expect_response("**/open") as renewed:
        page.keyboard.press("End")
    assert renewed.value.status == 200
    expect(viewer(page)).to_be_visible()
    assert studio.opens(link) == 1
