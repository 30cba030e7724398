"""Scripts run inside Snakemake only, so no import tells what they misspell: look at their text."""

import ast
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


def defined(module: Path) -> set[str]:
    """Return the names at the top of a module."""
    names = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return names


@pytest.mark.parametrize(
    "script", sorted((WORKFLOW / "scripts").glob("*.py")), ids=lambda p: p.stem
)
def test_a_script_names_what_the_library_has(script):
    tree, modules = ast.parse(script.read_text()), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("mebold"):
            place = WORKFLOW.joinpath(*node.module.split("."))
            for alias in node.names:
                module = (place / alias.name).with_suffix(".py")
                if module.is_file():
                    modules[alias.asname or alias.name] = defined(module)
                else:
                    assert alias.name in defined(place.with_suffix(".py"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = modules.get(node.value.id)
            assert known is None or node.attr in known, f"{node.value.id}.{node.attr}"
