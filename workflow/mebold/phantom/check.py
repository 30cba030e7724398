"""Compare what the workflow recovered from a phantom with what the phantom was made of.

``python -m mebold.phantom.check DERIVATIVES TRUTH`` prints one line per quantity, and ends with
status 1 when one lies outside its tolerance.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mebold import variants
from mebold.errors import MeboldError
from mebold.files import tables, transforms
from mebold.files.images import load, load_mask
from mebold.geometry import affines, interpolation, phase_encoding
from mebold.noiseceiling import ceilings
from mebold.phantom import check_images, check_tissue
from mebold.phantom.recovered import Recovered

#: Every how many-th volume is followed through the whole chain.
_EVERY = 5


def check(output: str | Path, truth: str | Path) -> list[Recovered]:
    """Compare derivatives with the truth of the phantom.

    Parameters
    ----------
    output : path-like
        Output folder of the workflow.
    truth : path-like
        Truth folder that `mebold.phantom` wrote beside the raw data.

    Returns
    -------
    list of Recovered
    """
    output, truth = Path(output), Path(truth)
    parts = (check_tissue.tissue, check_images.images, geometry, _t2star, _responses, _comparison)
    return [row for part in parts for row in part(output, truth)]


def geometry(output: Path, truth: Path) -> list[Recovered]:
    """Check motion, field and alignments of every run against their truth."""
    spec = json.loads((truth / "spec.json").read_text())
    found = [_of_run(*run) for run in _runs(output, truth)]
    # A series whose contrast is not that of its SBRef may lie off as a whole.
    if not spec.get("saturation", False):
        for one in found:
            one["motion"], one["worst"] = one.pop("whole_motion"), one.pop("whole_worst")
            del one["offset"]
    # Limits of the demo, 3.4 mm. Larger voxels are fewer and show less detail.
    times = max(1.0, (spec["epi_voxel_mm"] / 3.4) ** 3)
    chain = 0.3 if spec.get("saturation", False) else 0.25
    return [
        Recovered(name, max(one[key] for one in found), unit, limit)
        for key, name, unit, limit in (
            ("motion", "head motion, median error over brain and volumes", "mm", 0.05 * times),
            ("worst", "head motion, largest error", "mm", 0.2 * times),
            ("offset", "head motion, what all volumes of a run have in common", "mm", 0.15),
            ("aligned", "BOLD to T1w alignment, median error", "mm", 0.25 * times),
            ("chain", "BOLD to T1w with motion and distortion, median error", "mm", chain * times),
            ("chain_95", "the same, 95th percentile over the brain", "mm", 1.0 * times),
            ("field", "B0 field in the brain, rms error", "Hz", 2.0),
            ("slope", "B0 field, slope on the truth less 1", "", 0.05 * min(times, 2.0)),
        )
        if key in found[0]
    ]


def _of_run(stem: str, folder: Path, known: dict) -> dict[str, float]:
    """Return the errors of one run: mm, Hz; the volumes before the steady state do not count."""
    brain = known["brain"] > 0.5
    points = affines.grid_points(brain.shape, known["affine"], brain)
    motion = transforms.load_xfm(
        folder / "func" / f"{stem}_from-orig_to-boldref_mode-image_desc-hmc_xfm.txt"
    )
    pairs = list(zip(motion, known["motion"], strict=True))[
        int(known.get("n_non_steady_volumes", 0)) :
    ]
    moved = np.stack([affines.apply(a, points) - affines.apply(b, points) for a, b in pairs])
    common = moved.mean(axis=0)
    whole, apart = (np.linalg.norm(d, axis=2) for d in (moved, moved - common))
    field = load(folder / "fmap" / f"{stem}_desc-boldref_fieldmap.nii.gz")[0]
    hertz = field[brain]
    to_boldref = known["t1w_to_boldref"]
    in_t1w = affines.apply(np.linalg.inv(to_boldref), points)
    found = transforms.load_xfm(
        folder / "func" / f"{stem}_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt"
    )
    places = _places(known, in_t1w, to_boldref, known["motion"], known["field_hz"])
    places += known["field_offset_hz"][::_EVERY, None, None] * _mm_per_hz(known)
    chain = np.linalg.norm(places - _places(known, in_t1w, found, motion, field), axis=2)
    true = known["field_hz"][brain]
    return {
        "motion": np.median(apart),
        "worst": apart.max(),
        "whole_motion": np.median(whole),
        "whole_worst": whole.max(),
        "offset": np.median(np.linalg.norm(common, axis=1)),
        "aligned": np.median(affines.displacements(found, to_boldref, in_t1w)),
        "chain": np.median(chain),
        "chain_95": np.percentile(chain, 95),
        "field": np.sqrt(np.mean((hertz - true) ** 2)),
        "slope": abs(np.polyfit(true, hertz, 1)[0] - 1.0),
    }


def _mm_per_hz(known: dict) -> np.ndarray:
    """Return the displacement (3,) in world mm that 1 Hz of field causes."""
    epi = {"direction": str(known["phase_encoding"]), "readout_s": float(known["readout_s"])}
    return phase_encoding.mm_per_hz(known["affine"], **epi)


def _places(known: dict, points, to_boldref, motion, field_hz) -> np.ndarray:
    """Return where points of the T1w frame were acquired, (volumes, points, 3) in world mm."""
    shift = {"matrix": to_boldref, "order": 1}
    hertz = interpolation.resample_volume(field_hz, known["affine"], points, **shift)
    moved = [affines.apply(matrix @ to_boldref, points) for matrix in motion[::_EVERY]]
    return np.stack(moved) + hertz[:, None] * _mm_per_hz(known)


def _runs(output: Path, truth: Path) -> Iterator[tuple[str, Path, dict]]:
    """Give stem, session folder and truth of every run that the workflow processed."""
    for path in sorted(truth.glob("sub-*/ses-*/run-*.npz")):
        folder = output / "preproc" / path.parents[1].name / path.parent.name
        stem = f"{path.parents[1].name}_{path.parent.name}_task-images_{path.stem}"
        if (folder / "func" / f"{stem}_desc-hmc_boldref.nii.gz").exists():
            with np.load(path) as known:
                yield stem, folder, dict(known)


def _t2star(output: Path, truth: Path) -> list[Recovered]:
    errors = []
    for path in sorted(output.glob("preproc/sub-*/ses-*/func/*_space-T1w_T2starmap.nii.gz")):
        found, affine = load(path)
        head = truth / path.parents[2].name
        points = affines.grid_points(found.shape, affine)

        def on_grid(name: str, head=head, points=points) -> np.ndarray:
            return interpolation.resample_volume(*load(head / f"{name}.nii.gz"), points, order=1)

        tissue = (on_grid("GM") + on_grid("WM") > 0.9) & (found.ravel() > 0)
        known = on_grid("T2star")[tissue]
        errors.append(np.median(np.abs(found.ravel()[tissue] / known - 1)) * 100)
    return [Recovered("T2* in grey and white matter, median error", max(errors), "%", 10.0)]


def _responses(output: Path, truth: Path) -> list[Recovered]:
    correlations, silent, gains = [], [], []
    for path in sorted(output.glob("glmsingle-tedana/sub-*/ses-*/func/*Betas_statmap.nii.gz")):
        stem = path.name.partition("_space-")[0]
        head = truth / path.parents[2].name
        trials = tables.read_tsv(path.parent / f"{stem}_desc-SingletrialBetas_trials.tsv")
        betas, affine = load(path)
        correlations.append(_beta_correlation(betas, affine, trials["label"], head))
        name = f"{stem}_space-T1w_desc-Noiseceiling_statmap.nii.gz"
        baseline = output / "glmsingle-standardSingle" / path.parent.relative_to(path.parents[3])
        if (baseline / name).exists():
            region, rest = _response_regions(betas.shape[:3], affine, head)
            primary = load(path.parent / name)[0].ravel()
            plain = load(baseline / name)[0].ravel()
            gains.append(np.median(primary[region]) - np.median(plain[region]))
            # Without NORDIC the noise of voxels is independent, so the median shows the bias.
            silent.append(np.median(plain[rest & (betas.std(axis=3).ravel() > 0)]))
    rows = [("mean betas and true responses, median correlation", correlations, "", 0.6)]
    if gains:
        rows += [("noise ceiling, NORDIC with optcom above the baseline", gains, "points", 1.0)]
    found = [Recovered(n, min(v), unit, limit, at_least=True) for n, v, unit, limit in rows]
    if silent:
        name = "noise ceiling of the baseline without response, median"
        # Fluctuations that all voxels share leave a chance value of a few percent in one session.
        found.append(Recovered(name, max(silent), "%", 5.0))
    return found


def _response_regions(shape, affine, head: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels that respond, and brain voxels, on the grid of the betas (flat)."""
    points = affines.grid_points(shape, affine)
    roi = interpolation.resample_volume(*load(head / "roi.nii.gz"), points, order=1)
    brain = interpolation.resample_volume(*load(head / "brain.nii.gz"), points, order=1)
    # The margin of partial responders belongs to neither side.
    return roi > 0.9, (brain > 0.9) & ~((roi > 0.01) & (roi <= 0.9))


def _beta_correlation(betas, affine, labels, head: Path) -> float:
    """Median over the responding voxels of the correlation over images."""
    with np.load(head / "responses.npz") as known:
        truth = {key: known[key] for key in ("betas", "point", "image", "mean")}
    index = np.rint(affines.apply(np.linalg.inv(affine), truth["point"])).astype(int)
    inside = np.all((index >= 0) & (index < betas.shape[:3]), axis=1)
    inside &= truth["mean"] > np.median(truth["mean"])
    images = [image for image in truth["image"] if (labels == image).any()]
    columns = [list(truth["image"]).index(image) for image in images]
    found = betas[tuple(index[inside].T)]
    mean = np.stack([found[:, (labels == image).to_numpy()].mean(axis=1) for image in images], 1)
    known = truth["betas"][inside][:, columns]
    mean, known = (x - x.mean(axis=1, keepdims=True) for x in (mean, known))
    scale = np.sqrt((mean**2).sum(axis=1) * (known**2).sum(axis=1))
    keep = scale > 0
    return float(np.median((mean * known).sum(axis=1)[keep] / scale[keep]))


def _comparison(output: Path, truth: Path) -> list[Recovered]:
    """Check the order of the variants, and their intervals against the true responses."""
    gains: dict[str, list[float]] = {}
    distances = []  # one row per session, one column per variant
    for path in sorted(output.glob("comparison/sub-*/ses-*/func/*_desc-variants_metrics.tsv")):
        table = tables.read_tsv(path)
        table = table[table["metric"] == "noise_ceiling_median"].set_index("variant")
        for better, worse in (
            ("nordicOptcom", "standardOptcom"),
            ("nordicSingle", "standardSingle"),
        ):
            if {better, worse} <= set(table.index):
                gain = table.loc[better, "value"] - table.loc[worse, "value"]
                gains.setdefault(f"{better} above {worse}", []).append(gain)
        distances.append([])
        for variant, row in table.iterrows():
            known = _true_median(output, truth, path, variant)
            side = row["ci_low"] if known < row["value"] else row["ci_high"]
            distances[-1].append((known - row["value"]) / (side - row["value"]))
    rows = [
        Recovered(f"median noise ceiling, {name}", np.mean(values), "points", 0.0, at_least=True)
        for name, values in gains.items()
    ]
    if distances:
        worst = np.median(np.max(distances, axis=1))
        rows.append(Recovered("median noise ceiling to truth, in half intervals", worst, "", 1.0))
        held = 100 * np.mean(np.array(distances) <= 1)
        # The variants of a subject err together, so 95 % cannot be asked of a few subjects.
        rows.append(Recovered("intervals that hold that truth", held, "%", 80.0, at_least=True))
    return rows


def _true_median(output: Path, truth: Path, metrics: Path, variant: str) -> float:
    """Median over the region of the noise ceilings that the true responses give a variant."""
    folder, group = metrics.parent, metrics.name.partition("_desc-")[0]
    roi, _ = load_mask(folder / f"{group}_space-T1w_label-visual_mask.nii.gz")
    fits = output / variants.datasets(variant)[1] / folder.relative_to(output / "comparison")
    name = f"{group}_space-T1w_stat-effect_desc-SingletrialBetas_statmap.nii.gz"
    trials = tables.read_tsv(fits / f"{group}_desc-SingletrialBetas_trials.tsv")
    with np.load(truth / folder.parents[1].name / "responses.npz") as known:
        responses, images = known["betas"], list(known["image"])
    columns = [images.index(label) for label in trials["label"]]
    # Voxels without signal have betas that are not finite, and a noise ceiling of 0.
    betas = np.nan_to_num(load(fits / name)[0][roi])
    runs = ceilings.runs_of(trials)
    return float(np.median(true_noise_ceiling(betas, responses[:, columns], trials["label"], runs)))


def true_noise_ceiling(
    betas: np.ndarray, responses: np.ndarray, labels: Sequence, runs_of_trials: Sequence
) -> np.ndarray:
    """Return the noise ceiling from the share of the betas' variance that true responses explain.

    Repeats are not compared with each other: what is no response to the image is noise. A response
    of another voxel is none: interpolation, and NORDIC far more so, mix neighbours, and the
    mixture repeats with the image.

    Parameters
    ----------
    betas : (V, N) array
        Single-trial betas.
    responses : (P, N) array
        True responses to the image of each trial, of all voxels that respond; they have few
        dimensions in common.
    labels, runs_of_trials : sequence, (N,)
        Image and run of each trial.

    Returns
    -------
    (V,) array
        Percent.
    """
    groups = list(map(str, runs_of_trials))
    z, x = (ceilings.zscore_betas(part, groups) for part in (betas, _axes(responses)))
    axes = np.linalg.qr(x.T)[0]
    squared = ((z @ axes) ** 2).sum(axis=1) / z.shape[1]
    # Unrelated series correlate by chance: r squared is the axes over the degrees of freedom.
    freedom = z.shape[1] - len(set(groups))
    signal = np.maximum(1 - (1 - squared) * freedom / (freedom - axes.shape[1]), 0)
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    inverse = np.mean(1 / counts[counts > 1])
    return 100 * signal / (signal + (1 - signal) * inverse)


def _axes(responses: np.ndarray) -> np.ndarray:
    """Return the (D, N) orthonormal axes of the responses' differences between trials."""
    change = responses - responses.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(change.T.astype(np.float64) @ change)
    # Eigenvalues are squares, and the responses are stored in single precision.
    return vectors[:, values > 1e-8 * values[-1]].T


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mebold.phantom.check", description=__doc__)
    parser.add_argument("derivatives", type=Path)
    parser.add_argument("truth", type=Path)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        rows = check(arguments.derivatives, arguments.truth)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write("Recovered from the phantom, against its truth:\n")
    sys.stdout.writelines(f"  {row}\n" for row in rows)
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
