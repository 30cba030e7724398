"""``descriptions.tsv``: every label that a rule writes is explained in its dataset."""

import re
from pathlib import Path

import pytest

from mebold.files import descriptions
from mebold.variants import VARIANTS, datasets

RULES = Path(__file__).parents[3] / "workflow" / "rules"
OUTPUT = re.compile(
    r'"<out>/(?P<dataset>[^/"]+)/(?P<rest>[^"]*desc-(?P<desc>[A-Za-z0-9{}]+)_[^"]*)"'
)
PATTERNS = sorted(
    {
        (found["dataset"], found["desc"])
        for path in RULES.glob("*.smk")
        for found in OUTPUT.finditer(path.read_text())
        if "/figures/" not in found["rest"]
    }
)


def names_of(pattern: str) -> list[str]:
    """Datasets that the pattern of a rule may mean."""
    if pattern == "{glm}":
        return [datasets(variant)[1] for variant in VARIANTS]
    if pattern in ("{dataset}", "preproc-{thermal}Ica"):
        return [datasets(variant)[0] for variant in VARIANTS]
    return [pattern]


def test_rules_are_read():
    assert len(PATTERNS) > 40
    assert ("{glm}", "R2") in PATTERNS


@pytest.mark.parametrize(("dataset", "label"), PATTERNS)
def test_every_label_of_a_rule_is_described(dataset, label):
    told = {
        name: set(descriptions.table(name, parts=("4rep",))["desc_id"])
        for name in names_of(dataset)
    }
    label = "desc-" + label.replace("{part}", "4rep")
    assert any(label in labels for labels in told.values()), (dataset, label)


def test_labels_are_those_of_the_dataset():
    fits = descriptions.table("glmsingle-tedana", parts=("4rep", "12rep"))
    labels = dict(zip(fits["desc_id"], fits["description"], strict=True))
    parts = ("12rep", "4repFDR", "AllrepFDR")
    assert {f"desc-Noiseceiling{part}" for part in parts} <= set(labels)
    assert "desc-optcom" not in labels
    assert fits["desc_id"].is_unique
    assert labels["desc-coverage"] == "voxels that were fitted"
    assert "desc-hmc" not in set(descriptions.table("preproc-standardIca")["desc_id"])
    assert "desc-hmc" in set(descriptions.table("preproc")["desc_id"])
