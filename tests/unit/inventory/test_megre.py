"""Multi-echo gradient echoes of the anatomy: what T2* needs, and when they are a fieldmap."""

import pytest
from bids_trees import Tree

from mebold.inventory import checks, megre
from mebold.inventory.index import index
from mebold.inventory.runs import collect
from mebold.inventory.table import records

RUN = "bids::sub-01/func/sub-01_task-x_echo-1_part-mag_bold.nii.gz"


def written(tmp_path, *, echoes=5, parts=("mag", "phase"), time=0.0045, **metadata):
    tree = Tree(tmp_path)
    tree.run("sub-01_task-x")
    for echo in range(1, echoes + 1):
        for part in parts:
            keys = {"EchoTime": time * echo} if time else {}
            tree.image(
                f"sub-01/anat/sub-01_acq-gre_echo-{echo}_part-{part}_MEGRE.nii.gz", keys | metadata
            )
    return index(tmp_path)


def test_the_echoes_of_an_acquisition_are_sorted_by_time(tmp_path):
    found = megre.collect(records(written(tmp_path)))
    assert [one.stem for one in found] == ["sub-01_acq-gre"]
    assert [row["echo_time"] for row in found[0].magnitudes] == pytest.approx(
        [0.0045, 0.009, 0.0135, 0.018, 0.0225]
    )
    assert found[0].has_field
    assert [row["echo_time"] for row in found[0].phases] == pytest.approx(
        [row["echo_time"] for row in found[0].magnitudes]
    )


def test_magnitudes_alone_give_t2star_and_no_field(tmp_path):
    found = megre.collect(records(written(tmp_path, parts=("mag",))))
    assert len(found) == 1
    assert not found[0].has_field


@pytest.mark.parametrize(
    ("change", "why"), [({"echoes": 2}, "T2* needs 3 echoes"), ({"time": None}, "no EchoTime")]
)
def test_what_is_missing_for_t2star_is_a_warning(tmp_path, change, why):
    table = written(tmp_path, **change)
    assert megre.collect(records(table)) == []
    found = [f for f in checks.findings(table) if f.key == "MEGRE"]
    assert [f.severity for f in found] == ["warning"]
    assert why in str(found[0])


def test_it_is_no_fieldmap_unless_it_names_its_target(tmp_path):
    table = written(tmp_path)
    assert collect(table)[0].first["fieldmaps"] is None


@pytest.mark.parametrize("by", ["IntendedFor", "B0FieldIdentifier"])
def test_it_is_a_fieldmap_where_it_names_its_target(tmp_path, by):
    if by == "IntendedFor":
        table = written(tmp_path, IntendedFor=RUN)
    else:
        Tree(tmp_path).json("task-x_bold.json", {"B0FieldSource": "gre"})
        table = written(tmp_path, B0FieldIdentifier="gre")
    if by == "B0FieldIdentifier":
        for path in (tmp_path / "sub-01/func").glob("*.json"):
            path.unlink()  # what lies nearer would win
        table = index(tmp_path)
    row = collect(table)[0].first
    assert row["fieldmap_kind"] == "megre"
    assert row["fieldmap_by"].startswith(by.replace("Identifier", "Source"))
    own = [r for r in records(table) if r["fieldmap"] == row["fieldmap"] and r["suffix"] == "MEGRE"]
    assert len(own) == 10


def test_a_real_fieldmap_is_preferred(tmp_path):
    tree = Tree(tmp_path)
    tree.phasediff(IntendedFor=RUN)
    table = written(tmp_path, IntendedFor=RUN)
    assert collect(table)[0].first["fieldmap_kind"] == "phasediff"
