"""The certificate's page as a stranger sees it in a browser, on a desk and on a phone, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page

from tests.support.calls import call
from tests.support.edge_functions import serve_function
from tests.support.pictures import picture
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = ("Maria-Magdalena Featherstonehaugh-Cholmondeley " * 4)[:190].strip()
LONG_TITLE = ("Advanced Studies in Everything " * 7)[:200].strip()


@pytest.fixture
def school(world: World) -> School:
    return School(world)


@pytest.fixture
def function(rest: Rest, tmp_path: Path) -> Iterator[httpx.Client]:
    with serve_function(
        "certificate", rest, tmp_path, {"CERTIFICATE_URL": "https://example.org/certificates"}
    ) as client:
        yield client


async def box(of: Locator) -> tuple[float, float, float, float]:
    found = await of.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]


async def everything_is_in_the_frame(page: Page) -> None:
    """Nothing is pushed out of the sheet or cut off, and no two blocks lie on each other."""
    frame = await box(page.locator(".frame"))
    above = frame[1]
    for part in (".organisation", "h1", ".name", ".course", ".foot"):
        left, top, right, bottom = await box(page.locator(part))
        assert left >= frame[0], part
        assert right <= frame[2], part
        assert top >= above, part
        assert bottom <= frame[3], part
        above = bottom
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("name", "title"), [("Zoë Ångström-O'Neil", "First Aid for Instructors"), (LONG, LONG_TITLE)], ids=["usual", "long"]
)
async def test_a_certificate_is_read_printed_and_revoked(
    browser: Browser, school: School, function: httpx.Client, name: str, title: str
) -> None:
    code, certificate = school.certificate(name, title)
    serial = school.one("select serial from public.certificates where id = %s", [certificate])
    errors: list[str] = []
    page = await browser.new_page(viewport={"width": 1240, "height": 900})
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    address = f"{function.base_url}/certificate/{code}"
    kind = "usual" if name != LONG else "long"
    for status, sentence in (("valid", "Valid"), ("revoked", "Revoked on")):
        if status == "revoked":
            call(school.db, school.boss, "revoke_certificate", p_id=certificate, p_reason="Typo in the name")
        for width in (1240, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.goto(address)
            for text in (name, title, serial, " ".join(re.findall(".{4}", code)), "Riverside Training"):
                await page.get_by_text(text, exact=True).wait_for()
            await page.get_by_role("status").get_by_text(sentence).wait_for()
            await page.get_by_role("img", name="Address to verify this certificate at").wait_for()
            assert await page.get_by_text("Typo in the name").count() == 0
            await everything_is_in_the_frame(page)
            await page.screenshot(path=picture(f"certificate-{kind}-{status}-{width}.png"))
        paper = picture(f"certificate-{kind}-{status}.pdf")
        await page.pdf(path=paper, prefer_css_page_size=True, print_background=True)
        printed = paper.read_bytes()
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        sheet = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", printed)
        assert sheet is not None
        # A4 across in points, to the pixel.
        assert (float(sheet[1]), float(sheet[2])) == pytest.approx((841.9, 595.3), abs=1)
        await page.emulate_media(media="print")
        # Paper says nothing of being valid, since it cannot know for how long; of being revoked it does.
        assert await page.locator(".status").is_visible() is (status == "revoked")
        assert await page.locator(".stamp").count() == (status == "revoked")
        await page.emulate_media(media="null")
    await page.close()
    assert errors == []
