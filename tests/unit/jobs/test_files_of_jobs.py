"""What several scripts read or write alike: grids, echoes, sessions."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mebold.errors import ConfigError
from mebold.files import images, series, tables
from mebold.jobs import ceiling_parts, coverage, echoes, grid, session
from mebold.noiseceiling.sums import NoiseCeiling

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def test_a_grid_is_written_with_a_wider_mask_of_the_series(tmp_path, rng):
    names = ("underlay", "mask", "series_mask", "dseg")
    out = SimpleNamespace(**{name: tmp_path / f"{name}.nii.gz" for name in names})
    image = rng.normal(size=(9, 9, 9)).astype(np.float32)
    mask = np.zeros((9, 9, 9), bool)
    mask[4, 4, 4] = True
    grid.save(out, image, mask, 3 * mask, AFFINE, dilation=1, about=dict)
    read = {name: images.load(getattr(out, name))[0] for name in names}
    np.testing.assert_array_equal(read["underlay"], image)
    np.testing.assert_array_equal(read["mask"], mask)
    assert read["series_mask"].sum() == 7
    np.testing.assert_array_equal(read["dseg"], 3 * mask)
    assert tables.read_json(tmp_path / "dseg.json") == {
        "LabelMap": {"1": "GM", "2": "WM", "3": "CSF"}
    }
    assert tables.read_json(tmp_path / "underlay.json") == {"SkullStripped": False}
    assert tables.read_json(tmp_path / "mask.json") == {"Type": "Brain"}
    assert tables.read_json(tmp_path / "series_mask.json")["Type"] == "ROI"


def test_masks_of_a_run_hold_what_it_has_data_of(tmp_path, rng):
    names = ("mask", "series_mask", "coverage")
    out = SimpleNamespace(**{name: tmp_path / f"{name}.nii.gz" for name in names})
    mask, brain = np.zeros((2, 5, 4, 4), bool)
    mask[1:4, 1, 1], brain[1:3, 1, 1] = True, True
    data = rng.normal(size=(3, 10))
    data[0] = 0.0  # a brain voxel that the run never saw, or too seldom
    known = {"mask": mask, "brain": brain, "affine": AFFINE, "about": dict}
    measured = coverage.save(out, data, np.array([0.5, 0.9, 1.0]), **known)
    assert np.argwhere(measured).tolist() == [[2, 1, 1]]
    np.testing.assert_array_equal(images.load_mask(out.mask)[0], measured)
    assert np.argwhere(images.load_mask(out.series_mask)[0])[:, 0].tolist() == [2, 3]
    assert images.load(out.coverage)[0][1:4, 1, 1] == pytest.approx([0.5, 0.9, 1.0])
    assert tables.read_json(tmp_path / "mask.json")["Type"] == "Brain"
    assert tables.read_json(tmp_path / "series_mask.json")["Type"] == "ROI"


@pytest.mark.parametrize(("wanted", "top"), [("auto", 4096), ([0, 4095], 4095)])
def test_echoes_are_cut_and_phases_scaled(tmp_path, rng, wanted, top):
    files = SimpleNamespace(magnitude=[], phase=[])
    phase = np.linspace(0, 4095, 3 * 4 * 5 * 6).reshape(3, 4, 5, 6).round()
    for echo in range(2):
        for name, data in (("magnitude", rng.normal(size=phase.shape)), ("phase", phase)):
            path = str(tmp_path / f"{name}{echo}.nii")
            images.save(path, data.astype(np.float32), AFFINE)
            getattr(files, name).append(path)
    own = np.ones((3, 4, 5, 4), np.float32)
    magnitudes, phases = echoes.read(files, volumes=6, phase_range=wanted, known={1: own})
    assert magnitudes[1] is own
    np.testing.assert_array_equal(magnitudes[0], images.load(files.magnitude[0])[0])
    np.testing.assert_allclose(phases[1], phase * 2 * np.pi / top, rtol=1e-5)
    magnitudes, phases = echoes.read(files, volumes=4, phase_range=[0, 4095])
    assert {a.shape for a in magnitudes + phases} == {(3, 4, 5, 4)}


def test_a_session_takes_its_echo_from_stores_of_all(tmp_path, rng):
    data = rng.normal(size=(3, 20, 40)).astype(np.float32)
    files = SimpleNamespace(series=[], samples=[], coverage=[], events=[])
    files.mask, files.brain = tmp_path / "mask.nii.gz", tmp_path / "brain.nii.gz"
    grid = np.ones((5, 2, 2), np.uint8)
    images.save(files.mask, grid, np.eye(4), dtype=np.uint8)
    grid[0] = 0  # the first four voxels
    images.save(files.brain, grid, np.eye(4), dtype=np.uint8)
    for run, values in enumerate((data, data[2])):
        files.series.append(tmp_path / f"{run}.npy")
        with series.writing(files.series[-1], values.shape) as store:
            store[:] = values
        files.samples.append(tmp_path / f"{run}.json")
        about = {"NonSteadyStateSamples": 5 * run, "LeastCoverage": 0.8}
        tables.write_json(files.samples[-1], about)
        files.coverage.append(tmp_path / f"{run}_coverage.npy")
        # Half of the brain voxels are lost to the second run, and all voxels beside the brain.
        np.save(files.coverage[-1], np.where(np.arange(20) < 12 * run, 0.79, 0.8))
        files.events.append(tmp_path / f"{run}.tsv")
        events = pd.DataFrame({"onset": [4.0, 9.0], "stim_name": ["a", "b"]})
        tables.write_tsv(files.events[-1], events)
    runs = [
        {"stem": f"run-{n}", "session": None, "run": str(n), "tr_out": 1.0, "single_echo": 1}
        for n in (1, 2)
    ]
    design = {
        "label_column": "stim_name",
        "blank": {},
        "stimulus_duration_s": 2.0,
        "minimum_volumes": 10,
    }
    found = session.read(files, runs=runs, design=design)
    np.testing.assert_array_equal(found.data[0], data[1])
    np.testing.assert_array_equal(found.data[1], data[2])
    assert found.trials["label"].tolist() == ["a", "b", "a", "b"]
    assert found.used == ["run-1", "run-2"]
    assert found.non_steady == [0, 5]
    assert found.confounds is None
    files.confounds = [tmp_path / f"{run}_confounds.tsv" for run in range(2)]
    for path in files.confounds:
        tables.write_tsv(path, pd.DataFrame({"x": np.arange(40.0), "y": 1.0}))
    with_x = session.read(files, runs=runs, design=design, confounds=["x"])
    assert [part.shape for part in with_x.confounds] == [(40, 1)] * 2
    with pytest.raises(ConfigError, match=r"run-1 has no confound 'z'; its table holds: x, y"):
        session.read(files, runs=runs, design=design, confounds=["z"])
    found = session.read(files, runs=runs, design=design | {"minimum_coverage": 0.5})
    assert found.used == ["run-1", "run-2"]
    one_run = {"minimum_coverage": 0.51}
    found = session.read(files, runs=runs, design=design | one_run)
    assert found.used == ["run-1"]
    found = session.read(files, runs=runs, design=design | one_run, confounds=["x"])
    assert len(found.confounds) == 1
    assert "data in 50 % of the brain" in found.left_out[0]["reason"]


def test_a_map_says_where_it_is_known(tmp_path):
    mask = np.ones((3, 2, 2), bool)
    known = np.arange(12) % 3 > 0
    where = tmp_path / "x_desc-coverage_mask.nii.gz"
    coverage.save_known(where, known, mask, AFFINE, about=lambda **keys: keys)
    about = {"Units": "percent", **coverage.known(where)}
    values = np.where(known, np.arange(12.0), np.nan)
    for path, metadata in (("map.nii.gz", about), ("bare.nii.gz", {"Units": "percent"})):
        series.save_map(tmp_path / path, values, mask, AFFINE, metadata=metadata)
    found = coverage.read_known(tmp_path / "map.nii.gz", mask)
    np.testing.assert_array_equal(found, values)
    assert np.isfinite(coverage.read_known(tmp_path / "bare.nii.gz", mask)).all()


def test_parts_of_a_ceiling_travel_with_their_sidecars(tmp_path):
    n, voxels = np.arange(3.0), np.zeros(3, bool)
    found = {"4rep": NoiseCeiling(n, n, n, n, repeats={4: 2})}
    chance = {"4rep": SimpleNamespace(threshold=1.0, significant=voxels, permutations=5, q=0.05)}
    ceiling_parts.save(tmp_path / "x.npz", found, chance, about=lambda **keys: keys)
    with np.load(tmp_path / "x.npz") as saved:
        assert saved["4rep_nc"].tolist() == [0, 1, 2]
        assert json.loads(str(saved["4rep_about"]))["ImagesPerRepeatCount"] == {"4": 2}


def test_descriptions_of_events_are_merged_and_a_damaged_file_is_no_stop(tmp_path, caplog):
    for name, text in (("a", '{"x": 1, "y": 1}'), ("b", "{"), ("c", '{"y": 2}')):
        (tmp_path / f"{name}.json").write_text(text)
    paths = [str(tmp_path / f"{name}.json") for name in "abc"]
    assert session.described(paths) == {"x": 1, "y": 2}
    assert "b.json is no valid JSON" in caplog.text
