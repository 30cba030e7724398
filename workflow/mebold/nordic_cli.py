"""Command line of the NORDIC step: ``python -m mebold.nordic MAGNITUDE [PHASE] -o OUTPUT``."""

import argparse
import dataclasses
import sys
import warnings
from pathlib import Path

import numpy as np

from mebold import nifti, nordic, provenance
from mebold.errors import ConfigError, GridMismatchError, MeboldError

_MAPS = {
    "gfactor": "gfactor",
    "components_removed": "componentsRemoved",
    "energy_removed": "energyRemoved",
    "residual_sd": "residualSD",
    "noise_sd": "noiseSD",
}
_SUFFIXES = (".nii.gz", ".nii")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mebold.nordic",
        description="Remove thermal noise from an fMRI series with NORDIC. Writes OUTPUT, maps of "
        "the noise and of what was removed beside it, and a JSON file with all parameters.",
        epilog=nordic.PATENT,
    )
    parser.add_argument("magnitude", help="magnitude series (NIfTI)")
    parser.add_argument("phase", nargs="?", help="phase series; without it only the magnitude")
    parser.add_argument("-o", "--output", required=True, help="denoised magnitude (.nii, .nii.gz)")
    parser.add_argument("--save-phase", action="store_true", help="write the denoised phase, too")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    noise = parser.add_argument_group("noise")
    noise.add_argument(
        "--noise-volumes",
        default="auto",
        metavar="N",
        help="noise volumes at the end; auto (default) finds them by their drop in intensity",
    )
    noise.add_argument(
        "--norf",
        nargs="+",
        metavar="FILE",
        help="separate noise scan: magnitude, and phase for complex data",
    )
    noise.add_argument(
        "--keep-noise-volumes", action="store_true", help="do not trim them from the output"
    )
    noise.add_argument("--gfactor", metavar="FILE", help="noise map to use, in signal units")
    _add_method(parser.add_argument_group("method"))
    return parser


def _add_method(group: argparse._ArgumentGroup) -> None:
    """Add the options that go to `nordic` unchanged."""
    group.add_argument("--method", choices=["nordic", "mppca"], default="nordic")
    group.add_argument("--factor-error", type=float, default=1.0, metavar="F")
    group.add_argument("--temporal-phase", type=int, default=1, choices=range(4))
    group.add_argument("--phase-filter-width", type=float, default=10, metavar="W")
    group.add_argument("--kernel-size", type=int, nargs=3, metavar=("X", "Y", "Z"))
    group.add_argument("--patch-overlap", type=float, default=2, metavar="F")
    group.add_argument(
        "--gfactor-kernel-size", type=int, nargs=3, default=(14, 14, 1), metavar=("X", "Y", "Z")
    )
    group.add_argument("--gfactor-volumes", type=int, default=90, metavar="N")
    group.add_argument("--gfactor-patch-overlap", type=float, default=2, metavar="F")
    group.add_argument("--threshold", type=float, metavar="S", help="instead of the computed one")
    group.add_argument(
        "--phase-range",
        nargs="+",
        metavar="P",
        help="values at -pi and +pi, or 'radians'; default: smallest and largest value",
    )
    group.add_argument(
        "--compat", action="store_true", help="reproduce known faults of the reference program"
    )
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--threshold-draws", type=int, default=0, metavar="N")
    group.add_argument("--n-threads", type=int, default=1, metavar="N")


def _phase_range(words: list[str] | None) -> tuple[float, float] | str | None:
    """Understand --phase-range."""
    if words is None or words == ["radians"]:
        return words and words[0]
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        raise ConfigError(
            f"--phase-range is {' '.join(words)!r}; accepted are two numbers, or 'radians'."
        ) from None
    return low, high


def _reporter():
    """Progress on standard error, one line per stage."""
    last = [("", -1)]

    def report(stage: str, fraction: float) -> None:
        percent = int(100 * fraction)
        if (stage, percent) == last[0]:
            return
        last[0] = stage, percent
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{stage:<12}{percent:4d} %" + ("\n" if percent == 100 else ""))
        elif percent == 100:
            sys.stderr.write(f"{stage}: done\n")
        sys.stderr.flush()

    return report


def _repetition_time(path: str) -> float | None:
    """Repetition time of an image header in seconds."""
    header = nifti.load_header(path).header
    zooms = header.get_zooms()
    if len(zooms) < 4 or not zooms[3] > 0:
        return None
    unit = header.get_xyzt_units()[1]
    return float(zooms[3]) * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)


def _read(options: argparse.Namespace) -> tuple:
    """Read all images: magnitude, phase or None, affine, number of noise volumes."""
    magnitude, affine = nifti.load(options.magnitude)
    phase = None
    if options.phase:
        phase, other = nifti.load(options.phase)
        if not np.allclose(other, affine, atol=1e-3):
            raise GridMismatchError(
                f"{options.phase} lies elsewhere in space than {options.magnitude}."
            )
    if options.norf:
        if len(options.norf) != (2 if options.phase else 1):
            raise ConfigError("--norf needs a magnitude, and a phase exactly when the series has.")
        scans = [nifti.load(path)[0] for path in options.norf]
        before = magnitude.shape[-1]
        magnitude = nordic.append_noise_scan(magnitude, scans[0])
        phase = nordic.append_noise_scan(phase, scans[1]) if options.phase else None
        return magnitude, phase, affine, magnitude.shape[-1] - before
    if options.noise_volumes != "auto":
        if not options.noise_volumes.isdecimal():
            raise ConfigError(
                f"--noise-volumes is {options.noise_volumes!r}; accepted are numbers and 'auto'."
            )
        return magnitude, phase, affine, int(options.noise_volumes)
    found = nordic.detect_noise_volumes(magnitude)
    if found:
        sys.stderr.write(
            f"The last {found} volumes are dark and taken as noise volumes; "
            "--noise-volumes 0 prevents this.\n"
        )
    return magnitude, phase, affine, found


def _parameters(options: argparse.Namespace) -> dict:
    """Options of `nordic` that come from the command line unchanged."""
    names = (
        *("method", "factor_error", "temporal_phase", "phase_filter_width", "kernel_size"),
        *("patch_overlap", "gfactor_kernel_size", "gfactor_volumes", "gfactor_patch_overlap"),
        *("threshold", "compat", "seed", "threshold_draws", "n_threads"),
    )
    return {name: getattr(options, name) for name in names} | {
        "phase_range": _phase_range(options.phase_range)
    }


def _median(values: np.ndarray) -> float | None:
    """Median of the finite values."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else None


def _record(options, parameters: dict, result: nordic.NordicResult, notes: list[str]) -> dict:
    """Everything that is needed to repeat and to judge the run."""
    numbers = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if not isinstance(getattr(result, field.name), np.ndarray | None)
    }
    if options.method == "mppca":
        numbers["threshold"] = None
    files = (options.magnitude, options.phase, options.gfactor, *(options.norf or ()))
    return {
        "Description": "NORDIC denoising",
        "RawSources": [Path(file).name for file in files if file],
        "Parameters": parameters,
        "Result": numbers
        | {
            "median_gfactor": _median(result.gfactor),
            "median_noise_sd": _median(result.noise_sd),
            "median_components_removed": _median(result.components_removed),
        },
        "Warnings": notes,
        "GeneratedBy": [provenance.generated_by(["numpy", "scipy", "nibabel", "threadpoolctl"])],
        "Patent": nordic.PATENT,
        "ReferencesAndLinks": list(nordic.CITATIONS),
    }


def _run(options: argparse.Namespace) -> None:
    """Read, denoise, write."""
    output = Path(options.output)
    suffix = next((s for s in _SUFFIXES if output.name.endswith(s)), None)
    if suffix is None:
        raise ConfigError(f"The output is {output.name}; accepted are names in .nii or .nii.gz.")
    stem = output.with_name(output.name.removesuffix(suffix))
    magnitude, phase, affine, noise_volumes = _read(options)
    parameters = _parameters(options) | {"noise_volumes": noise_volumes}
    gfactor = nifti.load(options.gfactor)[0] if options.gfactor else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = nordic.nordic(
            magnitude,
            phase,
            gfactor=gfactor,
            with_phase=options.save_phase,
            trim_noise_volumes=not options.keep_noise_volumes,
            progress=None if options.quiet else _reporter(),
            **parameters,
        )
    notes = [str(item.message) for item in caught]
    for note in notes:
        sys.stderr.write(f"Warning: {note}\n")
    tr = _repetition_time(options.magnitude)
    record = _record(options, parameters, result, notes)
    nifti.save(output, result.magnitude, affine, tr=tr, metadata=record)
    if result.phase is not None:
        nifti.save(f"{stem}_phase{suffix}", result.phase, affine, tr=tr)
    for name, label in _MAPS.items():
        nifti.save(f"{stem}_{label}{suffix}", getattr(result, name), affine)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str or None
        Without the program name; None takes those of the process.

    Returns
    -------
    status : int
        0, or 1 after a message about unusable input.
    """
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except MeboldError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stderr.write(f"Wrote {options.output}\n")
    return 0
