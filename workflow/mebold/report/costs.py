"""Times and memory of the jobs, from the benchmarks that Snakemake kept."""

from collections.abc import Iterable
from dataclasses import dataclass

from mebold.report.folder import Folder, number, split


@dataclass
class Cost:
    """What the jobs of a rule cost.

    Attributes
    ----------
    rule : str
    jobs : int
    wall_s, cpu_s : float
        Sums over the jobs.
    peak_mb : float
        Largest resident memory of a job.
    """

    rule: str
    jobs: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0


def of(folder: Folder, subject: str = "") -> list[Cost]:
    """Return the costs per rule, the dearest first.

    Parameters
    ----------
    folder : Folder
    subject : str
        With the ``sub-`` prefix; empty takes all.
    """
    root = folder.root / "work" / "benchmarks"
    found: dict[str, Cost] = {}
    for path in sorted(root.rglob("*.tsv")) if root.is_dir() else ():
        owner, _ = split(path.name.replace(".tsv", "_"))
        if subject and not f"{owner}_".startswith(f"{subject}_"):
            continue
        rule = path.relative_to(root).parts[0]
        for row in folder.read_tsv(path.relative_to(folder.root).as_posix()):
            cost = found.setdefault(rule, Cost(rule))
            cost.jobs += 1
            cost.wall_s += number(row.get("s")) or 0.0
            cost.cpu_s += number(row.get("cpu_time")) or 0.0
            cost.peak_mb = max(cost.peak_mb, number(row.get("max_rss")) or 0.0)
    return sorted(found.values(), key=lambda cost: -cost.cpu_s)


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of some costs."""
    whole = Cost("all")
    for cost in costs:
        whole.jobs += cost.jobs
        whole.wall_s += cost.wall_s
        whole.cpu_s += cost.cpu_s
        whole.peak_mb = max(whole.peak_mb, cost.peak_mb)
    return whole
