"""Command line of the fit, as its users call it."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.files import model, tables
from mebold.jobs import configuration
from mebold.singletrial import __main__, fit
from mebold.singletrial.session import prepare

SHAPE, N, TR = (13, 12, 10), 90, 1.5
AFFINE = np.array([[-2.0, 0.1, 0, 30], [0.1, 2, 0, -20], [0, 0, 2.5, -10], [0, 0, 0, 1]])
START = 0.75
MASK = np.zeros(SHAPE, bool)
MASK[3:10, 3:9, 2:8] = True
DESIGN = configuration.load_schema(configuration.SCHEMA)["properties"]["design"]["properties"]


def stem(run):
    return f"sub-01_ses-1_task-img_run-{run}"


def bold_of(run):
    return f"{stem(run)}_space-MNI_desc-preproc_bold.nii.gz"


def save(path, values, *, tr=TR, unit="sec", affine=AFFINE):
    image = nib.Nifti1Image(values, affine)
    if values.ndim == 4:
        image.header.set_xyzt_units("mm", unit)
        image.header.set_zooms((*image.header.get_zooms()[:3], tr))
    nib.save(image, path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Write two runs as fMRIPrep does: series with JSON, masks and confounds."""
    root = tmp_path_factory.mktemp("fmriprep")
    rng = np.random.default_rng(0)
    for run in (1, 2):
        onsets = 6 + 9.0 * np.arange(12)
        labels = rng.permutation(list("aabbccddeeff"))
        events = pd.DataFrame({"onset": onsets, "duration": 2.0, "stim_name": labels})
        events["response_time"] = [f"{value:.3f}" for value in rng.uniform(size=12)]
        events.to_csv(root / f"{stem(run)}_events.tsv", sep="\t", index=False)
        series = 500 + rng.normal(size=(*SHAPE, N))
        for onset, label in zip(onsets, labels, strict=True):
            series[..., int(onset / TR) + 3 : int(onset / TR) + 6] += 10 + 5 * (label in "abc")
        series[~MASK] = 0
        save(root / bold_of(run), series.astype(np.float32))
        (root / bold_of(run).replace(".nii.gz", ".json")).write_text(
            json.dumps({"RepetitionTime": TR, "StartTime": START})
        )
        save(root / bold_of(run).replace("preproc_bold", "brain_mask"), MASK.astype(np.uint8))
        table = pd.DataFrame(rng.normal(size=(N, 2)), columns=["trans_x", "trans_y"])
        table["trans_x_derivative1"] = ["n/a", *rng.normal(size=N - 1)]
        table["non_steady_state_outlier00"] = [1] + [0] * (N - 1)
        table.to_csv(root / f"{stem(run)}_desc-confounds_timeseries.tsv", sep="\t", index=False)
    text = {"response_time": {"Units": "s", "Description": "After onset."}}
    (root / f"{stem(1)}_events.json").write_text(json.dumps(text))
    return root


def call(root, *words, output, runs=(1, 2)):
    bold = [str(root / bold_of(run)) for run in runs]
    events = [str(root / f"{stem(run)}_events.tsv") for run in runs]
    return __main__.main([*bold, "--events", *events, "-o", str(output), *words])


def expected(root, **options):
    """Fit the same runs with the library."""
    data = [nib.load(root / bold_of(run)).get_fdata(dtype=np.float32)[MASK] for run in (1, 2)]
    session = prepare(
        data,
        [tables.read_tsv(root / f"{stem(run)}_events.tsv") for run in (1, 2)],
        runs=[
            {"stem": stem(r), "session": "1", "run": str(r), "tr_out": TR, "start_s": START}
            for r in (1, 2)
        ],
        non_steady=[1, 1],
        **{key: rule["default"] for key, rule in DESIGN.items()} | options,
    )
    settings = {"hrf_library": True, "glmdenoise": True, "fracridge": True, "engine": "mebold"}
    return fit.fit(session, **settings, n_pcs=10, pcstop=1.05, seed=0, n_threads=1), session


def test_a_user_gets_the_fit_of_the_library(made, tmp_path):
    bold = [bold_of(1), bold_of(2)]
    events = [f"{stem(1)}_events.tsv", f"{stem(2)}_events.tsv"]
    command = [sys.executable, "-m", "mebold.singletrial", *bold, "--events", *events]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "new" / "fit")],
        cwd=made,
        env={"PYTHONPATH": str(Path(__main__.__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for text in (
        "reading: done",
        "start at 0.75 s",
        "on-off: done",
        "betas: done",
        "24 trials of 6",
        "Wrote",
    ):
        assert text in done.stderr
    folder = tmp_path / "new" / "fit"
    own, session = expected(made)
    start, image = "sub-01_ses-1_task-img_", "sub-01_ses-1_task-img_space-MNI_"
    names = {path.name for path in folder.iterdir()}
    wanted = [*__main__._IMAGES.values()]
    assert {name for name in names if not name.endswith(".json")} == {
        *(image + name for name in wanted), start + "desc-SingletrialBetas_trials.tsv",
    }  # fmt: skip
    with model.open_model(folder / (image + "desc-GLMsingle_model.h5")) as file:
        np.testing.assert_allclose(file["betas"][:], own.betas, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(file["mask"][:] > 0, MASK)
        np.testing.assert_allclose(file["affine"][:], AFFINE, atol=1e-6)
        np.testing.assert_array_equal(file["non_steady"][:], [1, 1])
        assert model.trials_of(file)["response_time"][0].count(".") == 1
        assert file["trials/response_time"].attrs["units"] == "s"
    betas = nib.load(folder / (image + __main__._IMAGES["betas"]))
    np.testing.assert_allclose(betas.get_fdata()[MASK], own.betas, rtol=1e-4, atol=1e-5)
    trials = tables.read_tsv(folder / (start + "desc-SingletrialBetas_trials.tsv"))
    assert trials["volume"].tolist() == session.trials["volume"].tolist()
    # The first sample is at StartTime.
    first = trials.iloc[0]
    assert first["volume"] * TR + START - first["onset"] == pytest.approx(first["shift_s"])
    assert not list(folder.glob(".series-*"))
    told = json.loads((folder / (image + "stat-rsquare_desc-R2_statmap.json")).read_text())
    assert told["Parameters"]["glm"]["n_pcs"] == 10
    assert bold_of(2) in told["Sources"]


def test_options_reach_the_fit(made, tmp_path):
    words = ["--no-glmdenoise", "--write", "images", "FITHRF", "--confounds", "trans_*"]
    words += ["--stimulus-duration-s", "3", "--quiet", "--blank", "stim_name=f"]
    assert call(made, *words, output=tmp_path) == 0
    (file,) = tmp_path.glob("*_model.h5")
    with model.open_model(file) as found:
        assert found["model"].asstr()[()] == "FITHRF_RR"
        assert found["stimulus_duration"][()] == 3
        assert found["conditions"].asstr()[:].tolist() == list("abcde")
        assert [item.shape for item in found["confounds"].values()] == [(N, 3)] * 2
        assert found["fithrf_betas"].shape == (MASK.sum(), 20)
    listed = tables.read_tsv(next(tmp_path.glob("*_images.tsv")))
    assert listed["n_trials"].tolist() == [4] * 5
    (means,) = tmp_path.glob("*ImageBetas_statmap.nii.gz")
    assert nib.load(means).shape == (*SHAPE, 5)


def test_defaults_are_those_of_the_schema():
    schema = configuration.load_schema(configuration.SCHEMA)
    options = __main__._parser(schema).parse_args(["x.nii", "--events", "x.tsv", "-o", "out"])
    found = __main__._settings(options, schema)
    for section in ("design", "glm"):
        rules = schema["properties"][section]["properties"]
        assert found[section] == {key: rule["default"] for key, rule in rules.items()}
    assert found["seed"] == schema["properties"]["seed"]["default"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label-column", "image"], r"task-img_run-1: events have no column 'image'.*stim_name"),
        (["--confounds", "rot_x"], r"no confound 'rot_x'; its table holds: trans_x"),
        (["--n-pcs", "-1"], r"`glm.n_pcs`"),
        (["--mask", "none.nii"], r"none.nii does not exist"),
    ],
)
def test_unusable_options_are_named(made, tmp_path, capsys, words, message):
    status = call(made, *words, output=tmp_path, runs=(1, 2))
    said = capsys.readouterr().err
    assert status == 1
    assert pd.Series([said]).str.contains(message)[0], said


@pytest.fixture
def copies(made, tmp_path):
    """Files of the two runs that a test may spoil."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def refused(root, capsys, *words, **options):
    assert call(root, *words, output=root / "out", **options) == 1
    return capsys.readouterr().err


def test_runs_on_other_grids_are_refused(copies, capsys):
    moved = AFFINE.copy()
    moved[0, 3] += 1
    values = nib.load(copies / bold_of(2)).get_fdata(dtype=np.float32)
    save(copies / bold_of(2), values, affine=moved)
    said = refused(copies, capsys)
    assert "lies on another grid than" in said
    assert bold_of(2) in said


def test_a_mask_of_another_grid_is_refused(copies, capsys):
    save(copies / "mask.nii", np.ones((13, 12, 11), np.uint8))
    assert "mask.nii (13 x 12 x 11) lies on another grid" in refused(
        copies, capsys, "--mask", str(copies / "mask.nii")
    )


def test_the_number_and_order_of_events_are_checked(copies, capsys):
    bold = [str(copies / bold_of(run)) for run in (1, 2)]
    events = [str(copies / f"{stem(run)}_events.tsv") for run in (2, 1)]
    for given, message in (
        (events[:1], "2 BOLD runs and 1 events files"),
        (events, "is of run 2, but stands in the place of the events of"),
        ([*events[1:], str(copies / "no.tsv")], "no.tsv does not exist"),
    ):
        assert __main__.main([*bold, "--events", *given, "-o", str(copies / "out")]) == 1
        assert message in capsys.readouterr().err
    assert __main__.main([*bold[:1] * 2, "--events", *events[1:] * 2, "-o", str(copies)]) == 1
    assert "give each run once" in capsys.readouterr().err


def json_of(root, run):
    return root / bold_of(run).replace(".nii.gz", ".json")


def test_the_repetition_time_is_never_guessed(copies, capsys, caplog):
    json_of(copies, 1).write_text('{"RepetitionTime": 2.0}')
    assert "says a repetition time of 1.5 s and" in refused(copies, capsys)
    json_of(copies, 1).unlink()
    values = nib.load(copies / bold_of(1)).get_fdata(dtype=np.float32)
    save(copies / bold_of(1), values, unit="unknown")
    said = refused(copies, capsys)
    assert "repetition time is not known" in said
    assert "--tr" in said
    save(copies / bold_of(1), values, tr=1500, unit="msec")
    assert call(copies, "--quiet", output=copies / "out") == 0
    save(copies / bold_of(1), values, tr=2.0)
    assert "differ in their repetition time" in refused(copies, capsys)
    assert call(copies, "--tr", "1.5", "--quiet", output=copies / "out") == 0
    json_of(copies, 2).write_text('{"RepetitionTime": 3.0}')
    assert call(copies, "--tr", "1.5", "--quiet", output=copies / "out") == 0
    assert "says 3 s; the repetition time given is 1.5 s" in caplog.text
    json_of(copies, 1).write_text('{"VolumeTiming": [0, 1]}')
    assert "irregular times" in refused(copies, capsys)


def test_confounds_of_another_length_are_refused(copies, capsys):
    path = copies / f"{stem(2)}_desc-confounds_timeseries.tsv"
    tables.read_tsv(path).iloc[:50].to_csv(path, sep="\t", index=False)
    assert "have 50 rows for 90 volumes" in refused(copies, capsys, "--confounds", "trans_x")
    path.unlink()
    assert "does not exist: give --confound-tables" in refused(
        copies, capsys, "--confounds", "trans_x"
    )


def test_without_a_mask_one_is_made_and_said(copies, capsys):
    for path in copies.glob("*_mask.nii.gz"):
        path.unlink()
    assert call(copies, "--quiet", output=copies / "out") == 0
    assert f"made from {bold_of(1)}" in capsys.readouterr().err
    (file,) = (copies / "out").glob("*_model.h5")
    with model.open_model(file) as found:
        assert (found["mask"][:][MASK] > 0).mean() > 0.7


def test_names_that_are_not_bids_work(copies):
    names = [copies / f"scan{run}.nii" for run in "ab"]
    for run, name in zip((1, 2), names, strict=True):
        save(name, nib.load(copies / bold_of(run)).get_fdata(dtype=np.float32))
    events = [str(copies / f"{stem(run)}_events.tsv") for run in (1, 2)]
    words = ["-o", str(copies / "out"), "--quiet"]
    assert __main__.main([*map(str, names), "--events", *events, *words]) == 0
    assert (copies / "out" / "desc-GLMsingle_model.h5").is_file()
    trials = tables.read_tsv(copies / "out" / "desc-SingletrialBetas_trials.tsv")
    assert trials["stem"].unique().tolist() == ["scana", "scanb"]


def test_a_volume_in_the_place_of_a_series_is_refused(copies, capsys):
    save(copies / bold_of(1), np.ones(SHAPE, np.float32))
    assert "a series (x, y, z, t) is needed" in refused(copies, capsys)
