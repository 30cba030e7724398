"""What the sections of a page are made of: methods, design, variants, costs, numbers of a run."""

import re

import numpy as np
import pytest
from report_folder import Output, finished
from snakemake_runner import REPOSITORY

from mebold import progress
from mebold.report import (
    answers,
    costs,
    design,
    distribution,
    gallery,
    methods,
    quality,
    variant_table,
)
from mebold.report.folder import Folder, entities, split
from mebold.report.study import Study
from mebold.singletrial import hrf

GROUP = "sub-01_ses-01_task-images"


def study_of(out):
    return Study(Folder(out.root))


@pytest.mark.parametrize(
    ("name", "owner", "rest"),
    [
        ("sub-01_ses-02_task-x_run-1_echo-2_desc-nordic_bold.png", "sub-01_ses-02_task-x_run-1",
         "echo-2_desc-nordic_bold.png"),
        ("sub-01_desc-coreg_T1w.png", "sub-01", "desc-coreg_T1w.png"),
        ("sub-01_task-x_acq-2_space-T1w_T2starmap.png", "sub-01_task-x_acq-2",
         "space-T1w_T2starmap.png"),
        ("desc-variants_metrics.tsv", "", "desc-variants_metrics.tsv"),
        ("README.md", "", "README.md"),
    ],
)  # fmt: skip
def test_a_name_says_whose_it_is_and_what(name, owner, rest):
    assert split(name) == (owner, rest)
    assert set(entities(owner)) <= {"sub", "ses", "task", "run", "acq"}


def test_methods_tell_what_ran_and_cite_it(tmp_path):
    found = methods.of(study_of(finished(tmp_path)))
    assert "NORDIC [@Moeller2021; @Vizioli2021]" in found.text
    assert "GLMsingle's model FITHRF_GLMDENOISE_RR [@Prince2022]" in found.text
    assert "multi-echo ICA" not in found.text
    assert "was not corrected" in found.text  # no field was applied
    assert "motion and alignment were composed" in found.text
    cited = set(re.findall(r"@(\w+)", found.text))
    assert set(found.keys) == cited
    assert set(re.findall(r"@article\{(\w+)", found.bibtex)) == cited
    assert found.bibtex.count("{") == found.bibtex.count("}")
    assert found.html().count("<li id=") == len(cited)
    assert "{" not in found.html()


def test_methods_count_what_ran_in_some_runs_only(tmp_path):
    out = finished(tmp_path, n_sessions=1)
    func = f"sub-01/ses-01/func/{GROUP}_run-01"
    out.write(f"preproc/{func}_desc-boldref_fieldmap.json", {"Quality": {}})
    outcome = {"status": "fallback", "order": 40, "tree": "tedana_orig", "reason": "too short"}
    out.write(f"preproc-nordicIca/{func}_desc-ICA_outcome.json", outcome)
    text = methods.of(study_of(out)).text
    assert "[@Jezzard1995] (in 1 of 2 runs)" in text
    assert "order 40, decision tree tedana_orig" in text
    assert "in 1 runs it was not usable" in text


def test_methods_tell_of_localizers(tmp_path):
    out = finished(tmp_path, n_sessions=1)
    assert "localizer" not in methods.of(study_of(out)).text
    settings = {"response": "spm", "noise": "ar1", "drift": "cosine"}
    about = {"Runs": ["run-01", "run-02"], "Parameters": {"settings": settings}}
    name = "sub-01_ses-01_task-floc_desc-localizer_glm.json"
    out.write(f"localizers/sub-01/ses-01/func/{name}", about)
    text = methods.of(study_of(out)).text
    assert "localizer tasks (floc; 2 runs) were fitted with nilearn (response: spm, AR(1)" in text


def test_methods_of_one_subject_leave_the_others_out(tmp_path):
    out = finished(tmp_path, n_subjects=2, n_sessions=1)
    out.write("preproc-nordicIca/sub-02/ses-01/func/"
              "sub-02_ses-01_task-images_run-01_desc-ICA_outcome.json", {"order": 1})  # fmt: skip
    study = study_of(out)
    assert "multi-echo ICA" in methods.of(study, ["sub-02"]).text
    assert "multi-echo ICA" not in methods.of(study, ["sub-01"]).text


def test_all_references_of_the_file_can_be_written():
    for key in methods._entries():
        text = methods._reference(key)
        assert re.search(r"\((19|20)\d\d\)\. .+\. .+ <a href=\"https://doi\.org/10\.", text), key
        assert not re.search(r"[{}\\]", text), text


def test_versions_are_those_of_the_sidecars(tmp_path):
    out = finished(tmp_path)
    made = {"GeneratedBy": [{"Name": "mebold", "Packages": {"tedana": "26.0.1"}}]}
    out.write("anatomical/sub-01/anat/sub-01_desc-preproc_T1w.json", made)
    assert methods.of(study_of(out)).versions == {"tedana": "26.0.1"}


def trials(out, rows):
    header = ["session", "run", "beta_index", "label", "onset", "duration"]
    cells = [[str(cell) for cell in row] for row in rows]
    text = "\n".join("\t".join(line) for line in [header, *cells]) + "\n"
    path = f"glmsingle-tedana/sub-01/ses-01/func/{GROUP}_desc-SingletrialBetas_trials.tsv"
    out.write(path, text)


def test_the_design_counts_trials_repeats_and_gaps(tmp_path):
    out = Output(tmp_path)
    rows = [("01", "01", 0, "a", 4, 2), ("01", "01", 1, "b", 7, 2), ("01", "01", 2, "a", 16, 2)]
    trials(out, [*rows, ("01", "02", 3, "b", 5, 2), ("01", "02", 4, "c", 8, 2)])
    found = design.of(Folder(tmp_path), GROUP, "glmsingle-tedana")
    assert found.words == (
        "5 trials of 3 images (1 shown once, 2 shown twice); 1 images in more than one run; a "
        "trial every 3 s (median), the longest gap 9 s."
    )
    (first, marks), (second, others) = found.runs
    assert (first, second, len(marks), found.end_s) == ("run-01", "run-02", 3, 18)
    assert [mark["again"] for mark in [*marks, *others]] == [True, True, True, True, False]
    assert marks[0]["x"] == pytest.approx(92 + 500 * 4 / 18, abs=0.01)
    assert marks[0]["w"] == pytest.approx(500 * 2 / 18, abs=0.01)
    assert design.of(Folder(tmp_path), "sub-01_ses-02_task-images", "glmsingle-tedana") is None


def test_variants_stand_side_by_side_with_their_means(tmp_path):
    out = finished(tmp_path)
    lines = ["subject\tsession\tvariant\tmetric\tvalue"]
    lines += ["01\t01\tnordicOptcom\tsignal_kept\t80", "01\t02\tnordicOptcom\tsignal_kept\t90"]
    lines += ["02\t01\tnordicOptcom\tsignal_kept\t10", "01\t01\tstandardSingle\tdprime\t1"]
    lines += ["01\t01\tstandardOptcom\tsignal_kept\tn/a"]
    out.write("comparison/desc-variants_metrics.tsv", "\n".join(lines) + "\n")
    headings, rows = variant_table.of(study_of(out), "sub-01")
    assert [name for name, _ in headings] == ["response kept (%)"]
    assert [(row.name, row.primary, row.cells) for row in rows] == [("nordicOptcom", True, ["85"])]
    assert variant_table.of(study_of(out))[1][0].cells == ["60"]
    assert answers.variant(study_of(out), "sub-01").details == [
        "Price of nordicOptcom: it keeps 85 % of the response to images."
    ]


@pytest.mark.parametrize(
    ("supported", "words"),
    [
        ("nordicOptcom", "nordicOptcom, as configured. It keeps 70 % of the response to images."),
        (
            "nordicIca",
            "nordicIca at a high price, not the configured nordicOptcom. nordicIca keeps 68 % of "
            "the response to images, nordicOptcom 70 %.",
        ),
    ],
)
def test_the_price_is_that_of_the_variant_beside_it(tmp_path, supported, words):
    out = finished(tmp_path)
    changed = supported == "nordicIca"
    out.compared(supported=supported, change=changed, dear=changed)
    lines = ["subject\tsession\tvariant\tmetric\tvalue"]
    lines += ["01\t01\tnordicOptcom\tsignal_kept\t69.7", "01\t01\tnordicIca\tsignal_kept\t67.9"]
    out.write("comparison/desc-variants_metrics.tsv", "\n".join(lines) + "\n")
    found = answers.variant(study_of(out), "sub-01")
    assert found.short == words
    told = [line for line in found.details if line.startswith("Price")]
    assert len(told) == (2 if supported == "nordicIca" else 1)


def test_costs_are_summed_per_rule_and_subject(tmp_path):
    out = finished(tmp_path, n_subjects=2)
    text = "s\th:m:s\tmax_rss\tcpu_time\n{}\t0:00:30\t{}\t{}\n"
    for sub, seconds in (("01", 30), ("02", 50)):
        path = f"work/benchmarks/hmc/sub-{sub}/ses-01/sub-{sub}_ses-01_task-images_run-01.tsv"
        out.write(path, text.format(seconds, 300 + seconds, seconds / 2))
    (both,) = costs.of(Folder(tmp_path))
    assert (both.rule, both.jobs, both.wall_s, both.cpu_s, both.peak_mb) == ("hmc", 2, 80, 40, 350)
    (one,) = costs.of(Folder(tmp_path), "sub-02")
    assert (one.jobs, one.cpu_s) == (1, 25)
    assert [progress.duration(s) for s in (42, 600, 7200)] == ["42 s", "10 min", "2.0 h"]


def test_histograms_hold_every_run_and_draw_limits_within():
    numbers = [{"fd_mean": 0.1 + 0.01 * n} for n in range(40)] + [{"fd_mean": None}]
    limits = {"look_fd_mm": 0.25, "bad_fd_mm": 0.55}
    found = distribution.of("fd_mean", numbers, limits, own=numbers[:1])
    assert (found.count, found.low, found.high) == (40, 0.1, pytest.approx(0.49))
    assert len(found.bars) <= 24
    assert [line["value"] for line in found.limits] == [0.25]
    assert found.marks == [10]
    assert distribution.of("fd_mean", [{"fd_mean": None}], limits) is None
    alone = distribution.of("fd_mean", [{"fd_mean": 0.2}], limits)
    assert (alone.count, len(alone.bars)) == (1, 1)


def test_measures_have_units_and_leave_unsteady_volumes_out(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    stem = out.run("01", "01", "01", fd=(9.0, 0.3, 0.1))
    path = f"preproc/sub-01/ses-01/func/{stem}_desc-native_motion.json"
    out.write(path, {"OutlierVolumes": [1], "Volumes": 4, "NonSteadyStateVolumes": 1})
    run = study_of(out).subjects["sub-01"].runs[0]
    # The displacement to the first steady volume is from one that counts for nothing.
    assert run.numbers["fd_mean"] == pytest.approx(0.2)
    assert (run.numbers["fd_num"], run.numbers["fd_perc"]) == (1, 50)
    assert (run.numbers["dummy_trs"], run.numbers["size_t"]) == (1, 4)
    assert set(run.numbers) == set(quality.MEASURES)
    assert all(unit and text.endswith(".") for unit, text in quality.MEASURES.values())


def test_the_efficiency_of_a_design_is_that_of_its_matrices(tmp_path):
    out = Output(tmp_path)
    out.subject("01")
    stem = out.run("01", "01", "01")
    header = ["run", "label", "onset", "volume", "duration", "stem"]
    onsets = [12.04, 15.1, 18.02, 27.0]
    rows = [("01", name, onset, round(onset), 2.5, stem)
            for name, onset in zip("abac", onsets, strict=True)]  # fmt: skip
    lines = [header, *([str(cell) for cell in row] for row in rows)]
    glm = f"glmsingle-tedana/sub-01/ses-01/func/{GROUP}"
    path = f"{glm}_desc-SingletrialBetas_trials.tsv"
    out.write(path, "\n".join("\t".join(line) for line in lines) + "\n")
    about = {"Parameters": {"runs": [{"stem": stem, "tr_out": 1.0}]}, "SamplesLeftOut": {stem: 2}}
    out.write(f"{glm}_desc-GLMsingle_summary.json", about)
    assert design.of(Folder(tmp_path), GROUP, "glmsingle-tedana").efficiency == ""
    moved = {"Volumes": 40, "Parameters": {"run": {"tr": 1.9}}}
    out.write(f"preproc/sub-01/ses-01/func/{stem}_desc-native_motion.json", moved)
    found = design.of(Folder(tmp_path), GROUP, "glmsingle-tedana")
    # 40 volumes of 1.9 s are 76 samples of 1 s, of which the first two are left out.
    columns = hrf.assumed(0.1, 2.5)
    time = np.arange(2, 76)[:, None] - np.round(onsets)
    trials = np.interp(time, np.arange(len(columns)) * 0.1, columns, left=0, right=0)
    drift = np.polynomial.polynomial.polyvander(np.arange(74), 1)  # 74 s: a constant and a slope
    every = np.linalg.inv(np.c_[trials, drift].T @ np.c_[trials, drift])
    shared = np.c_[trials.sum(axis=1), drift]
    detection = 1 / np.linalg.inv(shared.T @ shared)[0, 0]
    single = 1 / np.diag(every)[:4].mean()
    assert f"detection {detection:.3g}, single trials {single:.2g} of" in found.efficiency
    assert f"a single trial to {single**-0.5:.2g}" in found.efficiency


def test_every_figure_of_the_rules_has_a_place_on_the_pages():
    labels = {"stem": "sub-01_ses-01_task-x_run-1", "group": "sub-01_ses-01_task-x",
              "subtask": "sub-01_task-x", "sub": "sub-01", "ses": "sub-01_ses-01",
              "pooled": "sub-01_ses-01_task-x", "megre": "sub-01", "task": "task-x",
              "echo": "_echo-2", "folder": "sub-01/ses-01", "dataset": "tedana",
              "glm": "glmsingle-tedana", "thermal": "nordic", "template": "MNI"}  # fmt: skip
    kinds = [kind for _, found in gallery.SECTIONS.values() for kind in found]
    drawn = set()
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        drawn |= set(re.findall(r'"<out>/([^"]*/figures/[^"]+\.png)"', path.read_text()))
    assert len(drawn) > 25
    for pattern in drawn:
        path = re.sub(r"\{(\w+)\}", lambda found: labels[found[1]], pattern)
        path = re.sub(r"<(space|anchor)>", "T1w", path).replace("<template>", "MNI")
        dataset, name = path.partition("/")[0], path.rpartition("/")[2]
        _, rest = split(name)
        frame = rest in gallery.FRAMES.values() or re.fullmatch(gallery.ANATOMY_FRAME, rest)
        shown = frame or any(
            re.fullmatch(kind.rest, rest) and re.fullmatch(kind.dataset, dataset) for kind in kinds
        )
        assert shown, pattern
