"""The tutorial: written by its script, with commands, keys and pictures that exist."""

import re
import shlex

import pytest
import yaml
from snakemake.cli import get_argument_parser
from snakemake_runner import REPOSITORY

from mebold.jobs import configuration

DOCS = REPOSITORY / "docs"
TEXT = (DOCS / "tutorial.md").read_text()
WORDS = (DOCS / "tutorial.md.j2").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
DOCKERFILE = (REPOSITORY / "envs/Dockerfile").read_text()
SCHEMA = configuration.load_schema(REPOSITORY / "workflow/schemas/config.schema.yaml")
PAGES = (TEXT, (DOCS / "cluster.md").read_text())
COMMANDS = [
    line
    for page in PAGES
    for block in re.findall(r"```sh\n(.*?)```", page, re.S)
    for line in block.splitlines()
    if not line.startswith(("git clone", "printf"))
]


def keys(settings: dict, known: dict) -> list[str]:
    """Return the keys of some settings that a schema does not know."""
    unknown = []
    for key, value in settings.items():
        if key not in known:
            unknown.append(key)
        elif isinstance(value, dict) and "properties" in known[key]:
            unknown += [f"{key}.{one}" for one in keys(value, known[key]["properties"])]
    return unknown


def test_it_is_what_its_script_writes_from_the_template():
    """Words come from the template; what stands between them only from its functions."""
    at = 0
    for piece in re.split(r"\{\{.*?\}\}|\{%.*?%\}\n?", WORDS, flags=re.S):
        found = TEXT.find(piece, at)
        assert found >= 0, (
            f"`make tutorial` has to write the tutorial again: {piece.strip()[:60]!r}"
        )
        at = found + len(piece)
    calls = [line for line in WORDS.splitlines() if line.startswith("```") and line != "```sh"]
    assert set(calls) <= {"```"}, "what programs say comes from them: use ran() or console()"


def test_there_are_commands():
    assert len(COMMANDS) >= 8
    assert {"make demo", "make env"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_exists_with_its_options(command):
    program, *arguments = shlex.split(command)
    if arguments[:2] == ["build", "-f"]:
        assert program == "docker"
        assert (REPOSITORY / arguments[2]).exists()
        return
    if arguments[:1] == ["run"]:
        # What stands after the name of the image goes to its entry point.
        assert program == "docker"
        assert 'ENTRYPOINT ["snakemake"' in DOCKERFILE
        program, arguments = ".venv/bin/snakemake", arguments[arguments.index("mebold") + 1 :]
    if program == "make":
        words = [word for word in arguments if not word.startswith("-")]
        names = [word.partition("=")[0] for word in words if "=" in word]
        targets = [word for word in words if "=" not in word]
        assert targets
        assert all(re.search(rf"^{target}:", MAKEFILE, re.M) for target in targets)
        assert all(re.search(rf"^{name} \?= ", MAKEFILE, re.M) for name in names)
    else:
        assert program == ".venv/bin/snakemake"
        options = get_argument_parser().parse_args(arguments)
        assert not options.targets
        asked = dict(pair.split("=", 1) for pair in options.config or [])
        assert keys(asked, SCHEMA["properties"]) == []
        for profile in options.profile or []:
            assert (REPOSITORY / profile / "profile.yaml").exists()


def test_keys_of_the_configuration_exist():
    named = re.findall(r"`(\w+: [^`]+)`", TEXT)
    assert len(named) >= 5
    for text in named:
        settings = yaml.safe_load(text.replace("...", "x"))
        assert keys(settings, SCHEMA["properties"]) == [], text
    for dotted in re.findall(r"`((?:nordic|design|coreg|compare|glm)\.\w+)`", TEXT):
        section, key = dotted.split(".")
        assert key in SCHEMA["properties"][section]["properties"], dotted


def test_links_and_pictures_are_there_and_none_is_left_over():
    links = re.findall(r"\]\(([^)#]+)", TEXT)
    missing = [link for link in links if not (DOCS / link).exists()]
    assert missing == []
    shown = {link.removeprefix("images/") for link in links if link.startswith("images/")}
    assert shown == {path.name for path in (DOCS / "images").iterdir()}
    assert sum(path.stat().st_size for path in (DOCS / "images").iterdir()) < 2e6
    assert "(docs/tutorial.md)" in (REPOSITORY / "README.md").read_text()


def test_it_names_no_place_of_the_machine_that_wrote_it():
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|usr)\b", TEXT)
