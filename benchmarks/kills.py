"""Kill the workflow with -9 again and again, and hold what comes out against undisturbed runs.

    PYTHONPATH=workflow:tests python benchmarks/kills.py FOLDER --calm   (an undisturbed run: twice)
    PYTHONPATH=workflow:tests python benchmarks/kills.py FOLDER          (the campaign)

The phantom `tiny` runs through every rule that it can. Each call is killed, with its whole process
group, at a random moment of a job of a rule that has not been hit yet; the next one is the same
call, from the same folder or from another. It ends when all rules were hit, or had no job left.
"""

import argparse
import itertools
import random
import shutil
import time
from pathlib import Path

import killed_calls
import outputs_alike

from mebold.phantom import dataset
from mebold.phantom.spec import make_spec

CONFIG = """\
variants: [standardSingle, nordicOptcom, nordicIca]
write_bold: [standardSingle, nordicIca]
write_echoes: true
output: {repetition_time_s: 1.0, maps_space: MNI152NLin2009aSym}
template: {registration_mm: 4}
compare: {n_bootstrap: 100}
ica: {order: 8, report: false}
noise_ceiling: {permutations: 20}
visual_roi: {threshold: 40}
sdc: dynamic
"""


def prepare(folder: Path) -> None:
    """Write the raw data and the configuration, once."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    if not (folder / "raw").exists():
        dataset.write_dataset(folder / "raw", make_spec("tiny", sessions=("01",)))


def arguments(folder: Path, out: Path) -> list[str]:
    """Return the arguments of every call, the same from every folder."""
    given = ["--configfile", str(folder / "config.yaml"), "--cores", "2", "--config"]
    return [*given, f"bids_dir={folder / 'raw'}", f"output_dir={out}"]


def campaign(folder: Path, seed: int, at_least: int) -> None:
    """Kill until every rule was hit, then let it end and compare."""
    draw, hit, kills = random.Random(seed), set(), 0
    base = folder / f"kills-{seed}"
    shutil.rmtree(base, ignore_errors=True)
    out = base / "out"
    before = {path: path.stat() for path in (folder / "raw").rglob("*")}
    began = time.monotonic()
    for number in itertools.count():
        where = base / draw.choice(["here", "there"])
        call = killed_calls.start(where, *arguments(folder, out))
        struck = killed_calls.kill_in_a_new_rule(call, out, hit, draw)
        if call.returncode >= 0:
            break
        kills += 1
        hit |= struck
        told = f"{kills} ({time.monotonic() - began:.0f} s) in {where.name}"
        print(f"{told}: {', '.join(sorted(struck)) or 'between jobs'}", flush=True)
        if number > 200:
            raise SystemExit("no end")
    if call.returncode:
        raise SystemExit(f"the call after {kills} kills ended with {call.returncode}: {where}")
    assert kills >= at_least, kills
    after = {path: path.stat() for path in (folder / "raw").rglob("*")}
    assert {p: (s.st_mtime_ns, s.st_size) for p, s in before.items()} == {
        p: (s.st_mtime_ns, s.st_size) for p, s in after.items()
    }
    print(f"{kills} kills, {len(hit)} rules hit: {', '.join(sorted(hit))}")
    left = [name for name in outputs_alike.listed(out) if ".partial-" in name]
    print(f"left over: {left or 'nothing'}")


def main() -> None:
    """Run what the command line asks for, then compare all runs in the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-least", type=int, default=20)
    given = parser.parse_args()
    folder = given.folder.resolve()
    prepare(folder)
    if given.calm:
        base = next(
            folder / f"calm-{n}" for n in itertools.count() if not (folder / f"calm-{n}").exists()
        )
        call = killed_calls.start(base / "here", *arguments(folder, base / "out"))
        if call.wait():
            raise SystemExit(f"the call ended with {call.returncode}: {base}/here/log.txt")
    else:
        campaign(folder, given.seed, given.at_least)
    first, *others = sorted(path.parent for path in folder.glob("*-*/out"))
    for other in others:
        found = outputs_alike.differences(first / "out", other / "out")
        count = len(outputs_alike.listed(other / "out"))
        print(
            f"{first.name}, {other.name}: {len(found)} of {count} files differ", *found, sep="\n  "
        )


if __name__ == "__main__":
    main()
