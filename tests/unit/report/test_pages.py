"""The pages as a reader without a browser finds them: answers, links, pictures, words for them."""

import json
import re
import shutil

import pytest
from page_reader import Page, broken
from report_folder import Output, finished

from mebold.report import answers, pages, quality
from mebold.report.folder import Folder
from mebold.report.study import Study


def written(root, **options) -> dict[str, Page]:
    found = pages.write(Study(Folder(root)), **options)
    return {path.name: Page(path) for path in found}


@pytest.fixture
def troubled(tmp_path):
    """Return an output with a good run, one that moved, one without fieldmap, one that failed."""
    out = Output(tmp_path)
    out.subject("01")
    out.run("01", "01", "01")
    out.run("01", "01", "02", fd=(0.9, 1.4, 0.8), outliers=(1, 2, 3))
    out.run("01", "02", "01", skipped={"fmap": "no fieldmap", "singletrial": "no events"})
    stem = out.run("01", "02", "02", until="coreg", warnings=["the head left the field of view"])
    out.log(f"coreg_run/sub-01/ses-02/{stem}.log", error="no overlap with the T1w")
    out.session("01", "01", compare="standardSingle, nordicOptcom")
    out.compared()
    out.subject("02", anatomy=False, reason="no T1w")
    names = ("03", "01", "images", "01", "sub-03_ses-01_task-images_run-01", "", "left_out")
    out.plan(*names, planned=False, reason="the image is damaged")
    return out


def test_every_link_and_picture_is_there_and_has_words(troubled):
    found = written(troubled.root)
    assert list(found) == ["index.html", "sub-01.html", "sub-02.html", "sub-03.html"]
    for page in found.values():
        assert broken(page) == []
        pictures = page.all("img")
        assert all(len(picture["alt"]) > 20 for picture in pictures)
        assert all(picture["loading"] == "lazy" for picture in pictures)
        assert page.all("html")[0]["lang"] == "en"
        assert not re.search(r"""(src|href)=["']http:|@import|url\(""", page.text)
    assert len(found["sub-01.html"].all("img")) == 7


def test_the_four_questions_are_answered_for_a_subject(troubled):
    answers = written(troubled.root)["sub-01.html"].answers
    words = "4 runs: 2 good, 2 bad (ses-01 run-02, ses-02 run-02)."
    assert words in answers["usable"]
    assert "bad: ses-01 run-02: mean framewise displacement 1.03 mm" in answers["usable"]
    assert "nordicOptcom, as configured" in answers["variant"]
    assert "keeps 91 % of the response" in answers["variant"]
    words = "visual: median 21 %; 10.0 % of the brain above chance (false discovery rate 5 %)."
    assert words in answers["ceiling"]
    assert "90th percentile 56.9 %, 174 voxels, 42 % of them" in answers["ceiling"]
    words = "1 job failed (coreg_run of ses-02 run-02); skipped: distortion correction (ses-02"
    assert words in answers["skipped"]
    assert "no overlap with the T1w" in answers["skipped"]
    assert "4 runs in 2 sessions" in answers["acquisition"]


@pytest.mark.parametrize("failed", [True, False])
def test_what_is_planned_but_lacks_is_told_with_the_reason(tmp_path, failed):
    out = Output(tmp_path)
    out.subject("01")
    stem = out.run("01", "01", "01", until="coreg")
    if failed:
        out.log(f"coreg_run/sub-01/ses-01/{stem}.log", error="no overlap with the T1w")
    out.session("01", "01", compare="standardSingle, nordicOptcom", fit=False)
    found = written(tmp_path)
    why = "a job that it needs failed (sub-01)." if failed else "jobs before it are not done."
    for page in ("index.html", "sub-01.html"):
        assert f"the comparison is not made yet: {why}" in found[page].answers["variant"]
        assert f"No noise ceiling of nordicOptcom yet: {why}" in found[page].answers["ceiling"]


def test_the_four_questions_are_answered_for_the_dataset(troubled):
    answers = written(troubled.root)["index.html"].answers
    assert "4 runs: 2 good, 2 bad (sub-01 ses-01 run-02, " in answers["usable"]
    assert "visual of sub-01: median 21 %; above chance in 1 of 1 subject." in answers["ceiling"]
    assert "; 1 left out; skipped: distortion correction (sub-01 ses-02" in answers["skipped"]
    assert ", anatomy (sub-02)." in answers["skipped"]


def test_reasons_warnings_and_logs_stand_where_they_belong(troubled):
    page = written(troubled.root)["sub-01.html"]
    motion = page.text.partition('<section id="motion">')[2].partition("</section>")[0]
    assert "the head left the field of view" in motion
    skipped = page.text.partition('<section id="skipped">')[2].partition("</section>")[0]
    for words in ("no fieldmap", "no events", "no overlap with the T1w", "needs coreg"):
        assert words in skipped
    assert "../work/logs/coreg_run/sub-01/ses-02/" in skipped


def test_units_stand_beside_the_names_of_measures(tmp_path):
    finished(tmp_path)
    found = written(tmp_path)
    labels = {cell["data-label"] for cell in found["sub-01.html"].all("td") if "data-label" in cell}
    assert {"fd_mean (mm)", "outliers_perc (%)", "t1w_dice"} <= labels
    assert "noise_ceiling_share (% of the session)" in labels
    for page in ("index.html", "sub-01.html"):
        heads = {head.get("title", "") for head in found[page].all("th")}
        assert quality.MEASURES["fd_mean"][1] in heads
        assert "fd_<wbr>mean <small>(mm)</small>" in found[page].text


def test_a_subject_without_any_run_has_a_page_that_says_so(troubled):
    found = written(troubled.root)
    assert "There is no run." in found["sub-02.html"].answers["usable"]
    assert "the image is damaged" in found["sub-03.html"].answers["skipped"]
    assert "None: 1 left out." in found["sub-03.html"].answers["usable"]
    assert "this one was not compared" in found["sub-03.html"].answers["variant"]
    assert "this one was not compared" not in found["sub-01.html"].answers["variant"]


def test_regions_have_the_share_of_their_voxels_above_chance(tmp_path):
    out = finished(tmp_path)
    page = written(tmp_path)["sub-01.html"]
    section = page.text.partition('<section id="noiseceiling">')[2].partition("</section>")[0]
    assert 'data-above-chance="42.0">42<' in section
    assert "above chance (%)" in section
    assert (
        "42 % of them above chance"
        in answers.ceiling(
            Study(Folder(tmp_path)), Study(Folder(tmp_path)).subjects["sub-01"]
        ).details[0]
    )
    table = out.root / "rois/sub-01/sub-01_task-images_desc-Noiseceiling_rois.tsv"
    lines = [line.rpartition("\t")[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(lines) + "\n")  # as earlier versions wrote it
    assert "above chance (%)" not in written(tmp_path)["sub-01.html"].text


def test_noise_ceilings_can_be_looked_through(tmp_path):
    finished(tmp_path)
    links = [a for a in written(tmp_path)["sub-01.html"].all("a") if "data-viewer" in a]
    group = "glmsingle-tedana/sub-01/ses-0{0}/figures/sub-01_ses-0{0}_task-images"
    assert [a["href"] for a in links] == [
        f"../{group.format(n)}_desc-Noiseceiling_viewer.html" for n in (1, 2)
    ]


def test_what_became_of_the_ica_of_a_run_is_told(tmp_path):
    out = finished(tmp_path, n_sessions=1)
    for run, about in (
        ("01", {"status": "ok", "n_accepted": 21, "n_rejected": 4}),
        ("02", {"status": "fallback", "reason": "too short"}),
    ):
        stem = f"sub-01_ses-01_task-images_run-{run}"
        for dataset in ("preproc-nordicIca", "tedana"):  # a copy for other readers
            out.write(f"{dataset}/sub-01/ses-01/func/{stem}_desc-ICA_outcome.json", about)
    section = written(tmp_path)["sub-01.html"].text.partition('<section id="multiecho">')[2]
    assert "run-01, nordicIca: 21 components kept, 4 removed" in section
    assert "run-02, nordicIca: fallback: too short" in section
    assert section.count("<li data-ica>") == 2


def test_all_is_well_is_said_too(tmp_path):
    finished(tmp_path)
    answers = written(tmp_path)["sub-01.html"].answers
    assert "Yes: all 4 runs good." in answers["usable"]
    assert "Nothing: all that the data allow was done." in answers["skipped"]
    assert "were not compared" in answers["variant"]


def test_of_runs_that_wait_nothing_is_said_yet(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    stem = "sub-01_ses-01_task-images_run-01"
    for stage in ("hmc", "coreg"):
        out.plan("01", "01", "images", "01", stem, "", stage, planned=True, reason="")
    page = written(tmp_path)["sub-01.html"]
    assert "1 run: 1 not processed yet" in page.answers["usable"]
    assert "not finished: 1 run" in page.answers["skipped"]
    assert "not processed yet</td>" in page.text
    assert "nothing speaks against it" not in page.text
    assert "Units" not in page.text


def test_an_empty_folder_has_a_page(tmp_path):
    found = written(tmp_path)
    assert list(found) == ["index.html"]
    assert "There is no run." in found["index.html"].answers["usable"]


def test_without_a_plan_the_runs_are_those_that_have_files(tmp_path):
    out = finished(tmp_path)
    (out.root / "plan.tsv").unlink()
    answers = written(tmp_path)["sub-01.html"].answers
    assert "Yes: all 4 runs good." in answers["usable"]
    assert "visual: median 21 %" in answers["ceiling"]


def test_pages_move_with_their_folder(troubled, tmp_path):
    written(troubled.root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("report", "work", "preproc", "glmsingle-tedana", "anatomical", "comparison"):
        shutil.move(troubled.root / name, elsewhere / name)
    for path in (elsewhere / "report").glob("*.html"):
        assert broken(Page(path)) == []


def test_a_self_contained_page_has_its_figures_inside(troubled):
    page = written(troubled.root, self_contained=True)["sub-01.html"]
    sources = [picture["src"] for picture in page.all("img")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert page.text.count("base64,") == len(sources)  # each is in it once


def test_what_comes_from_files_is_text_and_never_markup(tmp_path):
    out = finished(tmp_path)
    out.log(
        "hmc/sub-01/ses-01/sub-01_ses-01_task-images_run-01.log", error="<script>alert(1)</script>"
    )
    page = written(tmp_path)["sub-01.html"]
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_one_row_per_run_for_other_programs(troubled):
    written(troubled.root)
    table = (troubled.root / "report/group_bold.tsv").read_text().splitlines()
    about = json.loads((troubled.root / "report/group_bold.json").read_text())
    header = table[0].split("\t")
    rows = [dict(zip(header, line.split("\t"), strict=True)) for line in table[1:]]
    assert rows[0]["bids_name"] == "sub-01_ses-01_task-images_run-01_bold"
    assert len(rows) == 4
    assert set(header) <= set(about)
    moved = rows[1]
    assert float(moved["fd_mean"]) == pytest.approx((0.9 + 1.4 + 0.8) / 3, rel=1e-5)
    assert (moved["fd_num"], float(moved["fd_perc"])) == ("3", 100)
    assert float(moved["outliers_perc"]) == 75
    assert (moved["tsnr"], moved["verdict"]) == ("n/a", "bad")


def test_pages_of_some_subjects_only(troubled):
    assert list(written(troubled.root, only=["sub-02"])) == ["index.html", "sub-02.html"]


def test_command_line(troubled, capsys):
    from mebold.report.__main__ import main

    assert main([str(troubled.root), "--participant", "01"]) == 0
    assert "sub-01.html" in capsys.readouterr().err
    assert main([str(troubled.root), "--status"]) == 0
    assert "coreg failed: no overlap" in capsys.readouterr().out
    assert main([str(troubled.root / "absent")]) == 2
    assert main([str(troubled.root), "--participant", "99"]) == 2
    assert "sub-99: not in the plan" in capsys.readouterr().err
