"""Command line of the NORDIC step: ``python -m mebold.nordic MAGNITUDE [PHASE] -o OUTPUT``."""

import argparse
from pathlib import Path

from mebold.errors import ConfigError
from mebold.files import images, provenance
from mebold.nordic import denoise, noise_volumes, record
from mebold.nordic.echo import read_echo, read_noise_map
from mebold.progress import ended, reporter, say

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
        epilog="One echo per call. To denoise all echoes with one noise map, give the gfactor file "
        f"of the first call to the others with --gfactor. {record.PATENT}",
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
    noise.add_argument(
        "--gfactor",
        metavar="FILE",
        help="noise map to use instead of an estimate, on the grid and in the units of the "
        "magnitude: SD of real and imaginary part together (of the signal without a phase)",
    )
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


def _repetition_time(path: str) -> float | None:
    """Repetition time of an image header in seconds."""
    header = images.load_header(path).header
    zooms = header.get_zooms()
    if len(zooms) < 4 or not zooms[3] > 0:
        return None
    unit = header.get_xyzt_units()[1]
    return float(zooms[3]) * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)


def _noise_volumes(word: str) -> dict:
    """Understand --noise-volumes: options of `echo.read_echo`."""
    if word == "auto":
        return {}
    if not word.isdecimal():
        raise ConfigError(f"--noise-volumes is {word!r}; accepted are numbers and 'auto'.")
    return {"noise_volumes": int(word), "origin": noise_volumes.AS_CONFIGURED}


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


def _denoise(options: argparse.Namespace) -> tuple:
    """Read and denoise: echo, result, and its record for the sidecar."""
    with record.noting(lambda note: say(f"Warning: {note}")) as notes:
        echo = read_echo(
            options.magnitude,
            options.phase,
            noise_scans=options.norf or (),
            **_noise_volumes(options.noise_volumes),
        )
        if echo.trailing and echo.origin == noise_volumes.BY_INTENSITY:
            say(
                f"The last {echo.trailing} volumes are dark and taken as noise volumes; "
                "--noise-volumes 0 prevents this."
            )
        gfactor = read_noise_map(options.gfactor, echo=echo)
        parameters = _parameters(options) | {"noise_volumes": echo.noise_volumes}
        result = denoise.nordic(
            echo.magnitude,
            echo.phase,
            gfactor=gfactor,
            with_phase=options.save_phase,
            trim_noise_volumes=not options.keep_noise_volumes,
            progress=None if options.quiet else reporter(),
            **parameters,
        )
    origin = f"given: {Path(options.gfactor).name}" if options.gfactor else "estimated"
    head = record.before_and_head(echo, result)[1]
    about = record.record(echo, result, notes, head, noise_map=origin)
    files = (options.magnitude, options.phase, options.gfactor, *(options.norf or ()))
    about |= {
        "RawSources": [Path(file).name for file in files if file],
        "Parameters": parameters,
        "GeneratedBy": [provenance.generated_by(record.PACKAGES)],
    }
    return echo, result, about


def _output(name: str) -> tuple[Path, str]:
    """Split the output's name into what all outputs begin with, and the suffix."""
    output = Path(name)
    suffix = next((s for s in _SUFFIXES if output.name.endswith(s)), None)
    if suffix is None:
        raise ConfigError(f"The output is {output.name}; accepted are names in .nii or .nii.gz.")
    return output.with_name(output.name.removesuffix(suffix)), suffix


def _run(options: argparse.Namespace) -> None:
    """Read, denoise, write."""
    stem, suffix = _output(options.output)
    if options.norf and len(options.norf) != (2 if options.phase else 1):
        raise ConfigError("--norf needs a magnitude, and a phase exactly when the series has one.")
    if options.save_phase and not options.phase:
        raise ConfigError("--save-phase needs a phase series beside the magnitude.")
    echo, result, about = _denoise(options)
    tr, affine = _repetition_time(options.magnitude), echo.affine
    images.save(options.output, result.magnitude, affine, tr=tr, metadata=about)
    if result.phase is not None:
        images.save(f"{stem}_phase{suffix}", result.phase, affine, tr=tr)
    for name, label in _MAPS.items():
        images.save(f"{stem}_{label}{suffix}", getattr(result, name), affine)
    say(record.summary(echo, about))
    say(record.PATENT)


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
    return ended(lambda: _run(options), wrote=options.output)


if __name__ == "__main__":
    raise SystemExit(main())
