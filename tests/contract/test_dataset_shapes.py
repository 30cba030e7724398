"""Shapes that real data sets have: each one indexes, passes the checks and gets a sensible plan."""

import pytest
from bids_trees import BOLD, SHAPE, Tree
from pybids_peer import read_metadata
from snakemake_runner import job_counts, snakemake

from mebold.errors import MetadataError
from mebold.inventory import checks, index
from mebold.inventory.runs import collect
from mebold.inventory.table import records
from mebold.inventory.tree import Inheritance, read_sidecar
from mebold.plan.table import make_plan

CONFIG = {"variants": ["standardSingle", "nordicOptcom"], "design": {"label_column": "stim_name"}}
SINGLE = {"echoes": {None: 0.03}, "parts": (None,)}


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def read(tree):
    """Index and check a tree; return its rows, runs by stem, and planned stages by stem."""
    table = index.index(tree.root)
    checks.check(table)
    plan = make_plan(table, config=CONFIG)
    stages = {}
    for row in plan.to_dict("records"):
        if row["planned"]:
            stages.setdefault(row["stem"], []).append(row["stage"])
    return records(table), {run.stem: run for run in collect(table)}, stages


def test_unpadded_labels_without_sessions(tree):
    tree.session("1", runs=("1", "2", "10"))
    tree.session("10006", runs=("1",))
    rows, runs, stages = read(tree)
    assert {row["session"] for row in rows} == {None}
    assert list(runs) == [f"sub-1_task-images_run-{n}" for n in (1, 2, 10)] + [
        "sub-10006_task-images_run-1"
    ]
    assert "optcom" in stages["sub-10006_task-images_run-1"]


def test_runs_1_and_01_are_two_runs_with_their_own_sidecars(tree):
    tree.run("sub-01_task-x_run-1", FlipAngle=1, **SINGLE)
    tree.run("sub-01_task-x_run-01", FlipAngle=2, **SINGLE)
    _, runs, _ = read(tree)
    angles = {run.first["run"]: run.first["flip_angle"] for run in runs.values()}
    assert angles == {"1": 1.0, "01": 2.0}


def test_all_entities_but_echo_and_part_separate_runs(tree):
    stems = ["acq-a_run-1", "acq-b_run-1", "rec-x_run-1", "dir-AP_run-1", "dir-PA_run-1", "run-2"]
    for stem in stems:
        tree.run(f"sub-01_task-x_{stem}")
    with_task = index.index(tree.root)
    assert [run.stem for run in collect(with_task)] == sorted(f"sub-01_task-x_{s}" for s in stems)
    assert {run.n_echoes for run in collect(with_task)} == {3}


def test_one_named_session(tree):
    tree.session("01", "retest")
    rows, runs, stages = read(tree)
    assert {row["session"] for row in rows} == {"retest"}
    assert {run.folder for run in runs.values()} == {"sub-01/ses-retest"}
    assert stages["sub-01_ses-retest_task-images"] == [
        "noiseceiling", "across_sessions", "compare", "rois",
    ]  # fmt: skip


def test_anatomy_in_a_session_of_its_own(tree):
    tree.image("sub-01/ses-anat/anat/sub-01_ses-anat_T1w.nii.gz", {})
    tree.run("sub-01_ses-1_task-x", "sub-01/ses-1/func")
    _, _, stages = read(tree)
    assert stages["sub-01"] == ["anat"]
    assert "coreg" in stages["sub-01_ses-1_task-x"]
    chosen = index.index(tree.root, session_labels=["1"])
    assert "anat" in set(chosen["datatype"])


def test_subjects_without_some_modality(tree):
    tree.image("sub-01/anat/sub-01_T1w.nii.gz", {})
    tree.run("sub-02_task-x", "sub-02/func", **SINGLE)
    tree.image("sub-03/dwi/sub-03_dwi.nii.gz", {})
    tree.text("sub-04/eeg/sub-04_task-x_eeg.edf", "")
    rows, _, stages = read(tree)
    assert {row["subject"] for row in rows} == {"01", "02"}
    assert stages["sub-01"] == ["anat"]
    assert stages["sub-02_task-x"] == ["nordic", "stc", "hmc"]


def test_single_echo_data_with_rest_and_task(tree):
    tree.image("sub-01/anat/sub-01_T1w.nii", {}, shape=(4, 4, 4))
    tree.run("sub-01_task-rest", shape=SHAPE, **SINGLE)
    tree.run("sub-01_task-faces", shape=SHAPE, **SINGLE)
    tree.events("task-faces_events.tsv", ["a", "b", "a"])
    _, _, stages = read(tree)
    done = ["nordic", "stc", "hmc", "coreg", "resample", "confounds"]
    assert stages["sub-01_task-rest"] == done
    assert stages["sub-01_task-faces"] == [
        *done, "singletrial", "noiseceiling", "across_sessions", "rois",
    ]  # fmt: skip


def test_root_sidecars_per_echo_and_events_for_all_runs(tree):
    for n, time in enumerate((0.013, 0.027, 0.043), 1):
        tree.json(f"task-x_echo-{n}_bold.json", {**BOLD, "EchoTime": time})
        for run in ("01", "02"):
            tree.image(f"sub-01/func/sub-01_task-x_run-{run}_echo-{n}_bold.nii.gz")
    tree.events("task-x_events.tsv", ["a", "b"])
    rows, runs, _ = read(tree)
    assert {row["events"] for row in rows} == {"task-x_events.tsv"}
    times = [[row["echo_time"] for row in run.bold["mag"]] for run in runs.values()]
    assert times == [[0.013, 0.027, 0.043]] * 2
    # the same file for two runs: every label is shown twice
    assert rows[0]["events_repeats"] == {"stim_name": [2, 2]}


def test_opposite_phase_encoding_between_runs(tree):
    tree.phasediff()
    for direction, axis in (("AP", "j-"), ("PA", "j")):
        tree.run(f"sub-01_task-x_dir-{direction}_run-1", PhaseEncodingDirection=axis)
    _, runs, stages = read(tree)
    signs = {run.first["direction"]: run.first["phase_encoding_direction"] for run in runs.values()}
    assert signs == {"AP": "j-", "PA": "j"}
    assert all("fmap" in stages[stem] for stem in runs)


def test_several_t1w_unit1_and_uncompressed_images(tree):
    tree.image("sub-01/anat/sub-01_run-1_T1w.nii.gz", {})
    tree.image("sub-01/anat/sub-01_run-2_T1w.nii", {})
    tree.image("sub-02/anat/sub-02_UNIT1.nii", {})
    for inversion in (1, 2):
        tree.image(f"sub-02/anat/sub-02_inv-{inversion}_part-mag_MP2RAGE.nii", {})
    tree.image("sub-02/anat/sub-02_mod-UNIT1_defacemask.nii", {})
    rows, _, stages = read(tree)
    suffixes = sorted(row["suffix"] for row in rows if row["subject"] == "02")
    assert suffixes == ["MP2RAGE", "MP2RAGE", "UNIT1"]
    assert stages["sub-01"] == stages["sub-02"] == ["anat"]


def test_magnitude_without_part_beside_part_phase(tree):
    tree.run("sub-01_task-x", parts=(None, "phase"))
    _, runs, _ = read(tree)
    assert {part: len(rows) for part, rows in runs["sub-01_task-x"].bold.items()} == {
        "mag": 3, "phase": 3}  # fmt: skip


def test_parts_outside_the_standard(tree):
    tree.run("sub-01_task-x", parts=("magnitude", "ph"))
    tree.run("sub-01_task-y", parts=("mag", "residual"))
    _, runs, _ = read(tree)
    assert set(runs["sub-01_task-x"].bold) == {"mag", "phase"}
    assert set(runs["sub-01_task-y"].bold) == {"mag", "other"}


def test_real_and_imaginary_without_magnitude_are_refused(tree):
    tree.run("sub-01_task-x", parts=("real", "imag"))
    with pytest.raises(MetadataError, match="the run has imag, real images but no magnitude"):
        read(tree)


def test_physio_and_everything_else_is_passed_over(tree):
    tree.session("01")
    others = ["sub-01/func/sub-01_task-x_physio.tsv.gz", "stimuli/a.png", "sourcedata/x/b.nii.gz",
              "derivatives/fmriprep/sub-01/func/sub-01_task-x_desc-preproc_bold.nii.gz",
              "sub-01/beh/sub-01_task-x_beh.tsv", "sub-01/meg/sub-01_meg.fif"]  # fmt: skip
    before = index.index(tree.root)
    for name in others:
        tree.text(name, "")
    assert index.index(tree.root)["path"].tolist() == before["path"].tolist()


def test_dangling_links_index_from_sidecars(tree):
    tree.session("01", "1")
    for path in list(tree.root.rglob("*.nii.gz")):
        path.unlink()
        path.symlink_to(tree.root / ".git" / "annex" / "objects" / path.name)
    rows, runs, stages = read(tree)
    assert {row["image_state"] for row in rows} == {"missing"}
    assert [run.n_echoes for run in runs.values()] == [3, 3]
    assert "optcom" in stages["sub-01_ses-1_task-images_run-01"]


def test_a_missing_total_readout_time_comes_from_the_echo_spacing(tree):
    tree.phasediff()
    tree.run("sub-01_task-x", TotalReadoutTime=None, EffectiveEchoSpacing=0.000197,
             ReconMatrixPE=110)  # fmt: skip
    rows, _, stages = read(tree)
    times = [row["total_readout_time"] for row in rows if row["suffix"] == "bold"]
    assert times == pytest.approx([0.021473] * 6)
    assert "fmap" in stages["sub-01_task-x"]


def test_volume_timing_refuses_one_run_and_leaves_the_others(tree):
    tree.run("sub-01_task-x_run-1", **SINGLE)
    tree.run("sub-01_task-x_run-2", RepetitionTime=None, VolumeTiming=[0, 2, 5], **SINGLE)
    _, _, stages = read(tree)
    assert "sub-01_task-x_run-2" not in stages
    assert "hmc" in stages["sub-01_task-x_run-1"]


def test_the_first_echo_label_may_be_any(tree):
    tree.run("sub-01_task-x", echoes={"01": 0.01, "02": 0.03, "03": 0.05}, parts=("mag",))
    tree.run("sub-01_task-y", echoes={"3": 0.01, "2": 0.03, "1": 0.05}, parts=("mag",))
    _, runs, _ = read(tree)
    assert [row["echo"] for row in runs["sub-01_task-x"].bold["mag"]] == ["01", "02", "03"]
    assert [row["echo"] for row in runs["sub-01_task-y"].bold["mag"]] == ["3", "2", "1"]


def test_times_of_scans_files_order_fieldmaps(tree):
    tree.phasediff("sub-01_run-1")
    tree.phasediff("sub-01_run-2")
    tree.run("sub-01_task-x", **SINGLE)
    lines = ["filename\tacq_time"]
    lines += [f"fmap/sub-01_run-{n}_phasediff.nii.gz\t2020-01-01T10:{n}0:00" for n in (1, 2)]
    lines += ["func/sub-01_task-x_bold.nii.gz\t2020-01-01T10:19:00"]
    tree.text("sub-01/sub-01_scans.tsv", "\n".join(lines) + "\n")
    rows, _, _ = read(tree)
    assert {(row["fieldmap"], row["fieldmap_by"]) for row in rows if row["suffix"] == "bold"} == {
        ("phasediffRun2", "all of the session, interpolated in time")}  # fmt: skip


def test_metadata_is_that_of_pybids(tree):
    tree.session("01", "1", shape=SHAPE)
    tree.phasediff("sub-01_ses-1", "sub-01/ses-1/fmap", B0FieldIdentifier="gre")
    tree.json("task-images_bold.json", {"FlipAngle": 64, "MagneticFieldStrength": 7})
    tree.json("sub-01/sub-01_task-images_bold.json", {"FlipAngle": 60})
    tree.json("phasediff.json", {"Units": "arbitrary", "B0FieldIdentifier": "other"})
    root, files = index._listing(tree.root)
    images = [file for file in files if file.path.endswith(".nii.gz")]
    sidecars = Inheritance([file.path for file in files if file.path.endswith(".json")])
    theirs = read_metadata(root, images)
    assert set(theirs) == {file.path for file in images}
    for path, metadata in theirs.items():
        ours = {}
        for sidecar in sidecars.applicable(path):
            ours |= read_sidecar(root / sidecar)
        assert ours == metadata
    rows = {row["path"]: row for row in records(index.index(tree.root))}
    assert {row["flip_angle"] for row in rows.values() if row["suffix"] == "bold"} == {60}


def aomic(root):
    """A tree as AOMIC's: 3T, one echo, no phase; sub-0002 without BOLD, sub-0003 without T1w."""
    tree = Tree(root)
    for subject in ("0001", "0002", "0004"):
        stem = f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz"
        tree.image(stem, {"MagneticFieldStrength": 3}, shape=SHAPE[:3])
    for subject in ("0001", "0003", "0004"):
        stem, folder = f"sub-{subject}_task-workingmemory_acq-seq", f"sub-{subject}/func"
        tree.run(stem, folder, shape=SHAPE, RepetitionTime=2.0, **SINGLE)
    return tree


def test_anatomy_of_all_who_have_it_whatever_else_is_missing(tmp_path):
    table = index.index(aomic(tmp_path).root)
    checks.check(table)
    plan = make_plan(table, config=CONFIG | {"variants": ["standardSingle"]})
    rows = {(row["subject"], row["stage"]): row for row in plan.to_dict("records")}
    anat = {subject: row["planned"] for (subject, stage), row in rows.items() if stage == "anat"}
    assert anat == {"0001": True, "0002": True, "0003": False, "0004": True}
    assert rows["0003", "anat"]["reason"] == "no T1w or UNIT1 image"
    assert "output.without_T1w: boldref" in rows["0003", "resample"]["reason"]
    assert rows["0003", "hmc"]["planned"]
    assert {subject for subject, stage in rows if stage == "resample"} == {"0001", "0003", "0004"}


@pytest.mark.workflow
def test_anatomy_alone_of_a_data_set_with_gaps(tmp_path):
    raw = aomic(tmp_path / "raw").root
    paths = {"bids_dir": raw, "output_dir": tmp_path / "out"}
    done = snakemake("anat_only", "-n", cwd=tmp_path, **paths)
    assert done.returncode == 0, done.stdout
    assert job_counts(done.stdout)["anat"] == 3
    assert "sub-0003" in done.stdout
    assert "no T1w or UNIT1 image" in done.stdout
