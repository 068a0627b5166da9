"""The gallery and its viewer: by keyboard, mouse and touch; what may be downloaded; and what the page may not do."""

import base64
import gzip
import io
import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Download, Page, Route, expect

from safelight.clients.engine.link_making import LinkWish, MadeLink
from safelight.web_share.pages import DIST
from tests.browser.conftest import Visitor
from tests.browser.looking import click_open, see_gallery, see_opened, see_position, see_sharp, see_title, viewer
from tests.browser.studio import ALBUM, Studio

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
MAX_SCRIPT_SIZE_BYTES = 120 * 1024
BOXES = "() => [...document.querySelectorAll('.grid a')].map((a) => JSON.stringify(a.getBoundingClientRect()))"


def _opened(visitor: Visitor, link: MadeLink) -> Page:
    page = visitor.page()
    page.goto(link.url)
    click_open(page)
    see_gallery(page)
    return page


def test_everything_is_there_and_nothing_jumps(studio: Studio, visitor: Visitor) -> None:
    """Title and count are the album's; tiles have their places before a single picture has come, and keep them."""
    link = studio.link(LinkWish(label="Acme, round 2"))
    page = visitor.page()
    gates: list[Route] = []
    is_shut = True

    def hold(route: Route) -> None:
        if is_shut:
            gates.append(route)
        else:
            route.continue_()

    page.goto(link.url)
    manifest = "**/v1/links/*/blobs/*"
    with page.expect_response(manifest):  # the manifest's page comes first; everything after it waits
        click_open(page)
        expect(page.get_by_role("progressbar").or_(page.locator(".grid"))).to_be_visible()
    page.route(manifest, hold)
    see_title(page, ALBUM)
    expect(page.get_by_text(f"{len(studio.files)} items", exact=True)).to_be_visible()
    expect(page.get_by_text("Acme, round 2")).to_have_count(0)  # the label is the maker's
    expect(page.locator(".grid a canvas").first).to_be_visible()
    before = page.evaluate(BOXES)
    is_shut = False
    for gate in gates:
        gate.continue_()
    see_gallery(page)
    expect(page.locator(".grid a:has(canvas):not(:has(img.shown))")).to_have_count(0)
    assert page.evaluate(BOXES) == before
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_viewer_obeys_the_keyboard(studio: Studio, visitor: Visitor) -> None:
    """Arrows, Home, End, i, f and Escape do what people expect; the focus goes in and comes back."""
    count = len(studio.files)
    page = _opened(visitor, studio.link())
    page.locator(".grid a").nth(1).focus()
    page.keyboard.press("Enter")
    expect(viewer(page)).to_be_focused()
    see_position(page, 2, count)
    see_sharp(page)
    page.keyboard.press("ArrowRight")
    see_position(page, 3, count)
    page.keyboard.press("ArrowLeft")
    see_position(page, 2, count)
    page.keyboard.press("End")
    see_position(page, count, count)
    page.keyboard.press("Home")
    see_position(page, 1, count)
    page.keyboard.press("i")
    expect(page.get_by_role("complementary", name="Details")).to_contain_text(studio.files_in_album()[0].name)
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Details")).to_have_count(0)
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Leave full screen")).to_be_visible()
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Full screen", exact=True)).to_be_visible()
    for _ in range(8):  # the focus goes round inside the viewer
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.closest('[role=dialog]') !== null")
    page.keyboard.press("Escape")
    expect(viewer(page)).to_have_count(0)
    expect(page.locator(".grid a").first).to_be_focused()


def test_every_picture_has_its_address(studio: Studio, visitors: Callable[..., Visitor]) -> None:
    """The address behind the secret names the picture; back closes the viewer, reload keeps it, a copy leads to it."""
    count = len(studio.files)
    visitor = visitors()
    page = _opened(visitor, studio.link())
    gallery = page.url
    page.locator(".grid a").nth(2).click()
    see_position(page, 3, count)
    assert page.url == f"{gallery}/3"
    page.keyboard.press("ArrowRight")
    see_position(page, 4, count)
    expect(page).to_have_url(f"{gallery}/4")
    page.reload()
    see_position(page, 4, count)
    current = page.url
    assert current.endswith("/4")
    page.go_back()
    expect(viewer(page)).to_have_count(0)
    assert page.url == current.removesuffix("/4")
    page.go_forward()
    see_position(page, 4, count)
    page.mouse.move(600, 400)
    page.get_by_role("button", name="Close").click()
    expect(viewer(page)).to_have_count(0)
    assert page.url == current.removesuffix("/4")
    guest = visitors().page()
    guest.goto(current)
    click_open(guest)
    see_position(guest, 4, count)
    guest.go_back()
    expect(viewer(guest)).to_have_count(0)
    see_title(guest, ALBUM)


def test_the_viewer_obeys_a_finger(studio: Studio, visitors: Callable[..., Visitor]) -> None:
    """On a phone a swipe turns the page, a tap hides the controls, and a pull down closes."""
    count = len(studio.files)
    page = _opened(visitors(**PHONE), studio.link())
    page.locator(".grid a").first.tap()
    see_position(page, 1, count)
    see_sharp(page)
    touch = page.context.new_cdp_session(page)

    def drag(start: tuple[int, int], end: tuple[int, int]) -> None:
        def send(kind: str, *points: tuple[float, float]) -> None:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

        send("touchStart", start)
        for step in range(1, 9):
            part = step / 8
            send("touchMove", (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part))
            page.evaluate("() => new Promise(requestAnimationFrame)")
        send("touchEnd")

    see_opened(page)
    drag((330, 420), (40, 420))
    see_position(page, 2, count)
    see_sharp(page)
    page.touchscreen.tap(195, 420)
    expect(page.locator(".viewer.bare")).to_be_visible()
    page.touchscreen.tap(195, 420)
    expect(page.locator(".viewer:not(.bare)")).to_be_visible()
    drag((195, 300), (195, 760))
    expect(viewer(page)).to_have_count(0)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_a_download_is_the_original(studio: Studio, visitor: Visitor) -> None:
    """By key and by button: identical bytes, under the file's own name; raw files and films likewise."""
    page = _opened(visitor, studio.link())
    files = studio.files_in_album()
    for index in (0, len(files) - 1):
        page.locator(".grid a").first.click()
        expect(viewer(page)).to_be_visible()
        page.keyboard.press("End" if index else "Home")
        see_position(page, index + 1, len(files))
        with page.expect_download() as by_key:
            page.keyboard.press("d")
        assert by_key.value.suggested_filename == files[index].name
        assert by_key.value.path().read_bytes() == files[index].read_bytes()
        expect(page.get_by_role("status").filter(has_text=f"Downloaded: {files[index].name}")).to_have_count(1)
        with page.expect_download() as by_button:
            page.get_by_role("button", name="Download").click()
        assert by_button.value.path().read_bytes() == files[index].read_bytes()
        page.keyboard.press("Escape")
        expect(viewer(page)).to_have_count(0)


def test_a_link_for_viewing_offers_no_download(studio: Studio, visitor: Visitor) -> None:
    """No button, no key, no file name; previews are there."""
    page = _opened(visitor, studio.link(LinkWish(originals=False)))
    expect(page.get_by_text("for viewing", exact=True)).to_be_visible()
    page.locator(".grid a").first.click()
    see_sharp(page)
    expect(page.get_by_role("button", name="Details")).to_be_visible()
    expect(page.get_by_role("button", name="Download")).to_have_count(0)
    page.keyboard.press("i")
    details = page.get_by_role("complementary", name="Details")
    expect(details).to_contain_text("Number")
    expect(details.get_by_role("button")).to_have_count(1)
    saved: list[Download] = []

    def save(download: Download) -> None:
        saved.append(download)

    page.on("download", save)
    page.keyboard.press("d")
    page.keyboard.press("ArrowRight")
    see_position(page, 2, len(studio.files))
    names = [file.name for file in studio.files]
    assert not any(name in page.content() for name in names)
    assert saved == []


def test_a_watermarked_link_shows_the_mark_in_grid_and_viewer(studio: Studio, visitor: Visitor) -> None:
    """The mark is in what is painted, small and large; what has no preview is a tidy tile; nothing can be kept."""
    page = _opened(visitor, studio.link(text="Proof for Acme"))
    marked = _painted(page, ".grid a >> nth=0 >> img.shown")
    expect(page.get_by_text("for viewing", exact=True)).to_be_visible()
    page.locator(".grid a").first.click()
    see_sharp(page)
    marked += _painted(page, ".pswp__item[aria-hidden=false] img.pswp__img[src^=blob]")
    expect(page.get_by_role("button", name="Download")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(viewer(page)).to_have_count(0)
    page.keyboard.press("End")
    expect(page.locator(".grid a", has_text="Video").last).to_be_visible()
    plain = _opened(visitor, studio.link(LinkWish(originals=False)))
    clean = _painted(plain, ".grid a >> nth=0 >> img.shown")
    plain.locator(".grid a").first.click()
    see_sharp(plain)
    clean += _painted(plain, ".pswp__item[aria-hidden=false] img.pswp__img[src^=blob]")
    assert len(marked) == len(clean) == 2
    for with_text, without in zip(marked, clean, strict=True):
        assert with_text.size == without.size
        difference = ImageChops.difference(with_text, without).convert("L")
        width, height = difference.width // 3, difference.height // 3
        for x, y in product(range(3), range(3)):
            part = difference.crop((x * width, y * height, (x + 1) * width, (y + 1) * height))
            assert part.getextrema()[1] > 40, (x, y)  # type: ignore[operator]  # one band


def _painted(page: Page, selector: str) -> list[Image.Image]:
    """The first such picture as the browser decoded it; of tiles the first, and not the first that was ready."""
    data = page.locator(selector).first.evaluate(
        """async (image) => {
          await image.decode();
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth;
          canvas.height = image.naturalHeight;
          canvas.getContext("2d").drawImage(image, 0, 0);
          return canvas.toDataURL("image/png").split(",")[1];
        }"""
    )
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return [image.convert("RGB")]


def test_what_has_no_preview_is_a_tidy_tile(studio: Studio, visitor: Visitor) -> None:
    """A film and a raw file show name, kind and size, in the grid and in the viewer."""
    page = _opened(visitor, studio.link())
    tile = page.locator(".grid a", has_text="VID_0001.mp4")
    page.keyboard.press("End")
    tile.scroll_into_view_if_needed()
    expect(tile).to_contain_text(re.compile(r"\d+ kB"))
    tile.click()
    card = viewer(page).locator(".pswp__item[aria-hidden=false] .card")
    expect(card).to_contain_text("VID_0001.mp4")
    expect(card).to_contain_text("There is no preview of this one. You can download it.")


def test_swapped_pictures_are_not_shown(studio: Studio, visitor: Visitor) -> None:
    """A server that gives one picture's bytes for another's is caught: the viewer says so and shows nothing."""
    page = _opened(visitor, studio.link())
    page.locator(".grid a").first.click()
    see_sharp(page)
    wanted: list[str] = []

    def swap(route: Route) -> None:
        wanted.append(route.request.url)
        route.continue_(url=known)

    # Another's bytes, for a picture so far off that neither the grid nor the viewer has fetched its preview before.
    known = visitor.asked("/blobs/")[1]
    page.route("**/v1/links/*/blobs/*", swap)
    page.keyboard.press("End")
    see_position(page, len(studio.files), len(studio.files))
    sentence = viewer(page).locator(".pswp__item[aria-hidden=false] .card p")
    expect(sentence).to_have_text("This one did not arrive as it was sent, so it is not shown.")
    assert wanted


def test_a_picture_that_does_not_come_can_be_asked_for_again(studio: Studio, visitor: Visitor) -> None:
    """Cut connections are retried quietly; what still fails has a button."""
    page = _opened(visitor, studio.link())
    page.route("**/v1/links/*/blobs/*", lambda route: route.fulfill(status=502, body=""))
    page.locator(".grid a").nth(4).click()
    retry = viewer(page).locator(".pswp__item[aria-hidden=false]").get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    page.unroute("**/v1/links/*/blobs/*")
    retry.click()
    see_sharp(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_speaks_german_on_a_narrow_phone(studio: Studio, visitors: Callable[..., Visitor], scheme: str) -> None:
    """At 320 pixels, in German, by day and by night, nothing is cut off and nothing is left in English."""
    visitor = visitors(**{**PHONE, "viewport": {"width": 320, "height": 640}}, color_scheme=scheme)
    visitor.context.set_extra_http_headers({"Accept-Language": "de-AT"})
    visitor.context.add_init_script("Object.defineProperty(navigator, 'languages', { get: () => ['de-AT', 'en'] })")
    page = visitor.page()
    page.goto(studio.link(LinkWish(password="Salz")).url)
    see_title(page, "Jemand hat Fotos mit dir geteilt")
    page.get_by_label("Passwort", exact=True).fill("Salz")
    page.get_by_role("button", name="Öffnen", exact=True).click()
    see_gallery(page)
    assert page.evaluate("() => document.documentElement.lang") == "de-AT"
    assert page.title() == "Geteilte Fotos"
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    expect(page.get_by_text(f"{len(studio.files)} Aufnahmen", exact=True)).to_be_visible()


def test_the_policy_is_strict_and_enforced(studio: Studio, visitor: Visitor) -> None:
    """Nothing but our own files; no inline code, no eval, no string into HTML or a worker; no frame around it."""
    link = studio.link()
    page = visitor.page()
    answer = page.goto(link.url)
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for directive in ("require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    click_open(page)
    see_gallery(page)
    attempts = {
        "html": "() => { document.body.innerHTML = '<b>x</b>'; }",
        "worker": "() => { new Worker('/s/-/link.js'); }",
        "script": "() => { document.createElement('script').src = '/s/-/link.js'; }",
        "policy": "() => { trustedTypes.createPolicy('other', { createHTML: (html) => html }); }",
    }
    for attempt in attempts.values():
        refused = page.evaluate(
            f"() => {{ try {{ ({attempt})(); return ''; }} catch (error) {{ return error.name; }} }}"
        )
        assert refused == "TypeError", attempt
    # What was tried here on purpose was complained of; the page itself gave no cause.
    assert len(visitor.complaints) >= len(attempts) - 1
    assert all("Trusted" in complaint or "policy" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()


def test_little_script_stands_before_the_first_picture(studio: Studio, visitor: Visitor) -> None:
    """What the page needs to show its first picture is at most 120 KB compressed; the viewer and Argon2 come later."""
    page = visitor.page()
    page.add_init_script("globalThis.requestIdleCallback = () => 0")
    page.goto(studio.link().url)
    click_open(page)
    see_gallery(page)
    names = {url.rsplit("/", 1)[-1] for url in visitor.asked("/s/-/") if url.endswith(".js")}
    assert names
    assert sum(len(gzip.compress((DIST / name).read_bytes())) for name in names) <= MAX_SCRIPT_SIZE_BYTES
    assert not any("argon2" in name or "Viewer" in name for name in names)
