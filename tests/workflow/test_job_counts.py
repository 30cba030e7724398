"""The graph: how many jobs a session costs, and what one more variant adds."""

import itertools

import numpy as np
import pytest
from snakemake_runner import job_counts, snakemake

from mebold import variants
from mebold.files import transforms
from mebold.inventory.table import frame, read_table, write_table

pytestmark = pytest.mark.workflow

SHAPE = [90, 110, 72, 160]
LABELS = {"stim_name": [30, 30]}


def image_rows(session: str, run: str | None, suffix: str, **extra) -> dict:
    folder = f"sub-01/ses-{session}"
    names = {"subject": "01", "session": session, "folder": folder, "suffix": suffix}
    stem = f"sub-01_ses-{session}" + (f"_task-images_run-{run}" if run else "")
    return {**names, "stem": stem, "run": run, "path": f"{folder}/{stem}_{suffix}.nii.gz", **extra}


def table_of(n_sessions: int, n_runs: int):
    """Make the run table of one subject as the LAION data have it, without any file."""
    rows = [image_rows("01", None, "T1w", datatype="anat", component="mag", image_state="empty")]
    for s in range(1, n_sessions + 1):
        session = f"{s:02d}"
        for suffix in ("magnitude1", "magnitude2", "phasediff"):
            extra = {"datatype": "fmap", "fieldmap": f"gre{session}", "fieldmap_kind": "phasediff"}
            times = {"echo_time_1": 0.005, "echo_time_2": 0.00602, "acquisition_time": 36000.0}
            rows.append(image_rows(session, None, suffix, **extra, **times))
        for r in range(1, n_runs + 1):
            for echo, te in enumerate((0.011, 0.02882, 0.04662), start=1):
                kinds = itertools.product(("bold", "sbref"), ("mag", "phase"))
                rows += [bold_row(session, f"{r:02d}", echo, te, *kind) for kind in kinds]
    return frame(rows)


def bold_row(session, run, echo, te, suffix, component) -> dict:
    row = image_rows(session, run, suffix, datatype="func", task="images", component=component)
    name = f"{row['stem']}_echo-{echo}_part-{component}_{suffix}.nii.gz"
    row |= {
        "path": f"{row['folder']}/{name}",
        "part": component,
        "echo": str(echo),
        "echo_index": echo,
        "echo_time": te,
        "group": f"sub-01_ses-{session}_task-images",
        "repetition_time": 1.9,
        "slice_timing": [0.0] * SHAPE[2],
        "phase_encoding_direction": "j-",
        "total_readout_time": 0.0213,
        "n_volumes": SHAPE[3] if suffix == "bold" else 1,
        "shape": SHAPE if suffix == "bold" else SHAPE[:3],
        "voxel_mm": [1.8, 1.8, 1.8],
        "image_state": "empty",
        "fieldmap": f"gre{session}",
        "fieldmaps": [f"gre{session}"],
        "fieldmap_kind": "phasediff",
        "fieldmap_by": "B0FieldSource",
        "fieldmap_folder": row["folder"],
    }
    if suffix == "bold":
        row |= {"events": f"{row['folder']}/{row['stem']}_events.tsv", "n_events": 95}
        row |= {"events_columns": ["onset", "duration", "stim_name", "trial_type"]}
        row["events_repeats"] = LABELS
    return row


def dry_run(folder, n_sessions=1, n_runs=2, *, anatomy=True, **config) -> dict[str, int]:
    table = folder / f"runs-{n_sessions}-{n_runs}.tsv"
    if not table.exists():
        rows = table_of(n_sessions, n_runs)
        write_table(rows[anatomy | (rows["datatype"] != "anat")], table)
    for row in read_table(table)["path"]:
        path = folder / "raw" / row
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.name.endswith("_echo-1_part-mag_bold.nii.gz"):
            (path.parent / path.name.replace("_echo-1_part-mag_bold.nii.gz", "_events.tsv")).touch()
    done = snakemake(
        "-n", cwd=folder, bids_dir="raw", output_dir="out", run_table=table.name, **config
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return job_counts(done.stdout)


def test_jobs_of_a_session(tmp_path):
    n = 3
    counts = dry_run(tmp_path, n_runs=n)
    once = dict.fromkeys(
        ("anat", "grid", "fmap", "coreg_subject", "coreg_session", "decay", "compare",
         "compare_group", "compare_task", "noiseceiling_subject",
         "report_anatomy", "report_viewer", "report_viewer_subject",
         "rois", "plan", "datasets", "all"), 1)  # fmt: skip
    per_run = dict.fromkeys(
        (
            *("hmc", "sdc", "coreg_run", "nordic_gfactor", "nordic_survival"),
            *("bold_optcom", "confounds", "report_run", "ica_tables"),
        ),
        n,
    )
    per_run["nordic"] = 3 * n
    levels = {"series": 2 * n, "optcom": 2 * n, "ica": 2 * n}
    ceilings = ("noiseceiling_session", "noiseceiling_session_part")
    variants = dict.fromkeys(("singletrial", "quality", *ceilings), 6)
    # Exactly four and twelve presentations, and pairs in different runs: the table tells nothing.
    parts = {"noiseceiling_subject_part": 3}
    total = {**once, **per_run, **levels, **variants, **parts}
    assert counts == {**total, "total": sum(total.values())}


COUNT_ADDRESSES = """
import atexit, smart_open
asked, parse = [], smart_open.parse_uri
smart_open.parse_uri = lambda address: asked.append(address) or parse(address)
atexit.register(lambda: open("addresses.txt", "w").write(str(len(asked))))
"""


def test_addresses_of_scripts_are_parsed_once_and_not_for_every_job(tmp_path, monkeypatch):
    # Each time makes a class: three for every job were a tenth of the time of a dry-run.
    (tmp_path / "sitecustomize.py").write_text(COUNT_ADDRESSES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    parsed = {}
    for n in (2, 4):
        dry_run(tmp_path, n_runs=n)
        parsed[n] = int((tmp_path / "addresses.txt").read_text())
    assert parsed[4] == parsed[2] > 0


def test_without_a_t1w_the_same_jobs_run_in_boldref_space(tmp_path):
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    full = dry_run(tmp_path / "with")
    bare = dry_run(tmp_path / "without", anatomy=False)
    assert {k: full[k] - bare.get(k, 0) for k in full if full[k] != bare.get(k, 0)} == {
        "anat": 1, "coreg_subject": 1, "total": 2,
    }  # fmt: skip
    asked = dry_run(tmp_path / "with", output="{space: boldref}")
    assert asked == full


def test_one_more_variant_costs_its_transforms_fit_and_noise_ceiling(tmp_path):
    few = dry_run(tmp_path, variants='["standardSingle","nordicOptcom"]')
    more = dry_run(tmp_path, variants='["standardSingle","nordicOptcom","nordicIca"]')
    added = {k: more[k] - few.get(k, 0) for k in more if more[k] != few.get(k, 0)}
    total = added.pop("total")
    ceilings = {"noiseceiling_session": 1, "noiseceiling_session_part": 1}
    assert added == {"ica": 2, "ica_tables": 2, "singletrial": 1, "quality": 1, **ceilings}
    assert total == 8


def test_echo_weights_of_each_run_are_an_option(tmp_path):
    pooled = dry_run(tmp_path)
    own = dry_run(tmp_path, decay="{pool: run}")
    assert (pooled["decay"], own["decay"]) == (1, 2)
    assert {k: v for k, v in own.items() if k not in ("decay", "total")} == {
        k: v for k, v in pooled.items() if k not in ("decay", "total")
    }


def test_later_sessions_cost_only_the_primary_variant(tmp_path):
    one = dry_run(tmp_path, 1)
    two = dry_run(tmp_path, 2)
    added = {k: two[k] - one.get(k, 0) for k in two if two[k] != one.get(k, 0)}
    total = added.pop("total")
    per_run = dict.fromkeys(
        (
            *("hmc", "sdc", "coreg_run", "nordic_gfactor", "nordic_survival"),
            *("bold_optcom", "confounds", "report_run"),
        ),
        2,
    )
    per_run["nordic"] = 6
    once = dict.fromkeys(("fmap", "coreg_session", "decay", "singletrial"), 1)
    once |= dict.fromkeys(("noiseceiling_session", "noiseceiling_session_part"), 1)
    once |= dict.fromkeys(("singletrial_subject", "report_viewer"), 1)
    assert added == {**per_run, **once, "series": 4, "optcom": 2}
    assert total == 36


def test_variants_that_every_session_has_are_brought_together(tmp_path):
    first = dry_run(tmp_path, 2)
    every = dry_run(tmp_path, 2, compare_sessions="all")
    assert (first["noiseceiling_subject"], first["singletrial_subject"]) == (1, 1)
    assert (every["noiseceiling_subject"], every["singletrial_subject"]) == (6, 6)
    one = dry_run(tmp_path, 1, compare_sessions="all")
    assert one["noiseceiling_subject"] == 1
    assert "singletrial_subject" not in one


def test_confounds_of_a_fit_cost_a_table_per_variant_and_run(tmp_path):
    plain = dry_run(tmp_path)
    asked = dry_run(tmp_path, glm="{confounds: [trans_*]}")
    # Beside the tables of the primary variant: those of five others, of two runs each.
    assert asked == plain | {"confounds": 12, "total": plain["total"] + 10}
    for key, described in (("{}", False), ("{confounds: [trans_*]}", True)):
        done = snakemake(
            "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv",
            glm=key,
        )  # fmt: skip
        assert ("out/preproc-nordicSingle/dataset_description.json" in done.stdout) == described


def test_products_on_request_cost_no_job(tmp_path):
    plain = dry_run(tmp_path)
    asked = dry_run(tmp_path, glm="{write: [images, zscored_run, zscored_session, FITHRF]}")
    assert asked == plain
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv",
        glm="{write: [images, zscored_session]}",
    )  # fmt: skip
    outputs = done.stdout.partition("rule singletrial:")[2].partition("log:")[0]
    for name in ("ImageBetas_statmap", "ImageBetas_images.tsv", "BetasZscoredSession_statmap"):
        assert name in outputs, name
    assert "ZscoredRun" not in outputs


def test_maps_in_a_template_cost_its_alignment_and_a_job_each(tmp_path):
    plain = dry_run(tmp_path)
    both = dry_run(tmp_path, output="{maps_space: MNI152NLin2009aSym}")
    added = {k: both[k] - plain.get(k, 0) for k in both if both[k] != plain.get(k, 0)}
    # Of each of six fits R2, ridge fractions and three maps of the ceiling; six of the subject.
    assert added == {"template": 1, "template_morphometry": 1, "template_maps": 36, "total": 38}


def test_echoes_are_written_on_request_once_per_level(tmp_path):
    plain = dry_run(tmp_path)
    echoes = dry_run(tmp_path, write_echoes="true")
    assert echoes == plain | {"bold_echo": 6, "total": plain["total"] + 6}
    both = dry_run(tmp_path, write_echoes="true", write_bold="[standardSingle,standardIca]")
    assert both["bold_echo"] == 12


def test_options_of_nordic_change_its_jobs(tmp_path):
    own = dry_run(tmp_path, nordic="{share_gfactor: false, write: [magnitude, phase]}")
    assert "nordic_gfactor" not in own
    assert own["nordic"] == 6


def test_what_survives_nordic_is_said_only_where_nordic_runs(tmp_path):
    with_nordic = dry_run(tmp_path)
    assert with_nordic["nordic_survival"] == 2
    without = dry_run(
        tmp_path, variants='["standardSingle","standardOptcom"]', primary_variant="standardOptcom"
    )
    assert not {"nordic", "nordic_survival"} & set(without)
    # A session that is not compared, and whose primary variant does without.
    later = dry_run(tmp_path, 2, primary_variant="standardOptcom")
    assert later["nordic_survival"] == 2


def test_a_changing_field_costs_one_job_per_run(tmp_path):
    static = dry_run(tmp_path)
    dynamic = dry_run(tmp_path, sdc="dynamic")
    assert dynamic == static | {"sdc_dynamic": 2, "total": static["total"] + 2}
    medic = dry_run(tmp_path, sdc="medic")  # no fieldmap is read
    del dynamic["fmap"]
    assert medic == dynamic | {"total": static["total"] + 1}


def test_confounds_take_the_motion_that_the_series_took(tmp_path):
    dry_run(tmp_path, n_runs=1)
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-1.tsv",
        sdc="dynamic",
    )  # fmt: skip
    for rule in ("series", "confounds"):
        inputs = done.stdout.partition(f"rule {rule}:")[2].partition("output:")[0]
        assert "desc-dynamic_xfm.txt" in inputs, rule


def test_no_distortion_correction_is_an_option(tmp_path):
    plain = dry_run(tmp_path)
    off = dry_run(tmp_path, sdc="none")
    assert {k: plain[k] - off.get(k, 0) for k in plain if plain[k] != off.get(k, 0)} == {
        "fmap": 1, "sdc": 2, "total": 3,
    }  # fmt: skip


def test_a_warp_costs_one_job_per_run_and_none_where_the_scanner_corrected(tmp_path):
    plain = dry_run(tmp_path)
    warp = np.zeros((4, 4, 4, 3), np.float32)
    transforms.save_displacement(
        tmp_path / "coil.nii.gz", warp, np.diag([100.0, 100.0, 100.0, 1.0])
    )
    key = {"gradient_nonlinearity": "{warp: coil.nii.gz}"}
    warped = dry_run(tmp_path, **key)
    assert warped == plain | {"gradunwarp": 2, "total": plain["total"] + 2}
    table = read_table(tmp_path / "runs-1-2.tsv")
    second = table["stem"].str.endswith("run-02")
    table.loc[second, "gradient_correction"] = "DIS3D"
    write_table(table, tmp_path / "runs-1-2.tsv")
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv", **key
    )
    counts = job_counts(done.stdout)
    assert counts == plain | {"gradunwarp": 1, "total": plain["total"] + 1}
    assert "DIS3D): the warp of `gradient_nonlinearity` is NOT applied" in done.stdout
    assert "run-02" in next(line for line in done.stdout.splitlines() if "DIS3D" in line)


def test_a_template_costs_two_jobs_per_subject(tmp_path):
    plain = dry_run(tmp_path)
    space = "MNI152NLin2009aSym"
    asked = dry_run(tmp_path, output=f"{{space: {space}}}")
    cost = {"template": 1, "template_morphometry": 1, "total": plain["total"] + 2}
    assert asked == plain | cost
    own = dry_run(tmp_path, template=f"{{space: {space}}}")
    assert own == plain | cost
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv",
        output=f"{{space: {space}}}",
    )  # fmt: skip
    assert f"run-01_space-{space}_desc-optcom_bold.nii.gz" in done.stdout
    assert f"sub-01_from-T1w_to-{space}_mode-image_xfm.nii.gz" in done.stdout
    assert "space-T1w" not in done.stdout


def test_dataset_names_of_variants_map_back():
    for variant in variants.VARIANTS:
        for name in variants.datasets(variant):
            assert variants.variant_of(name) == variant
    assert variants.datasets("nordicOptcom") == ("tedana", "glmsingle-tedana")


def test_each_task_is_compared_by_itself(tmp_path):
    rows = table_of(1, 2)
    other = rows["run"] == "02"
    for column in ("stem", "path", "group", "events"):
        rows.loc[other, column] = rows.loc[other, column].str.replace("task-images", "task-faces")
    rows.loc[other & (rows["datatype"] == "func"), "task"] = "faces"
    write_table(rows, tmp_path / "runs-1-2.tsv")
    counts = dry_run(tmp_path)
    assert (counts["compare"], counts["compare_group"], counts["compare_task"]) == (2, 1, 2)


def test_maps_on_surfaces_cost_a_job_each(tmp_path):
    """Betas, R2, ridge fractions, ceilings of six fits, those of the subject, and T2*."""
    space = "MNI152NLin2009aSym"
    plain = dry_run(tmp_path, template=f"{{space: {space}}}")
    asked = dry_run(
        tmp_path, template=f"{{space: {space}}}", rois="{surface: {spaces: [fsaverage5]}}"
    )
    added = {k: asked[k] - plain.get(k, 0) for k in asked if asked[k] != plain.get(k, 0)}
    assert added == {
        "surface_maps": 36, "surface_betas": 6, "surface_t2star": 1, "surface_figure": 1,
        "total": 44,
    }  # fmt: skip


FLOC = {"onset": ["0", "12", "24"], "duration": ["12"] * 3}
FLOC_ROIS = "{localizer: {tasks: [{task: floc}], regions: [{name: FFA1, contrast: faces}]}}"


def with_localizer(*conditions):
    """Return the table of a session with a run of images and one of a localizer."""
    rows = table_of(1, 2)
    second = (rows["run"] == "02") & (rows["datatype"] == "func")
    for column in ("stem", "path", "group", "events"):
        rows.loc[second, column] = rows.loc[second, column].str.replace("task-images", "task-floc")
    rows.loc[second, "task"] = "floc"
    for index in rows.index[second & (rows["suffix"] == "bold")]:
        rows.at[index, "events_columns"] = ["onset", "duration", "trial_type", "stim_name"]
        rows.at[index, "events_repeats"] = {"trial_type": [0, 0], "stim_name": [9, 9]}
        rows.at[index, "events_trials"] = {**FLOC, "trial_type": list(conditions)}
    return rows


def test_a_localizer_costs_a_fit_a_session_and_no_single_trials(tmp_path):
    write_table(with_localizer("faces", "scenes", "rest"), tmp_path / "runs-1-2.tsv")
    counts = dry_run(tmp_path, rois=FLOC_ROIS)
    for rule in ("localizer_glm", "localizer_maps", "roi_masks", "noiseceiling_subject"):
        assert counts[rule] == 1, rule
    assert (counts["bold_optcom"], counts["singletrial"]) == (2, 6)
    alone = dry_run(tmp_path, rois="{localizer: {tasks: [{task: floc}]}}")
    assert (alone["localizer_maps"], "roi_masks" in alone) == (1, False)
    both = FLOC_ROIS.replace("task: floc", "task: floc, single_trials: true")
    both = dry_run(tmp_path, rois=both)
    assert (both["localizer_glm"], both["singletrial"]) == (1, 12)
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv",
        rois=FLOC_ROIS.replace("faces", "motion"),
    )  # fmt: skip
    assert done.returncode != 0
    assert "FFA1: contrast motion is none of sub-01: there are faces, scenes" in done.stdout
    own = "{task: floc, contrasts: {words: {of: [word], against: others}}}"
    done = snakemake(
        "-n", cwd=tmp_path, bids_dir="raw", output_dir="out", run_table="runs-1-2.tsv",
        rois=f"{{localizer: {{tasks: [{own}]}}}}",
    )  # fmt: skip
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    assert "contrast words: no run has the condition 'word'; sub-01/ses-01/" in told
    assert "(column `trial_type`) have: faces, scenes." in told
