"""What the jobs of a call take, beside what their rules ask for.

    python benchmarks/resources.py JOBS.tsv OUT snakemake ... --config output_dir=OUT ...

Runs the command (its paths absolute) and follows the processes of each job, which says in
OUT/work/.jobs that it is at work: processor seconds, the largest resident set, and that without
pages of mapped files, which the kernel can take back. What the rules ask for is from a dry-run of
the same command, so OUT must be new.

    python benchmarks/resources.py --table JOBS.tsv [JOBS.tsv ...]

prints one row for each rule, as benchmarks/RESOURCES.md has them.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pandas as pd

_EVERY_S = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")
#: What is known of a job, in MB and s.
COLUMNS = ["rule", "of", "cpu_s", "wall_s", "resident_mb", "anonymous_mb", "mem_mb", "runtime_min"]


def children() -> dict[int, list[int]]:
    """Return the processes that each process has started."""
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def tree(process: int, started_by: dict[int, list[int]]) -> list[int]:
    """Return a process and all that it has started."""
    below = [one for child in started_by.get(process, []) for one in tree(child, started_by)]
    return [process, *below]


def used(process: int) -> tuple[float, float, float]:
    """Return processor seconds (with children that ended), resident and anonymous MB."""
    about = Path(f"/proc/{process}")
    fields = (about / "stat").read_text().rpartition(")")[2].split()
    status = (about / "status").read_text()
    sizes = [re.search(rf"{key}:\s+(\d+) kB", status) for key in ("VmRSS", "RssAnon")]
    resident, anonymous = (int(size[1]) * 1024 / 1e6 if size else 0.0 for size in sizes)
    return sum(map(int, fields[11:15])) / _TICKS, resident, anonymous


def follow(command: list[str], out: Path) -> pd.DataFrame:
    """Run a command and return a row of what each job took."""
    jobs: dict[str, dict] = {}
    call = subprocess.Popen(command)
    while call.poll() is None:
        started_by = children()
        for path in (out / "work/.jobs").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                claim = json.loads(path.read_text())
                now = [used(one) for one in tree(claim["Process"], started_by)]
                row = jobs.setdefault(path.name, {"job": claim["Job"], "since": time.monotonic()})
                sums = [sum(column) for column in zip(*now, strict=True)]
                row["cpu_s"] = max(row.get("cpu_s", 0), sums[0])
                row["resident_mb"] = max(row.get("resident_mb", 0), sums[1])
                row["anonymous_mb"] = max(row.get("anonymous_mb", 0), sums[2])
                row["wall_s"] = time.monotonic() - row["since"]
        time.sleep(_EVERY_S)
    print(f"the call ended with {call.returncode}", flush=True)
    frame = pd.DataFrame(jobs.values())
    names = frame["job"].str.extract(r"rule (?P<rule>\w+)(?: of (?P<of>.*))?$")
    return pd.concat([names, frame.drop(columns=["job", "since"])], axis=1)


def asked(command: list[str]) -> pd.DataFrame:
    """Return what the rules ask for, by a dry-run: the largest of each."""
    said = subprocess.run([*command, "-n"], capture_output=True, text=True, check=True)
    text = said.stdout + said.stderr
    rows = []
    for block in re.split(r"\n(?=(?:local)?rule )", text):
        if found := re.match(r"(?:local)?rule (\w+):", block):
            row = {"rule": found[1]}
            for key in ("mem_mb", "runtime"):
                if value := re.search(rf"\b{key}=(\d+)", block):
                    row[key] = int(value[1])
            rows.append(row)
    frame = pd.DataFrame(rows, columns=["rule", "mem_mb", "runtime"])
    return frame.groupby("rule", as_index=False).max().rename(columns={"runtime": "runtime_min"})


def table(jobs: pd.DataFrame) -> str:
    """Write a row for each rule, the dearest first."""
    rules = jobs.groupby("rule").agg(
        jobs=("of", "size"),
        cpu_s=("cpu_s", "sum"),
        one_cpu_s=("cpu_s", "median"),
        wall_s=("wall_s", "max"),
        resident_mb=("resident_mb", "max"),
        anonymous_mb=("anonymous_mb", "max"),
        mem_mb=("mem_mb", "max"),
        runtime_min=("runtime_min", "max"),
    )
    rules = rules.sort_values("cpu_s", ascending=False)
    head = "| rule | jobs | CPU s | of one | wall s | resident | anonymous | asked | of it |"
    lines = [head, "| --- |" + " ---: |" * 8]
    for rule, row in rules.iterrows():
        share = f"{100 * row.resident_mb / row.mem_mb:.0f} %" if row.mem_mb > 0 else ""
        lines.append(
            f"| `{rule}` | {row.jobs:.0f} | {row.cpu_s:,.0f} | {row.one_cpu_s:,.0f} "
            f"| {row.wall_s:,.0f} | {row.resident_mb:,.0f} | {row.anonymous_mb:,.0f} "
            f"| {row.mem_mb:,.0f} | {share} |"
        )
    return "\n".join([*lines, f"\nAll jobs: {jobs['cpu_s'].sum():,.0f} CPU s"])


def main() -> None:
    """Follow a call, or print the table of one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--table", nargs="+", type=Path, metavar="JOBS")
    parser.add_argument("jobs", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.table:
        print(table(pd.concat([pd.read_csv(path, sep="\t") for path in given.table])))
        return
    wanted = asked(given.command)
    found = follow(given.command, given.out).merge(wanted, on="rule", how="left")
    found[COLUMNS].to_csv(given.jobs, sep="\t", index=False, float_format="%.1f")
    print(table(found))


if __name__ == "__main__":
    main()
