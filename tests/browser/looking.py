"""What people do on the link page, in words."""

from playwright.sync_api import Locator, Page, expect


def click_open(page: Page, password: str = "") -> None:
    """Open the link that is at its door."""
    if password:
        page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Open", exact=True).click()


def see_gallery(page: Page) -> Locator:
    """Wait until the first picture is decrypted and shown; return all tiles that are there."""
    expect(page.locator(".grid img.shown").first).to_be_visible()
    return page.locator(".grid a")


def see_title(page: Page, title: str) -> None:
    """Wait for the page that says *title*."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def viewer(page: Page) -> Locator:
    """The viewer."""
    return page.get_by_role("dialog", name="Viewer")


def see_opened(page: Page) -> None:
    """Wait until the viewer has grown out of its tile, and listens to fingers."""
    expect(viewer(page)).to_have_attribute("aria-busy", "false")


def see_position(page: Page, number: int, count: int) -> None:
    """Wait until the viewer shows that picture."""
    expect(page.locator(".position")).to_have_text(f"{number} of {count}")


def see_sharp(page: Page) -> None:
    """Wait until the picture in the viewer is decrypted."""
    expect(page.locator(".pswp__item[aria-hidden=false] img.pswp__img[src^=blob]").last).to_be_visible()
