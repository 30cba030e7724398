"""Contrasts of a localizer from job to job: estimates of runs, maps over runs and over halves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mebold.files import series
from mebold.rois.condition_glm import Estimate, combined

#: Columns of the table of contrasts, for its sidecar.
MEANINGS = {
    "contrast": "Name, as in `contrast-<name>` of the maps",
    "meaning": "Conditions: the mean of those before > less the mean of those after it",
    "runs": "Runs that the maps rest on",
    "dof": "Degrees of freedom of all of them",
    "highest_z": "Highest value of the z map",
    "left_out": "Runs without one of the conditions",
}
_UNITS = {"effect": "percent", "z": "1"}
_WHAT = {
    "effect": "Percent of the mean signal at the plateau of a long block, the mean over runs; 0 "
    "where a run has no data.",
    "z": "z of the effect by fixed effects over runs; 0 where a run has no data.",
}


@dataclass(frozen=True)
class Fits:
    """Estimates of some runs.

    Attributes
    ----------
    estimates : dict of str to dict
        Contrast to run to `Estimate`, in the order of the runs.
    """

    estimates: dict[str, dict[str, Estimate]] = field(default_factory=dict)

    def packed(self) -> dict[str, np.ndarray]:
        """Return all as arrays by name."""
        found = {}
        for name, runs in self.estimates.items():
            found[f"runs.{name}"] = np.array(list(runs), dtype=str)
            for run, one in runs.items():
                found[f"effect.{name}.{run}"] = one.effect
                found[f"variance.{name}.{run}"] = one.variance
                found[f"dof.{name}.{run}"] = np.array(one.dof)
        return found

    @staticmethod
    def unpacked(held: Iterable[Mapping[str, np.ndarray]]) -> "Fits":
        """Return what `packed` made of one fit or more, runs in their order."""
        estimates: dict[str, dict[str, Estimate]] = {}
        for one in held:
            for key in one:
                if not key.startswith("runs."):
                    continue
                name = key.removeprefix("runs.")
                for run in map(str, one[key]):
                    parts = [one[f"{kind}.{name}.{run}"] for kind in ("effect", "variance", "dof")]
                    estimates.setdefault(name, {})[run] = Estimate(*parts[:2], float(parts[2]))
        return Fits(estimates)

    def over_runs(self, *, halves: bool = False) -> dict[str, np.ndarray]:
        """Combine the runs of each contrast.

        Parameters
        ----------
        halves : bool
            Every other run by itself, too: ``z.<contrast>.1`` and ``.2``, where there are two.

        Returns
        -------
        dict of str to array
            ``effect.<contrast>``, ``z.<contrast>`` (V,), NaN where a run has no data; and
            ``dof.<contrast>``.
        """
        found = {}
        for name, runs in self.estimates.items():
            own = list(runs.values())
            if not own:
                continue
            parts = {"": own}
            if halves and len(own) > 1:
                parts |= {".1": own[::2], ".2": own[1::2]}
            for part, chosen in parts.items():
                effect, z, dof = combined(chosen)
                found |= {f"effect.{name}{part}": effect, f"z.{name}{part}": z}
                found[f"dof.{name}{part}"] = np.array(dof)
        return found


def write(
    maps: Mapping[str, np.ndarray],
    mask: np.ndarray,
    affine: np.ndarray,
    *,
    prefix: str,
    about: Callable[..., dict],
) -> None:
    """Write effect and z map of each contrast.

    Parameters
    ----------
    maps : mapping
        From `Fits.over_runs`.
    mask, affine
        Voxels of the maps in C order, and voxel to world, mm.
    prefix : str
        Path up to the space.
    about : callable
        Takes keys, returns the sidecar of one file.
    """
    for key, values in maps.items():
        kind, name, *half = key.split(".")
        if kind in _UNITS and not half:
            said = about(Units=_UNITS[kind], Description=_WHAT[kind], Contrast=name)
            path = f"{prefix}_contrast-{name}_stat-{kind}_statmap.nii.gz"
            series.save_map(path, values, mask, affine, metadata=said)


def table(
    meanings: Mapping[str, str],
    fits: Fits,
    maps: Mapping[str, np.ndarray],
    left_out: Mapping[str, Mapping[str, Sequence[str]]],
) -> pd.DataFrame:
    """Return a row per contrast.

    Parameters
    ----------
    meanings : mapping of str to str
        Contrast to its conditions.
    fits : Fits
    maps : mapping
        From `Fits.over_runs`.
    left_out : mapping
        Contrast to run to the conditions that it does not have.
    """
    rows = []
    for name, meaning in meanings.items():
        runs = fits.estimates.get(name, {})
        z = maps.get(f"z.{name}", np.array([np.nan]))
        lacking = [f"{run} (no {', '.join(w)})" for run, w in left_out.get(name, {}).items()]
        highest = float(np.nanmax(z)) if np.isfinite(z).any() else np.nan
        dof = float(maps.get(f"dof.{name}", np.nan))
        rows.append((name, meaning, len(runs), dof, highest, "; ".join(lacking) or "n/a"))
    return pd.DataFrame(rows, columns=list(MEANINGS))
