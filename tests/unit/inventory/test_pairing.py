"""Pairing of fieldmaps with runs, on rows made by hand."""

from pathlib import Path

import pytest

from mebold.inventory.fieldmaps import estimates
from mebold.inventory.pairing import pair, resolve
from mebold.inventory.rows import row
from mebold.inventory.tree import File


def image(path, **metadata):
    """Return the row of an image that exists by name only."""
    return row(Path("nowhere"), File(path, 0, 0), metadata)


def run(stem="sub-01_task-x_run-1", folder="sub-01", **metadata):
    return image(f"{folder}/func/{stem}_bold.nii.gz", **metadata)


def phasediff(stem="sub-01", folder="sub-01", **metadata):
    names = ("magnitude1", "magnitude2", "phasediff")
    return [image(f"{folder}/fmap/{stem}_{name}.nii.gz", **metadata) for name in names]


def paired(rows):
    """Pair, and return (identifier, how) of the first BOLD row."""
    pair(rows, {r["path"] for r in rows})
    bold = next(r for r in rows if r["suffix"] == "bold")
    return bold["fieldmap"], bold["fieldmap_by"]


def two_maps(**by_run):
    """Return two fieldmaps, run-1 and run-2, with their metadata."""
    return [
        r for n in ("1", "2") for r in phasediff(f"sub-01_run-{n}", **by_run.get(f"run{n}", {}))
    ]


@pytest.mark.parametrize(
    "target",
    [
        "func/sub-01_task-x_run-1_bold.nii.gz",
        ["func/other.nii.gz", "func/sub-01_task-x_run-1_bold.nii.gz"],
        ["func/sub-01_task-x_run-1_bold.nii.gz"] * 2,
        "bids::sub-01/func/sub-01_task-x_run-1_bold.nii.gz",
        "bids:raw:sub-01/func/sub-01_task-x_run-1_bold.nii.gz",
        "sub-01/func/sub-01_task-x_run-1_bold.nii.gz",
        "./func/sub-01_task-x_run-1_bold.nii",
    ],
)
def test_intended_for_in_all_its_forms(target):
    rows = [run(), *two_maps(run2={"IntendedFor": target})]
    assert paired(rows) == ("phasediffRun2", "IntendedFor")


def test_intended_for_without_the_session_of_the_target():
    folder, stem = "sub-01/ses-1", "sub-01_ses-1"
    target = {"IntendedFor": f"func/{stem}_task-x_run-1_bold.nii.gz"}
    maps = phasediff(f"{stem}_run-1", folder) + phasediff(f"{stem}_run-2", folder, **target)
    assert paired([run(f"{stem}_task-x_run-1", folder), *maps])[0] == "phasediffRun2"


def test_intended_for_on_a_magnitude_image_counts():
    rows = [run(), *two_maps()]
    magnitude = next(r for r in rows if r["path"].endswith("run-2_magnitude1.nii.gz"))
    magnitude["intended_for"] = ["func/sub-01_task-x_run-1_bold.nii.gz"]
    assert paired(rows) == ("phasediffRun2", "IntendedFor")


def test_intended_for_one_echo_means_the_run_and_its_sbref():
    stem = "sub-01_task-x_run-1"
    echoes = [run(f"{stem}_echo-{n}_part-{p}") for n in (1, 2) for p in ("mag", "phase")]
    sbref = image(f"sub-01/func/{stem}_echo-1_part-mag_sbref.nii.gz")
    target = {"IntendedFor": f"func/{stem}_echo-2_part-mag_bold.nii.gz"}
    rows = [*echoes, sbref, *two_maps(run2=target)]
    pair(rows, {r["path"] for r in rows})
    assert {r["fieldmap"] for r in [*echoes, sbref]} == {"phasediffRun2"}


def test_missing_targets_are_kept_for_the_checks():
    rows = [run(), *phasediff(IntendedFor=["func/gone.nii.gz"])]
    assert paired(rows) == ("phasediff", "only one in the session")
    assert rows[-1]["intended_missing"] == ["func/gone.nii.gz"]


def test_b0_field_source_wins_over_intended_for():
    target = {"IntendedFor": "func/sub-01_task-x_run-1_bold.nii.gz"}
    rows = [
        run(B0FieldSource="map_2"),
        *two_maps(run1=target, run2={"B0FieldIdentifier": ["map_2", "other"]}),
    ]
    assert paired(rows) == ("map2", "B0FieldSource")


def test_identifiers_that_differ_in_dropped_characters_stay_apart():
    maps = two_maps(run1={"B0FieldIdentifier": "a_b"}, run2={"B0FieldIdentifier": "a-b"})
    assert [estimate.identifier for estimate in estimates(maps)] == ["ab", "abb"]
    assert paired([run(B0FieldSource="a-b"), *maps])[0] == "abb"


def maps_of(rows):
    """Pair, and return (all identifiers, how) of the first BOLD row."""
    pair(rows, {r["path"] for r in rows})
    bold = next(r for r in rows if r["suffix"] == "bold")
    return bold["fieldmaps"], bold["fieldmap_by"]


@pytest.mark.parametrize(("time", "nearest"), [("10:04:00", "1"), ("10:06:00", "2")])
def test_without_keys_all_maps_of_the_session_count_in_time(time, nearest):
    rows = [
        run(AcquisitionTime=time),
        *two_maps(run1={"AcquisitionTime": "10:00:00"}, run2={"AcquisitionTime": "10:10:00"}),
    ]
    how = "all of the session, interpolated in time"
    assert paired(rows) == (f"phasediffRun{nearest}", how)
    assert sorted(maps_of(rows)[0]) == ["phasediffRun1", "phasediffRun2"]


@pytest.mark.parametrize(("time", "nearest"), [("23:59:00", "1"), ("00:09:00", "2")])
def test_a_session_may_run_over_midnight(time, nearest):
    times = {"run1": {"AcquisitionTime": "23:55:00"}, "run2": {"AcquisitionTime": "00:10:00"}}
    assert paired([run(AcquisitionTime=time), *two_maps(**times)])[0] == f"phasediffRun{nearest}"


def test_an_estimate_over_midnight_starts_before_it():
    images = phasediff()
    for image_row, time in zip(images, (10.0, 86390.0, 20.0), strict=True):
        image_row["acquisition_time"] = time
    assert estimates(images)[0].time == 86390.0


def test_without_times_the_first_is_taken_and_said():
    rows = [run(), *two_maps()]
    assert maps_of(rows) == (["phasediffRun1"], "first in the session (no AcquisitionTime)")


def test_one_named_map_is_used_alone_whatever_the_times():
    target = {"IntendedFor": "func/sub-01_task-x_run-1_bold.nii.gz"}
    times = [{"AcquisitionTime": t} for t in ("10:00:00", "10:10:00")]
    rows = [run(AcquisitionTime="10:09:00"), *two_maps(run1=target | times[0], run2=times[1])]
    assert maps_of(rows) == (["phasediffRun1"], "IntendedFor")
    rows = [run(AcquisitionTime="10:09:00", B0FieldSource="b"), *two_maps(
        run1=times[0] | {"B0FieldIdentifier": "a"},
        run2=times[1] | {"B0FieldIdentifier": "b"})]  # fmt: skip
    assert maps_of(rows) == (["b"], "B0FieldSource")


@pytest.mark.parametrize(
    ("times", "how"),
    [
        (("10:00:00", "10:10:00"), "interpolated in time"),
        ((None, "10:10:00"), "no AcquisitionTime"),
    ],
)
def test_several_named_maps_are_all_kept(times, how):
    names = {"run1": {"B0FieldIdentifier": "a"}, "run2": {"B0FieldIdentifier": "b"}}
    for key, time in zip(names, times, strict=True):
        names[key] |= {"AcquisitionTime": time} if time else {}
    third = phasediff("sub-01_run-3", B0FieldIdentifier="c", AcquisitionTime="10:04:30")
    rows = [run(AcquisitionTime="10:04:00", B0FieldSource=["a", "b"]), *two_maps(**names), *third]
    found, said = maps_of(rows)
    assert sorted(found) == ["a", "b"]
    assert said.startswith("B0FieldSource, ")
    assert how in said


def test_named_maps_of_another_session_are_not_interpolated_in_time():
    folder, stem = "sub-01/ses-2", "sub-01_ses-2_task-x_run-1"
    target = {"IntendedFor": f"ses-2/func/{stem}_bold.nii.gz", "AcquisitionTime": "10:00:00"}
    maps = [r for n in "12" for r in phasediff(f"sub-01_ses-1_run-{n}", "sub-01/ses-1", **target)]
    found, how = maps_of([run(stem, folder, AcquisitionTime="10:00:00"), *maps])
    assert len(found) == 2
    assert how == "IntendedFor, mean (maps of another session)"


def test_a_run_never_mixes_kinds():
    keys = {"AcquisitionTime": "10:00:00"}
    direct = image("sub-01/fmap/sub-01_fieldmap.nii.gz", **keys)
    rows = [run(AcquisitionTime="10:00:00"), direct, *phasediff(AcquisitionTime="10:30:00")]
    assert maps_of(rows)[0] == ["phasediff"]


def test_a_fieldmap_of_another_session_is_taken_only_when_named():
    target = {"IntendedFor": "ses-2/func/sub-01_ses-2_task-x_run-1_bold.nii.gz"}
    bold = run("sub-01_ses-2_task-x_run-1", "sub-01/ses-2")
    assert paired([bold, *phasediff("sub-01_ses-1", "sub-01/ses-1")]) == (None, None)
    rows = [bold, *phasediff("sub-01_ses-1", "sub-01/ses-1", **target)]
    assert paired(rows) == ("phasediff", "IntendedFor")
    assert bold["fieldmap_folder"] == "sub-01/ses-1"


def test_three_kinds_in_one_session_are_told_apart():
    rows = [
        *phasediff(),
        image("sub-01/fmap/sub-01_acq-two_phase1.nii.gz"),
        image("sub-01/fmap/sub-01_acq-two_phase2.nii.gz"),
        image("sub-01/fmap/sub-01_fieldmap.nii.gz"),
        image("sub-01/fmap/sub-01_magnitude.nii.gz"),
        image("sub-01/fmap/sub-01_dir-AP_epi.nii.gz"),
        image("sub-01/fmap/sub-01_dir-PA_epi.nii.gz"),
        image("sub-01/fmap/sub-01_acq-alone_magnitude1.nii.gz"),
        image("sub-01/fmap/sub-01_TB1map.nii.gz"),
    ]
    found = {estimate.identifier: estimate for estimate in estimates(rows)}
    assert {name: (e.kind, e.usable, len(e.images)) for name, e in found.items()} == {
        "phasediff": ("phasediff", True, 3),
        "phasesAcqtwo": ("phases", True, 2),
        "fieldmap": ("fieldmap", True, 2),
        "epi": ("epi", False, 2),
        "incompleteAcqalone": ("incomplete", False, 1),
    }


def epi_pair(first="j", second="j-", readout_s=0.02, **entities):
    """Return two EPI images with their encodings."""
    name = "".join(f"_{key}-{value}" for key, value in entities.items())
    return [
        image(
            f"sub-01/fmap/sub-01_dir-{label}{name}_epi.nii.gz",
            PhaseEncodingDirection=direction,
            **({"TotalReadoutTime": readout_s} if readout_s else {}),
        )
        for label, direction in (("AP", first), ("PA", second))
    ]


@pytest.mark.parametrize(
    ("pair_of", "kind"),
    [
        (epi_pair(), "pepolar"),
        (epi_pair("i-", "i"), "pepolar"),
        (epi_pair("j", "j"), "epi"),
        (epi_pair("j", "i-"), "epi"),
        (epi_pair(readout_s=None), "epi"),
        (epi_pair()[:1], "epi"),
        (epi_pair(part="phase"), "epi"),
    ],
)
def test_epi_images_are_a_pair_when_they_encode_opposite_directions(pair_of, kind):
    (found,) = estimates(pair_of)
    assert (found.kind, found.identifier) == (
        kind,
        kind + ("Partphase" if found.images[0]["part"] else ""),
    )


def scans(run_number, direction, *, readout_s=0.02):
    """Return series and single-band reference of two echoes of a run."""
    return [
        image(
            f"sub-01/func/sub-01_task-x_run-{run_number}_echo-{echo}_{suffix}.nii.gz",
            PhaseEncodingDirection=direction,
            TotalReadoutTime=readout_s,
            EchoTime=0.01 * echo,
        )
        for suffix in ("bold", "sbref")
        for echo in (2, 1)
    ]


@pytest.mark.parametrize(
    ("target", "expected"), [(None, "1"), ("func/sub-01_task-x_run-2_echo-1_bold.nii.gz", "2")]
)
def test_epi_images_of_one_direction_are_paired_with_the_reference_of_a_run(target, expected):
    alone = epi_pair("j")[0]
    alone["intended_for"] = [target] if target else None
    rows = [*scans(1, "j-"), *scans(2, "j-"), *scans(3, "j"), alone]
    identifier, how = paired(rows)
    stem = f"sub-01_task-x_run-{expected}"
    assert alone["fieldmap_opposed"] == f"sub-01/func/{stem}_echo-1_sbref.nii.gz"
    assert alone["fieldmap_kind"] == "pepolar"
    if target is None:
        assert how == f"only one in the session, with the opposed image of {stem}"
        assert identifier == alone["fieldmap"]
    else:  # the first run is not among those that the fieldmap is intended for
        assert identifier is None
        second = next(r for r in rows if r["stem"] == stem)
        assert second["fieldmap_by"] == f"IntendedFor, with the opposed image of {stem}"


@pytest.mark.parametrize("runs", [scans(1, "j"), scans(1, "i"), scans(1, "j-", readout_s=None)])
def test_epi_images_stay_alone_without_an_opposed_run(runs):
    alone = epi_pair("j")[0]
    for scan in runs:
        if scan["total_readout_time"] is None:
            assert scan["phase_encoding_direction"] == "j-"
    paired([*runs, alone])
    assert (alone["fieldmap_kind"], alone["fieldmap_opposed"]) == ("epi", None)


def test_a_measured_field_is_preferred_to_opposite_phase_encoding():
    assert paired([run(), *epi_pair(), *phasediff()])[0] == "phasediff"
    assert paired([run(), *epi_pair()])[0] == "pepolar"


def test_subjects_do_not_share_fieldmaps():
    rows = [run(), *phasediff("sub-02", "sub-02", B0FieldIdentifier="a")]
    rows[0]["b0_source"] = ["a"]
    assert paired(rows) == (None, None)


def test_paths_of_an_estimate():
    estimate = estimates(phasediff())[0]
    assert estimate.paths()["phasediff"] == "sub-01/fmap/sub-01_phasediff.nii.gz"
    assert list(estimate.paths()) == ["magnitude1", "magnitude2", "phasediff"]


def test_a_target_may_have_the_other_extension():
    source = phasediff()[0]
    assert resolve("func/a.nii.gz", source, {"sub-01/func/a.nii"}) == "sub-01/func/a.nii"
    assert resolve("func/a.nii", source, {"sub-01/func/a.nii.gz"}) == "sub-01/func/a.nii.gz"
    assert resolve("func/a.nii", source, set()) is None


# -- maps that name other runs ------------------------------------------------------------------


def bold(number, **metadata):
    return run(f"sub-01_task-x_run-{number}", **metadata)


def chosen_for(rows, number, **options):
    """Pair, and return (identifiers, how) of one run."""
    pair(rows, {r["path"] for r in rows}, **options)
    own = next(r for r in rows if r["suffix"] == "bold" and r["run"] == str(number))
    return own["fieldmaps"], own["fieldmap_by"]


TARGET = {"IntendedFor": "bids::sub-01/func/sub-01_task-x_run-2_bold.nii.gz"}
OTHERS = "fieldmaps of the session name other runs only"


@pytest.mark.parametrize(
    ("name", "second"),
    [(TARGET, {}), ({"B0FieldIdentifier": "front"}, {"B0FieldSource": "front"})],
)
def test_a_map_that_names_other_runs_is_not_given_to_a_run_that_it_does_not_name(name, second):
    rows = [bold(1), bold(2, **second), *phasediff(**name)]
    assert chosen_for(rows, 1) == (None, OTHERS)
    identifiers, how = chosen_for(rows, 2)
    assert len(identifiers) == 1
    assert how == ("B0FieldSource" if second else "IntendedFor")
    identifiers, how = chosen_for(rows, 1, assign="session")
    assert (len(identifiers), how) == (1, "only one in the session")


def test_of_several_maps_the_others_take_the_one_that_names_nobody():
    rows = [bold(1), bold(2), *two_maps(run1=TARGET)]
    found = (["phasediffRun2"], "only one in the session that names no run")
    assert chosen_for(rows, 1) == found
    assert chosen_for(rows, 2) == (["phasediffRun1"], "IntendedFor")


def test_an_identifier_that_no_run_asks_for_names_nobody():
    rows = [bold(1), *phasediff(B0FieldIdentifier="gre")]
    assert chosen_for(rows, 1) == (["gre"], "only one in the session")
    assert chosen_for(rows, 1, sources=[("01", "gre")]) == (None, OTHERS)
    assert chosen_for(rows, 1, sources=[("02", "gre")])[0] == ["gre"]


def test_a_target_of_a_task_that_is_not_chosen_counts():
    rows = [bold(1), *phasediff(**TARGET)]
    files = {r["path"] for r in rows} | {"sub-01/func/sub-01_task-x_run-2_bold.nii.gz"}
    pair(rows, files)
    assert (rows[0]["fieldmaps"], rows[0]["fieldmap_by"]) == (None, OTHERS)
