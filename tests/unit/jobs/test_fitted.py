"""The files of a fit: complete on their own, small, and written without a copy of the betas."""

import json
import re
import shutil
import tracemalloc
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mebold.files import model, tables
from mebold.jobs import fitted
from mebold.singletrial import contents, fit
from mebold.singletrial.session import prepare

REPOSITORY = Path(__file__).resolve().parents[3]
SETTINGS = {"engine": "mebold", "hrf_library": True, "glmdenoise": True, "fracridge": True}
SETTINGS |= {"n_pcs": 2, "pcstop": 1.05, "seed": 0, "n_threads": 1}
AFFINE = np.diag([2.0, 2, 2, 1])
NAMES = {"trials": "t_trials.tsv", "summary": "t_summary.json", "model": "t_model.h5"}
NAMES |= {name: f"t_{name}.nii.gz" for name in ("betas", "r2", "hrf", "fracridge", "onoff")}
NAMES |= {name: f"t_{name}.nii.gz" for name in ("meanvol", "coverage")}
ASKED = {"images": "t_images.nii.gz", "images_table": "t_images.tsv"}
ASKED |= {f"zscored_{within}": f"t_{within}.nii.gz" for within in ("run", "session")}


def session(n_voxels=60):
    rng = np.random.default_rng(0)
    events = [
        pd.DataFrame(
            {"onset": 4.0 + 8 * np.arange(10), "stim_name": rng.permutation(list("abcde" * 2))}
        )
        for _ in range(3)
    ]
    data = [100 + rng.normal(size=(n_voxels, 100)).astype(np.float32) for _ in events]
    return prepare(
        data,
        events,
        runs=[
            {"stem": f"sub-1_task-x_run-{n}", "session": None, "run": n, "tr_out": 1.0}
            for n in "123"
        ],
        label_column="stim_name",
        blank={},
        stimulus_duration_s=2.0,
        minimum_volumes=5,
        cells=[table.astype(str).assign(note="said") for table in events],
        confounds=[rng.normal(size=(100, 2)) for _ in events],
    )


def mask_of(n_voxels):
    mask = np.zeros((10, 10, -(-n_voxels // 100) + 1), bool)
    mask.ravel()[3 : 3 + n_voxels] = True
    return mask


def write(folder, data, *, further=(), asked=()):
    found = fit.fit(data, further=further, **SETTINGS)
    names = NAMES | {key: ASKED[key] for key in asked}
    paths = {key: folder / name for key, name in names.items()}
    fields = fitted.write(
        paths,
        data,
        found,
        mask=mask_of(len(data.data[0])),
        affine=AFFINE,
        about=lambda **keys: {**keys, "Parameters": SETTINGS, "GeneratedBy": [{"Name": "x"}]},
        columns=data.columns({"note": {"Description": "What was said.", "Units": "words"}}),
    )
    return found, fields


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    data = session()
    found, _ = write(folder, data, asked=ASKED)
    return folder, data, found


def test_the_model_file_tells_all_that_there_is_to_know(written):
    folder, data, found = written
    with model.open_model(folder / "t_model.h5") as file:
        trials, told = model.trials_of(file), model.about(file)
        assert file["conditions"].asstr()[:].tolist() == list("abcde")
        np.testing.assert_array_equal(file["affine"][:], AFFINE)
        np.testing.assert_array_equal(file["mask"][:] > 0, mask_of(60))
        for name, run, extra in zip(file["design"], data.design, data.confounds, strict=True):
            np.testing.assert_array_equal(file["design"][name][:], run)
            np.testing.assert_array_equal(file["confounds"][name][:], extra)
        assert file["runs"].asstr()[:].tolist() == data.used
        assert (file["tr"][()], file["stimulus_duration"][()]) == (1.0, 2.0)
        np.testing.assert_array_equal(file["betas"][:], found.betas)
        assert file["trials/note"].attrs["units"] == "words"
    read = tables.read_cells(folder / "t_trials.tsv")
    assert trials.astype(str)["note"].tolist() == read["note"].tolist() == ["said"] * 30
    pd.testing.assert_frame_equal(trials, data.trials, check_dtype=False)
    assert told["Parameters"] == SETTINGS
    assert told["GeneratedBy"] == [{"Name": "x"}]
    assert told["RunsLeftOut"] == []
    assert json.loads((folder / "t_model.json").read_text()) == told


def test_every_dataset_says_its_unit_axes_and_meaning(written):
    folder, _, _ = written
    silent, seen = [], set()

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            seen.add(name.split("/")[0])
            if not {"units", "axes", "description"} <= set(item.attrs):
                silent.append(name)

    with h5py.File(folder / "t_model.h5") as file:
        file.visititems(visit)
        held = set(file)
    assert silent == []
    told = json.loads((folder / "t_model.json").read_text())["Contents"]
    with h5py.File(folder / "t_model.h5") as file:
        full = {
            name for name in held - {"glmsingle", "trials"}
            if isinstance(file[name], h5py.Group) or file[name].shape is not None
        }  # fmt: skip
    assert set(told) == full
    assert {"betas", "trials", "design"} <= seen


def test_names_of_glmsingle_lead_to_the_same_data(written):
    folder, _, found = written
    expected = {
        *("betasmd", "HRFindex", "HRFindexrun", "FRACvalue", "R2", "R2run", "meanvol"),
        *("glmbadness", "pcnum", "rrbadness", "xvaltrend", "noisepool", "scaleoffset"),
    }
    with model.open_model(folder / "t_model.h5") as file:
        assert expected <= set(file["glmsingle"])
        np.testing.assert_array_equal(file["glmsingle/betasmd"][:], found.betas)
        np.testing.assert_array_equal(file["glmsingle/HRFindexrun"][:], found.hrf_index_run)
        assert file["glmsingle/pcnum"][()] == found.pc_num
        for name, target in contents.links().items():
            link = file.get(name, getlink=True)
            assert link is None or link.path == f"/{target}"


def test_betas_of_simpler_models_are_kept_on_request_only(tmp_path):
    data = session()
    plain, _ = write(tmp_path, data)
    with model.open_model(tmp_path / "t_model.h5") as file:
        assert file["fithrf_betas"].shape is None
        assert "betasmd" not in file["glmsingle/TYPEB_FITHRF"]
    both, _ = write(tmp_path, data, further=["FITHRF", "FITHRF_GLMDENOISE"])
    with model.open_model(tmp_path / "t_model.h5") as file:
        np.testing.assert_array_equal(file["glmsingle/TYPEB_FITHRF/betasmd"][:], both.fithrf_betas)
        kinds = ["betas", "fithrf_betas", "denoise_betas"]
        one, two, three = (file[name][:] for name in kinds)
    np.testing.assert_array_equal(one, plain.betas)
    assert not np.allclose(one, two)
    assert not np.allclose(one, three)


def test_images_and_z_scores_on_request(written, tmp_path):
    folder, data, found = written
    mask = mask_of(60)
    listed = tables.read_tsv(folder / "t_images.tsv")
    assert listed["label"].tolist() == list("abcde")
    assert listed["n_trials"].tolist() == [6] * 5
    means = nib.load(folder / "t_images.nii.gz").get_fdata()[mask]
    same = (data.trials["label"] == "c").to_numpy()
    np.testing.assert_allclose(means[:, 2], found.betas[:, same].mean(axis=1), atol=1e-5)
    scores = nib.load(folder / "t_run.nii.gz").get_fdata()[mask]
    for stem in data.used:
        part = scores[:, (data.trials["stem"] == stem).to_numpy()]
        np.testing.assert_allclose(part.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose((part**2).mean(axis=1), 1, atol=1e-4)
    assert json.loads((folder / "t_session.json").read_text())["ZscoredWithin"] == "session"
    write(tmp_path, data)
    assert {path.name for path in tmp_path.glob("t_*.nii.gz")} == set(NAMES.values()) - {
        "t_trials.tsv", "t_summary.json", "t_model.h5",
    }  # fmt: skip


def test_pybids_indexes_what_is_written(written, tmp_path):
    layout = pytest.importorskip("bids").BIDSLayout
    folder, _, _ = written
    place = tmp_path / "sub-01" / "ses-02" / "func"
    place.mkdir(parents=True)
    for end in ("_trials.tsv", "_trials.json", "_model.h5", "_model.json"):
        name = f"sub-01_ses-02_task-x_desc-SingletrialBetas{end}"
        shutil.copy(folder / f"t{end}", place / name)
    about = {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
    about["GeneratedBy"] = [{"Name": "x"}]
    (tmp_path / "dataset_description.json").write_text(json.dumps(about))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = layout(tmp_path, validate=False, derivatives=False, is_derivative=True)
        assert found.get_sessions() == ["02"]
        assert found.get_runs() == []
        (trials,) = found.get(suffix="trials", extension=".tsv", session="02")
    assert "onset" in trials.get_metadata()


def test_maps_of_mean_and_on_off(written):
    folder, _, found = written
    mean = nib.load(folder / "t_meanvol.nii.gz").get_fdata()[mask_of(60)]
    np.testing.assert_allclose(mean, found.mean_volume, rtol=1e-6)
    on_off = nib.load(folder / "t_onoff.nii.gz").get_fdata()[mask_of(60)]
    np.testing.assert_allclose(on_off, found.onoff_r2, rtol=1e-5)


def test_writing_holds_no_second_copy_of_the_betas(tmp_path):
    data = session(20_000)
    few = fit.fit(data, **SETTINGS | {"glmdenoise": False, "fracridge": False})
    many = replace(few, betas=np.tile(few.betas, 40), fithrf_betas=None)
    data = replace(data, trials=pd.concat([data.trials] * 40, ignore_index=True))
    paths = {key: tmp_path / name for key, name in (NAMES | ASKED).items()}
    tracemalloc.start()
    fitted.write(
        paths, data, many, mask=mask_of(20_000), affine=AFFINE,
        about=lambda **keys: keys, columns=data.columns({}),
    )  # fmt: skip
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * many.betas.nbytes


def test_the_example_of_the_documentation_runs(written, monkeypatch, capsys):
    folder, data, _ = written
    text = (REPOSITORY / "workflow" / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(folder)
    exec(example.replace("desc-GLMsingle_model.h5", "t_model.h5"), {})
    label = data.trials["label"][0]
    shape = mask_of(60).shape
    assert capsys.readouterr().out == f"{label} {shape} (30,) percent signal change\n"
