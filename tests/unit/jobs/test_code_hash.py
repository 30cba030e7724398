"""Content hashes: they follow imports and data files, and nothing else."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mebold.jobs import code_hash

WORKFLOW = Path(__file__).resolve().parents[3] / "workflow"
SCRIPTS = {path.stem: path for path in (WORKFLOW / "scripts").glob("*.py")}


def forget():
    for name in ("code_hash", "_imports", "_bytes", "_files", "_listing"):
        getattr(code_hash, name).cache_clear()


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of three modules in two packages, and a script that uses one of them."""
    for name, text in {
        "low/__init__.py": "",
        "low/ground.py": "X = 1\n",
        "low/table.tsv": "a\tb\n",
        "low/table.py": "",
        "low/other.py": "Y = 1\n",
        "high/__init__.py": "",
        "high/top.py": "from mebold.low import ground\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script = tmp_path / "script.py"
    script.write_text("import numpy\nfrom mebold.high.top import f\nfrom mebold.low import table\n")
    monkeypatch.setattr(code_hash, "_LIBRARY", tmp_path)

    def fresh():
        forget()
        return code_hash.code_hash(script)

    yield tmp_path, fresh
    forget()


@pytest.mark.parametrize(
    "file", ["low/ground.py", "low/table.tsv", "low/table.py", "high/top.py", "script.py"]
)
def test_hash_follows_what_the_script_uses(library, file):
    folder, fresh = library
    before = fresh()
    (folder / file).write_text((folder / file).read_text() + "# edited\n")
    assert fresh() != before


@pytest.mark.parametrize("file", ["low/other.py", "low/__init__.py", "low/unused.tsv"])
def test_hash_ignores_what_it_does_not_use(library, file):
    folder, fresh = library
    before = fresh()
    (folder / file).write_text("# edited\n")
    assert fresh() == before


def test_imports_inside_functions_count(library):
    folder, fresh = library
    (folder / "high/top.py").write_text("def f():\n    from mebold.low.other import Y\n")
    before = fresh()
    (folder / "low/other.py").write_text("Y = 2\n")
    assert fresh() != before


def changed_by(edited: str, monkeypatch) -> set[str]:
    """Return the scripts of the workflow whose hash an edit of one file of the library changes."""
    target = WORKFLOW / "mebold" / edited
    assert target.is_file()
    read = Path.read_bytes
    forget()
    before = {name: code_hash.code_hash(path) for name, path in SCRIPTS.items()}
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: read(self) + (b"\n#" if self == target else b"")
    )
    forget()
    after = {name: code_hash.code_hash(path) for name, path in SCRIPTS.items()}
    monkeypatch.undo()
    forget()
    return {name for name in SCRIPTS if before[name] != after[name]}


@pytest.mark.parametrize(
    ("edited", "scripts"),
    [
        ("figures/nordic.py", {"nordic_denoise", "nordic_survival"}),
        ("figures/hmc.py", {"hmc_estimate"}),
        ("figures/singletrial.py", {"singletrial_fit"}),
        ("figures/multiecho.py", {"bold_write", "decay_fit"}),
        ("figures/compare.py", {"compare_task"}),
        ("files/datasets.py", {"inventory_datasets"}),
        ("plan/text.py", {"inventory_plan"}),
        ("jobs/grid.py", {"grid_T1w", "grid_boldref", "grid_template"}),
        (
            "singletrial/hrf.tsv",
            {"singletrial_fit", "compare_quality", "nordic_survival", "inventory_plan"},
        ),
        ("nordic/noise_map.py", {"nordic_denoise", "nordic_gfactor"}),
        ("nordic/__main__.py", set()),
        ("singletrial/__init__.py", set()),
    ],
)
def test_an_edit_reruns_the_jobs_of_its_stage_only(edited, scripts, monkeypatch):
    assert changed_by(edited, monkeypatch) == scripts


def test_a_script_depends_on_little_of_the_library():
    files = [file for path in SCRIPTS.values() for file in code_hash.modules_of(path)]
    used = sum(len(file.read_text().splitlines()) for file in files) / len(SCRIPTS)
    library = (WORKFLOW / "mebold").rglob("*.py")
    # 9 % on average; an import that ties stages together shows here first (18 % with one facade).
    assert used < 0.092 * sum(len(file.read_text().splitlines()) for file in library)


def test_packages_hold_a_docstring_and_nothing_else():
    packages = [path for path in (WORKFLOW / "mebold").rglob("*") if path.is_dir()]
    packages = [path for path in packages if any(path.glob("*.py"))]
    assert len(packages) > 20
    for package in [WORKFLOW / "mebold", *packages]:
        (only,) = ast.parse((package / "__init__.py").read_text()).body
        assert isinstance(only, ast.Expr)
        assert isinstance(only.value.value, str)


def test_imports_are_those_that_python_finds():
    def parsed(file):
        names = set()
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return {name for name in names if name.startswith("mebold.")}

    files = [*(WORKFLOW / "mebold").rglob("*.py"), *SCRIPTS.values()]
    assert len(files) > 300
    assert [file for file in files if set(code_hash._imports(file)) != parsed(file)] == []


def test_reading_the_rules_loads_no_library_of_the_science():
    """Each job of a cluster reads them, twice."""
    text = (WORKFLOW / "common.smk").read_text()
    imports = re.findall(r"^from mebold[\w.]* import (?:\([^)]*\)|[^(\n]+)", text, re.MULTILINE)
    heavy = "['scipy.interpolate', 'scipy.special', 'numba', 'matplotlib', 'nilearn', 'ants']"
    code = "\n".join([*imports, "import sys", f"print([m for m in {heavy} if m in sys.modules])"])
    said = subprocess.run([sys.executable, "-c", code], cwd=WORKFLOW, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert len(imports) > 10
    assert said.stdout.strip() == "[]"
