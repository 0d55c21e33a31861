"""functions/certificate in real Deno: what it shows, and that nothing people wrote does anything in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.calls import call
from tests.support.edge_functions import serve_function
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.world import World

HOSTILE = '<script>alert("x")</script> & "Zoe" O\'Neil'


@pytest.fixture
def school(world: World) -> School:
    return School(world)


@pytest.fixture
def page(rest: Rest, tmp_path: Path) -> Iterator[httpx.Client]:
    with serve_function(
        "certificate", rest, tmp_path, {"CERTIFICATE_URL": "https://example.org/certificates/"}
    ) as client:
        yield client


def test_it_shows_the_certificate_and_nothing_people_wrote_does_anything(school: School, page: httpx.Client) -> None:
    code, _ = school.certificate(HOSTILE, 'First Aid <img src=x onerror="alert(1)">')
    grouped = "-".join(code[n : n + 4] for n in range(0, 32, 4)).lower()
    answers = [
        page.get(f"/certificate/{code}"),
        page.get(f"/certificate/{grouped}"),
        page.get("/certificate", params={"code": code}),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    html = answers[0].text
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &quot;Zoe&quot; O&#39;Neil" in html
    assert "<script" not in html
    assert "<img" not in html
    assert "Riverside Training" in html
    assert f'href="https://example.org/certificates/{code}"' in html
    assert 'class="status valid"' in html
    # Self-contained: nothing is loaded from anywhere.
    assert not re.search(r"(src|@import|url\()", html.replace("src=x onerror", ""))
    headers = answers[0].headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    head = page.head(f"/certificate/{code}")
    assert (head.status_code, head.content, int(head.headers["Content-Length"])) == (200, b"", len(answers[0].content))


def test_a_wrong_code_is_a_page_too(page: httpx.Client) -> None:
    for wrong in ("0" * 32, "0" * 31, "x", "", "..%2F..%2Fetc", "%3Cscript%3E"):
        answer = page.get(f"/certificate/{wrong}")
        assert answer.status_code == 404
        assert "There is no such certificate" in answer.text
        assert "<script" not in answer.text
    assert page.post("/certificate", json={}).status_code == 405


def test_revoked_and_expired_are_written_across_it(school: School, page: httpx.Client) -> None:
    code, certificate = school.certificate("Zoe Guest")
    school.pass_days(800)
    assert 'class="status expired"' in page.get(f"/certificate/{code}").text
    call(school.db, school.boss, "revoke_certificate", p_id=certificate, p_reason="Secret reason")
    html = page.get(f"/certificate/{code}").text
    assert 'class="status revoked"' in html
    assert "<span>revoked</span>" in html
    assert "Secret reason" not in html


def test_visitors_are_counted_one_by_one(school: School, page: httpx.Client) -> None:
    school.db.execute("update public.settings set value = '3' where key = 'anonymous_calls_per_minute'")
    for visitor in ("192.0.2.1", "192.0.2.2"):
        codes = [page.get(f"/certificate/{n:032X}", headers={"X-Forwarded-For": visitor}).status_code for n in range(4)]
        assert codes == [404, 404, 404, 429]
