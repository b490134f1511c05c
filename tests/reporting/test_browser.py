"""The report in a real browser: Debian's Chromium, without a screen."""

import re
import shutil
from contextlib import contextmanager

import pytest

from nars.costs.table import cell
from nars.reporting.facts.describe import differing, dimensions
from nars.reporting.facts.sections import sections_of
from nars.reporting.page.report import write_report
from nars.study.folder import read_study

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -r requirements-test.txt")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # Drawn by the processor, WebGL too; Chromium's own sandbox does not run as root.
        arguments = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def drawn(browser, path):
    """The report at `path` as a page; at the end, nothing may have gone wrong in it or asked for the network."""
    complaints = []
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(200_000)  # ms; seconds on an idle machine
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else complaints.append(r.url))
    page.goto(path.absolute().as_uri())
    page.evaluate("document.querySelectorAll('details.part').forEach(part => { part.open = true; })")
    page.evaluate("drawAll()")
    yield page
    page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def page(browser, finished):
    """The report of the finished study."""
    with drawn(browser, write_report([finished])) as page:
        yield page


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_fits_the_window_and_follows_the_colour_scheme(page, width, color_scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=color_scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    colors = page.evaluate("""() => {
        const style = selector => getComputedStyle(document.querySelector(selector));
        return [style(".main-svg text").fill, style("body").backgroundColor];
    }""")
    ink, ground = (sum(map(int, color[4:-1].split(","))) for color in colors)
    assert (ink > ground) == (color_scheme == "dark")


def test_draws_every_mark(page, finished):
    (section,) = sections_of(read_study(finished))
    finished_ones = len(section.with_status("finished"))
    diverged = len(section.with_status("diverged"))
    answers = len(section.runs[0].answers)
    predicted = len([c for c in section.with_status("finished", "diverged") if c.predicted is not None])
    assert finished_ones > 80
    assert diverged > 0
    assert page.locator("#costs-0 .point").count() == finished_ones + diverged + answers
    assert page.locator("#predictions-0 .point").count() == predicted
    assert page.locator("#importance-0 .point").count() == len(section.summary.importance)
    assert page.locator("#evolution-0 .bars .point").count() == 3 * len(section.summary.generations)
    assert page.locator("#recipes-0 .y-axis").count() == len(section.trained[0].record.recipe) + 6 + 1
    gaps = page.evaluate("document.getElementById('curves-0').data.map(t => t.y.filter(v => v === null).length)")
    curves = sum(gap + 1 for gap in gaps[:3])
    assert curves == finished_ones + diverged


def test_tables_sort_both_ways(page):
    page.locator("details summary").first.click()
    header = page.locator(".candidates th", has_text="accuracy")
    column = header.evaluate("th => th.cellIndex")

    def values():
        cells = page.locator(f".candidates tbody tr td:nth-child({column + 1})").all_inner_texts()
        return [float(cell) for cell in cells]

    unsorted = values()
    header.click()
    assert values() == sorted(unsorted, reverse=True) != unsorted
    header.click()
    assert values() == sorted(unsorted)
    macs = page.locator(".answers th", has_text="MACs")
    macs.click()
    sizes = page.locator(".answers tbody tr td[data-label=MACs]")
    given = [float(cell.get_attribute("data-value")) for cell in sizes.all()]
    assert given == sorted(given, reverse=True)


def test_two_chosen_pairs_stand_next_to_each_other(page, finished):
    (section,) = sections_of(read_study(finished))
    ranks = [int(rank) for rank in page.locator(".answers tbody tr td:first-child").all_inner_texts()]
    first, third = (section.runs[0].answers[rank - 1] for rank in (ranks[0], ranks[2]))  # as they are sorted now
    buttons, panel = page.locator(".answers [data-compare]"), page.locator("#compared")
    assert panel.is_hidden()
    buttons.nth(0).click()
    assert "second pair" in panel.inner_text()
    buttons.nth(2).click()
    rows = [row.locator("td").all_inner_texts() for row in panel.locator("tr").all()]
    mine, other = dimensions(first), dimensions(third)
    assert rows[-len(differing([first, third])) :] == [[n, mine[n], other[n]] for n in differing([first, third])]
    assert [row[0] for row in rows[:4]] == ["", "measured", "predicted", "MACs"]
    assert rows[3][1:] == [cell(answer["costs"], "macs") for answer in (first, third)]
    buttons.nth(1).click()  # in place of the one that was chosen first
    assert [button.get_attribute("aria-pressed") for button in buttons.all()[:3]] == ["false", "true", "true"]
    panel.locator("button").click()
    assert panel.is_hidden()


def test_shows_text_from_files_as_text(browser, tiny_maker):
    hostile = '<img src=x onerror="console.error(1)"></script><script>console.error(2)</script>'
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=30")
    run = maker.answer(maker.run_rounds())
    file = run.folder / "search.yaml"
    text = file.read_text()
    assert "constraint: macs <= 2M" in text
    file.write_text(text.replace("constraint: macs <= 2M", f"constraint: '{hostile}'"))
    with drawn(browser, write_report([maker.folder])) as page:
        assert hostile in page.locator("main").inner_text()
        assert "out of <memory> & more" in page.locator("main").inner_text()
        assert page.locator("img").count() == 0


def test_half_a_search_and_records_alone_are_shown(browser, tiny_maker):
    half, alone = tiny_maker("strategy.rounds=2", "strategy.batch=6"), tiny_maker(name="alone")
    half.run_rounds()
    list(alone.evaluate([alone.space.candidate(point) for point in alone.pool[:3]], 2, title=""))
    with drawn(browser, write_report([half.folder, alone.folder])) as page:
        text = page.locator("main").inner_text()
        assert "tiny, macs <= 2M: not finished, 2 of 2 rounds done" in text
        assert "alone: no round finished yet, 3 trainings in the ledger" in text
        assert page.locator("#costs-0 .point").count() == 12
        assert page.locator("#costs-1 .point").count() == 3
        assert page.locator(".answers").count() == 0


def test_prints_whole_figures_without_having_looked_at_them(browser, finished):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(200_000)
    page.goto(write_report([finished]).absolute().as_uri())
    page.wait_for_function("[...document.querySelectorAll('.figure')].every(f => 'drawn' in f.dataset)")
    widths = page.evaluate(
        "[...document.querySelectorAll('.figure .main-svg')].map(s => s.getBoundingClientRect().width)"
    )
    paper = page.pdf(prefer_css_page_size=True)
    page.close()
    [width] = {float(box) for box in re.findall(rb"/MediaBox *\[ *0 +0 +([0-9.]+)", paper)}  # points of 4/3 pixels
    assert 0 < max(widths) <= width * 4 / 3 - 48  # the margins
