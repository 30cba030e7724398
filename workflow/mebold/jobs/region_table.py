"""The table of a subject's regions: maps, intervals of their medians, predictivity."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from mebold.files import bids, images, tables
from mebold.files.model import open_models
from mebold.jobs import coverage
from mebold.jobs.region_masks import Region
from mebold.noiseceiling import ceilings, maps, regions
from mebold.rois.table import roi_table, share_above
from mebold.variants import variant_of

#: Voxels of a region that its interval is found from: the spread over images of a median over so
#: many voxels is that of the median over all.
MOST_VOXELS = 2000
_SESSION, _CEILINGS = "Noiseceiling", "Noiseceiling"
_PREDICTIVITY = "predictivity"
#: Regions that hold most of the brain: they hide the others in a figure.
_LARGE = ("brain", "greyMatter")


class Rows:
    """Some rows of a dataset of a model file, read as they are asked for."""

    def __init__(self, dataset: h5py.Dataset, positions: np.ndarray) -> None:
        self._dataset, self._positions = dataset, positions
        self.shape = (positions.size, dataset.shape[1])

    def __getitem__(self, block: slice) -> np.ndarray:
        """Return consecutive rows."""
        return self._dataset[self._positions[block]]


class Summary:
    """Rows of the table, map after map.

    Parameters
    ----------
    found : mapping of str to Region
    mask : (x, y, z) bool array
        Voxels of the maps.
    settings : mapping
        Section `rois` of the configuration.
    seed : int
        Of the resamples.
    """

    def __init__(
        self, found: Mapping[str, Region], mask: np.ndarray, *, settings: Mapping, seed: int
    ) -> None:
        self._regions, self._mask, self._settings, self._seed = found, mask, settings, seed
        self._members = {name: one.mask[mask] for name, one in found.items()}
        self._rows: list[pd.DataFrame] = []

    def drawn(self) -> dict[str, Region]:
        """Return the regions without those of the whole brain, where there are others."""
        small = {n: r for n, r in self._regions.items() if n not in _LARGE and r.mask.any()}
        return small or dict(self._regions)

    def add(self, path: str, *, output: str) -> None:
        """Add a map of a session or over sessions."""
        entities = bids.parse(Path(path).name)
        label = entities["description"]
        values = coverage.read_known(path, self._mask)
        percent = label.startswith(_CEILINGS)
        beside = Path(str(path).replace("_statmap.nii.gz", "FDR_mask.nii.gz"))
        above = {label: images.load_mask(beside)[0][self._mask]} if percent else {}
        table = roi_table(
            {label: values}, self._members,
            categories={name: one.category for name, one in self._regions.items()},
            variant=variant_of(Path(path).relative_to(output).parts[0]),
            unit="percent" if percent else "1",
            n_voxels={name: int(one.mask.sum()) for name, one in self._regions.items()},
            thresholds=self._settings["thresholds"] if percent else (),
            significant=above,
        )  # fmt: skip
        table.insert(0, "session", entities.get("session", "all"))
        self._rows.append(table)

    def add_intervals(
        self, models: Mapping[str, str], *, output: str, zscores: Mapping, groups: Mapping
    ) -> None:
        """Add intervals to the medians of noise ceilings, by resampling the images.

        Parameters
        ----------
        models : mapping
            Model file of a session's fit to its table of trials.
        output : str
            Output folder.
        zscores : mapping
            ``session`` and ``subject``: within what betas are standardised.
        groups : mapping
            `noise_ceiling.groups`.
        """
        fits: dict[str, dict[str, tuple[str, str]]] = {}
        for path, trials in models.items():
            variant = variant_of(Path(path).relative_to(output).parts[0])
            session = bids.parse(Path(path).name).get("session", "all")
            fits.setdefault(variant, {})[session] = (path, trials)
        over = maps.subject_selections(groups)
        of_session = {"Noiseceiling": maps.session_selections()["all"]}
        of_subject = {f"Noiseceiling{name}": chosen for name, chosen in over.items()}
        for table in self._rows:
            session, variant, label = table.loc[0, ["session", "variant", "map"]]
            single = label in of_session
            selection = (of_session if single else of_subject).get(label)
            found = fits.get(variant, {})
            # A dataset without session level has maps of its one session and over it alike.
            used = [found[session]] if single and session in found else list(found.values())
            if selection is None or not used:
                continue
            zscore = zscores["session" if single else "subject"]
            self._interval(table, used, selection, None if zscore == "none" else zscore)

    def _interval(self, table: pd.DataFrame, fits: list, selection: object, zscore: object) -> None:
        with open_models(path for path, _ in fits) as models:
            usable = np.all([np.isfinite(model["r2"][:]) for model in models], axis=0)
            chosen = [
                regions.chosen_voxels(member, most=MOST_VOXELS, seed=self._seed, usable=usable)
                for member in self._members.values()
            ]
            voxels = np.unique(np.concatenate(chosen))
            trials = [tables.read_tsv(path) for _, path in fits]
            drawn = regions.resampled(
                [Rows(model["betas"], voxels) for model in models],
                [one["label"].tolist() for one in trials],
                [ceilings.runs_of(one).tolist() for one in trials],
                selection=selection, zscore=zscore,
                n_resamples=self._settings["n_bootstrap"], seed=self._seed,
            )  # fmt: skip
        # Of each region its own part, not those of others that happen to lie in it.
        parts = {}
        for name, own in zip(self._members, chosen, strict=True):
            parts[name] = np.zeros(usable.size, bool)
            parts[name][own] = True
        medians = dict(zip(table["roi"], table["median"], strict=True))
        spread = regions.spreads(drawn, voxels, parts, medians)
        table["ci_low"] = [spread[name].low for name in table["roi"]]
        table["ci_high"] = [spread[name].high for name in table["roi"]]

    def add_predictivity(self, metrics: pd.DataFrame) -> None:
        """Add the predictivity of a comparison to the rows of its region."""
        rows = metrics[metrics["metric"] == _PREDICTIVITY]
        known = {(str(r["session"]), r["variant"]): r["value"] for r in rows.to_dict("records")}
        for table in self._rows:
            session, variant, label = table.loc[0, ["session", "variant", "map"]]
            value = known.get((str(session), variant))
            if value is None and session == "all":
                value = known.get(("nan", variant))
            if label == _SESSION and value is not None:
                table.loc[table["roi"] == "visual", _PREDICTIVITY] = value

    def table(self, *, subject: str) -> pd.DataFrame:
        """Return all rows."""
        columns = [share_above(limit) for limit in self._settings["thresholds"]]
        head = ["roi", "category", "map", "variant", "n_voxels", "n_data", "median", "mean", "p90"]
        head += ["ci_low", "ci_high", "share_significant", *columns, _PREDICTIVITY, "unit"]
        whole = pd.concat(self._rows, ignore_index=True) if self._rows else pd.DataFrame()
        whole = whole.reindex(columns=["session", *head])
        whole.insert(0, "subject", subject)
        return whole


def shown(table: pd.DataFrame, *, variant: str, regions: list[str]) -> pd.DataFrame:
    """Return the rows of a figure: the primary variant over all sessions, a row per region."""
    rows = table[table["variant"] == variant]
    over = rows[rows["map"] == "NoiseceilingAllrep"]
    rows = over if len(over) else rows[rows["map"] == _SESSION]
    first = rows.drop_duplicates("roi").set_index("roi")
    return first.reindex([name for name in regions if name in first.index]).reset_index()


def meanings(settings: Mapping) -> dict:
    """Return what the columns of the table are, for its sidecar."""
    drawn = settings["n_bootstrap"]
    return {
        "category": "Folder of the masks; `data` marks regions that were chosen by the noise "
        "ceiling itself: their size counts, not their height",
        "n_voxels": "Voxels of the region on the output grid",
        "n_data": "Those of them with a value in the map, of which all other columns are",
        "p90": "90th percentile",
        "ci_low": f"Lower end of the 95 % interval of the median: {drawn} resamples of the images "
        f"(weights of mean 1), from {MOST_VOXELS} voxels of a region at most",
        "ci_high": "Upper end of that interval",
        "share_significant": "Share of voxels above chance (false discovery rate)",
        **{
            share_above(limit): f"Share of voxels above {limit:g} percent"
            for limit in settings["thresholds"]
        },
        _PREDICTIVITY: "Held-out predictivity in the region of the comparison, repeats averaged",
    }
