"""The pages in a real browser: no complaint, every figure, the answers on the first screen.

Without a browser on the machine these tests are skipped, by name: `MEBOLD_BROWSER` names one.
"""

import json

import pytest
from browser import PHONE, WIDE, Browser, found
from report_folder import Output, finished, png

from mebold.report import pages
from mebold.report.folder import Folder
from mebold.report.study import Study

pytestmark = pytest.mark.skipif(not found(), reason="no headless browser (see MEBOLD_BROWSER)")
ANSWERED = """[...document.querySelectorAll('.answer')].map(a => [a.dataset.answer,
  a.querySelector('dd').innerText.trim().length > 5, a.getBoundingClientRect().bottom])"""
# Every picture in turn, as the reader who scrolls to it sees it.
LOADED = """(async () => { const bad = []; for (const image of document.images) {
  image.scrollIntoView(); await image.decode().catch(() => 0);
  if (!image.naturalWidth) bad.push(image.src); } return [document.images.length, bad]; })()"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    out = finished(tmp_path_factory.mktemp("pages") / "out", n_subjects=2, n_runs=3)
    out.subject("03")
    out.run("03", "01", "01", fd=(0.9, 1.4, 0.8), outliers=(1, 2, 3), warnings=["a doubt " * 20])
    out.session("03", "01", compare="standardSingle, nordicOptcom")
    out.compared()
    out.log("ica/sub-03/ses-01/sub-03_ses-01_task-images_run-01_nordic.log", error="did not end")
    pages.write(Study(Folder(out.root)))
    return out.root


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", ["index.html", "sub-01.html", "sub-03.html"])
def test_answers_are_on_the_first_screen_and_nothing_is_amiss(output, name, size):
    with Browser(size) as page:
        page.open(output / "report" / name)
        answers = page.value(ANSWERED)
        assert [one for one, *_ in answers] == ["usable", "variant", "ceiling", "skipped"]
        assert all(said for _, said, _ in answers)
        assert max(bottom for *_, bottom in answers) <= size[1]
        assert page.value("document.documentElement.scrollWidth") <= size[0]
        count, bad = page.value(LOADED)
        assert (count > 0, bad) == (True, [])
        assert page.complaints == []


def test_every_section_can_be_named_without_scrolling_sideways(output):
    with Browser((800, 800)) as page:  # a window over half of a screen
        page.open(output / "report/sub-01.html")
        right = page.value(
            "[...document.querySelectorAll('nav.sections a')]"
            ".map(a => a.getBoundingClientRect().right)"
        )
    assert len(right) > 8
    assert max(right) <= 800


@pytest.mark.parametrize("name", ["index.html", "sub-03.html"])
def test_names_of_measures_stay_in_their_columns_and_reasons_have_room(output, name):
    with Browser(WIDE) as page:
        page.open(output / "report" / name)
        wide = page.value(
            "(document.querySelector('#runs').scrollIntoView(),"
            " [...document.querySelector('#runs table').tHead.rows[0].cells].map(c =>"
            " [c.textContent, c.clientWidth, c.scrollWidth]))"
        )
    assert len(wide) > 5
    assert [name for name, room, needed in wide if needed > room] == []
    assert min(room for name, room, _ in wide if name in ("why", "reasons")) > 200


def test_the_table_of_runs_sorts_filters_and_shows_a_run_in_the_distributions(output):
    with Browser(WIDE) as page:
        page.open(output / "report" / "index.html")
        first = "document.querySelector('#table-runs tbody tr:not([hidden])').dataset.run"
        press = "document.querySelectorAll('#table-runs th button')[2].click()"
        page.value(press)
        page.value(press)  # once up, once down
        assert page.value(first) == "sub-03_ses-01_task-images_run-01"
        head = "document.querySelectorAll('#table-runs th')[2].ariaSort"
        assert page.value(head) == "descending"
        page.value("document.querySelector('#table-runs tbody tr a').focus()")
        mark = "document.querySelector('svg[data-measure=fd_mean] .mark')"
        place = page.value(f"{mark}.getAttribute('transform')")
        assert float(place.removeprefix("translate(").split()[0]) == pytest.approx(230, abs=0.1)
        assert page.value(f"{mark}.getAttribute('visibility')") == "visible"
        page.value(
            "(box => { box.value = 'sub-02 run-01'; box.dispatchEvent(new Event('input')); })"
            "(document.querySelector('input[type=search]'))"
        )
        assert page.value("document.getElementById('table-runs-count').innerText") == "2 of 13 runs"
        assert page.complaints == []


@pytest.fixture(scope="module")
def bad_input(tmp_path_factory):
    """Return the pages of an excluded run, a failed one, one without events, and no T1w."""
    out = Output(tmp_path_factory.mktemp("bad") / "out")
    out.subject("01")
    out.run("01", "01", "01")
    failed = out.run("01", "01", "02", until="coreg")
    out.log(f"coreg_run/sub-01/ses-01/{failed}.log", error="no overlap with the T1w")
    out.run("01", "01", "03", skipped={"singletrial": "no events"})
    names = ("01", "01", "images", "04", "sub-01_ses-01_task-images_run-04", "", "left_out")
    out.plan(*names, planned=False, reason="excluded by `exclude: sub-01_ses-01_run-04`")
    out.session("01", "01")
    out.subject("02", anatomy=False, reason="no T1w")
    out.run("02", "01", "01", skipped={"coreg": "no T1w to align with"})
    pages.write(Study(Folder(out.root)))
    return out.root / "report"


@pytest.mark.parametrize(
    ("name", "selector", "words"),
    [
        ("sub-01", '#runs [data-left-out$="run-04"]', "excluded by exclude: sub-01_ses-01_run-04"),
        ("sub-01", '#skipped [data-told="left out"]', "run-04"),
        ("sub-01", '#skipped [data-failure="coreg_run"]', "no overlap with the T1w"),
        ("sub-01", '#runs [id$="run-02"] .badge.bad', "bad"),
        ("sub-01", "#skipped .state-failed", "failed"),
        ("sub-01", '[data-answer="usable"]', "2 good, 1 bad (ses-01 run-02)"),
        (
            "sub-01",
            '#skipped [data-told="skipped"]',
            "single-trial fit of ses-01 run-03: no events",
        ),
        ("sub-01", '#runs [id$="run-03"] .badge.good', "good"),
        ("sub-02", '[data-answer="skipped"]', "skipped: anatomy, alignment"),
        ("sub-02", '#skipped [data-told="skipped"]', "anatomy of sub-02: no T1w"),
        ("sub-02", '#runs [id$="run-01"] .badge', "good"),
        ("index", '#subjects a[href="sub-01.html"]', "sub-01"),
        ("index", '#subjects a[href="sub-02.html"]', "sub-02"),
        ("index", '#skipped [data-told="left out"]', "exclude: sub-01_ses-01_run-04"),
        ("index", "#skipped [data-failure]", "coreg_run of sub-01_ses-01_task-images_run-02"),
        ("index", "#subjects .state-failed", "1 failed"),
    ],
)
def test_bad_input_is_seen(bad_input, seen, name, selector, words):
    assert words in seen(bad_input / f"{name}.html", selector)


@pytest.fixture(scope="module")
def seen():
    """Return a function of a page and a selector to the words of what is found there."""
    with Browser(WIDE) as page:

        def words(path, selector):
            if path.as_uri() != page.value("location.href"):
                page.open(path)
            found = f"[...document.querySelectorAll({json.dumps(selector)})]"
            # What is folded away has text, too.
            return page.value(f"{found}.map(e => e.textContent).join(' | ')")

        yield words
        assert page.complaints == []


def test_a_figure_is_brought_into_view_by_its_name(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    for run in range(1, 9):
        stem = out.run("01", "01", f"{run:02d}")
        out.write(f"preproc/sub-01/ses-01/figures/{stem}_desc-motion_bold.png", png(700, 300))
    pages.write(Study(Folder(tmp_path)))
    with Browser(PHONE) as page:
        page.open(tmp_path / "report/sub-01.html")
        page.value(
            "(choice => { choice.value = choice.options[5].value;"
            "choice.dispatchEvent(new Event('change')); })"
            "(document.querySelector('select[data-jump=strip-motion]'))"
        )
        left = "document.querySelectorAll('#strip-motion figure')[5].getBoundingClientRect().left"
        assert abs(page.value(left) - 16) <= 2


def test_frames_are_shown_one_at_a_time_and_by_turns(tmp_path):
    out = finished(tmp_path, n_sessions=1, n_runs=1)
    stem = "sub-01_ses-01_task-images_run-01"
    for name in ("Before", "After"):
        path = f"tedana/sub-01/ses-01/figures/{stem}_desc-flicker{name}_boldref.png"
        out.write(path, png(40, 30))
    out.write("preproc/sub-01/figures/sub-01_desc-flickerAnatomy_T1w.png", png(40, 30))
    pages.write(Study(Folder(tmp_path)))
    seen = """[...document.querySelectorAll('figure.flicker img')].map(
      i => getComputedStyle(i).visibility === 'visible')"""
    with Browser(PHONE) as page:
        page.open(tmp_path / "report/sub-01.html")
        assert page.value(seen) == [True, False, False]
        page.value("document.querySelectorAll('figure.flicker [data-frame]')[2].click()")
        assert page.value(seen) == [False, False, True]
        page.value("document.querySelector('figure.flicker [data-turn]').click()")
        page.value("new Promise(done => setTimeout(done, 900))")
        assert page.value(seen) == [True, False, False]
        pressed = "document.querySelector('figure.flicker [data-turn]').ariaPressed"
        assert page.value(pressed) == "true"
        page.value("document.querySelectorAll('figure.flicker [data-frame]')[1].click()")
        page.value("new Promise(done => setTimeout(done, 900))")
        assert page.value(seen) == [False, True, False]
        assert page.complaints == []
