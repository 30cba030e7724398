"""Simulate a raw BIDS multi-echo dataset with known truth.

``python -m mebold.phantom OUT --size tiny|demo|full`` writes OUT, a valid raw BIDS dataset,
and beside it OUT-truth, what the simulator knows; its README lists the keys.

Physics: a deformed MNI152 head; S0 exp(-TE R2*) with tissue R2*, image-specific BOLD as a
change of R2*, fluctuations of S0 and R2*; coil phase and off-resonance phase 2 pi f TE; every
slice acquired at its own time and head pose; displacement by f x readout time along the
phase-encoding axis with its intensity change; receive sensitivity fixed to the scanner; complex
thermal noise times a g-factor.
"""

import argparse
import ast
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mebold import (
    affines,
    phantom_anatomy,
    phantom_bids,
    phantom_design,
    phantom_fieldmap,
    phantom_motion,
    phantom_physics,
    phantom_run,
    phantom_scene,
    phantom_truth,
)
from mebold.errors import ConfigError
from mebold.phantom_anatomy import Head
from mebold.phantom_scene import Scene
from mebold.phantom_spec import SIZES, PhantomSpec, make_spec

log = logging.getLogger(__name__)

__all__ = ["PhantomSpec", "main", "make_spec", "write_dataset"]


def write_dataset(out: Path, spec: PhantomSpec, *, truth: Path | None = None) -> None:
    """Write a raw BIDS dataset and its truth.

    Parameters
    ----------
    out : Path
        Folder of the dataset; must not exist or be empty.
    spec : PhantomSpec
    truth : Path, optional
        Folder of the truth; by default the name of `out` with ``-truth`` appended.

    Raises
    ------
    ConfigError
        `out` holds something already.
    """
    out = Path(out)
    truth = out.with_name(out.name + "-truth") if truth is None else Path(truth)
    if out.exists() and any(out.iterdir()):
        msg = f"{out} is not empty; give a new folder or remove it first"
        raise ConfigError(msg)
    out.mkdir(parents=True, exist_ok=True)
    phantom_bids.write_dataset_files(out, spec)
    phantom_truth.write_truth_root(truth, spec)
    for subject in spec.subjects:
        _write_subject(out, truth / f"sub-{subject}", spec, subject)


def _write_subject(out: Path, truth: Path, spec: PhantomSpec, subject: str) -> None:
    """Write the anatomy and all sessions of one subject."""
    head = phantom_anatomy.make_head(spec, subject)
    scene = phantom_scene.make_scene(spec, head, subject)
    _write_anatomy(out, truth, spec, subject, head, scene)
    shown: dict[int, int] = {}
    for session in spec.sessions:
        _write_session(out, truth, spec, (subject, session), head, scene, shown)


def _write_anatomy(
    out: Path, truth: Path, spec: PhantomSpec, subject: str, head: Head, scene: Scene
) -> None:
    """Write T1w and T2w into the first session, and the truth on the T1w grid."""
    rng = spec.rng("anatomy", subject)
    session = spec.sessions[0]
    stem = out / f"sub-{subject}" / f"ses-{session}" / "anat" / f"sub-{subject}_ses-{session}"
    angles = np.deg2rad(np.add([2.5, -1.0, 1.5], rng.uniform(-1, 1, 3)))
    tilt = Rotation.from_euler("xyz", angles).as_matrix()
    extent = np.array(spec.t1w_fov_mm)
    t1w_shape, t1w_affine = phantom_anatomy.centred_grid(
        head.centre, spec.t1w_mm, extent, rotation=tilt
    )
    t1w_to_t2w = affines.rigid_matrix(phantom_motion.random_pose(rng, 1.5), head.centre)
    t2w_shape, t2w_affine = phantom_anatomy.centred_grid(
        head.centre, 1.15 * spec.t1w_mm, extent, flip=(-1, 1, 1)
    )
    for suffix, shape, affine, pose, contrast in (
        ("T1w", t1w_shape, t1w_affine, np.eye(4), phantom_anatomy.t1w_image),
        ("T2w", t2w_shape, t2w_affine, t1w_to_t2w, phantom_anatomy.t2w_image),
    ):
        points = affines.grid_points(shape, np.linalg.inv(pose) @ affine)
        signal = contrast(head.tissue(points)).reshape(shape)
        receiver = phantom_physics.make_receiver(spec, shape, affine, head.centre)
        noise = spec.t1w_noise * rng.standard_normal((2, *shape), dtype=np.float32)
        noisy = np.hypot(signal * receiver.bias + noise[0], noise[1])
        stored = np.clip(np.round(1000 * noisy), 0, 4095).astype(np.int16)
        phantom_bids.write_image(stem.with_name(f"{stem.name}_{suffix}.nii.gz"), stored, affine)
        phantom_bids.write_json(
            stem.with_name(f"{stem.name}_{suffix}.json"), phantom_bids.anatomy_sidecar(spec, suffix)
        )
    phantom_truth.write_subject_truth(
        truth,
        scene,
        images=phantom_design.image_names(spec),
        t1w_shape=t1w_shape,
        t1w_affine=t1w_affine,
        t1w_to_t2w=t1w_to_t2w,
    )


def _write_session(
    out: Path,
    truth: Path,
    spec: PhantomSpec,
    labels: tuple[str, str],
    head: Head,
    scene: Scene,
    shown: dict[int, int],
) -> None:
    """Write field maps and runs of one session in time order."""
    subject, session = labels
    folder = out / f"sub-{subject}" / f"ses-{session}"
    stem = f"sub-{subject}_ses-{session}"
    geometry = phantom_motion.session_geometry(spec, subject, session, head.centre)
    orders = phantom_design.trial_orders(spec, spec.rng("orders", *labels))
    (truth / f"ses-{session}").mkdir(parents=True, exist_ok=True)
    for moment in phantom_run.session_plan(spec):
        label = f"{moment.index + 1:02d}"
        keys = (*labels, label)
        if moment.kind == "fieldmap":
            fieldmap = phantom_fieldmap.simulate_fieldmap(spec, scene, geometry, moment, keys)
            _write_fieldmap(folder / "fmap" / f"{stem}_run-{label}", spec, moment, fieldmap)
            np.savez(truth / f"ses-{session}" / f"fmap-{label}.npz", **fieldmap.truth)
            continue
        order = orders[moment.index]
        events = phantom_design.events_table(spec, order, shown, spec.rng("events", *keys))
        started = time.perf_counter()
        run = phantom_run.simulate_run(spec, scene, geometry, moment, order, events, keys)
        log.info("%s run %s simulated in %.1f s", stem, label, time.perf_counter() - started)
        name = f"{stem}_task-{spec.task}_run-{label}"
        _write_run(folder / "func" / name, spec, moment, run)
        np.savez(truth / f"ses-{session}" / f"run-{label}.npz", **run.truth)


def field_identifier(stem: str) -> str:
    """Return the B0FieldIdentifier of a field map from its file stem."""
    return "gre_" + "".join(c for c in stem if c.isalnum())


def _write_fieldmap(
    stem: Path, spec: PhantomSpec, moment: phantom_run.Moment, fieldmap: phantom_fieldmap.Fieldmap
) -> None:
    """Write the three images of a field map with their sidecars."""
    subject, session = stem.name.split("_")[:2]
    runs = [f"{subject}_{session}_task-{spec.task}_run-{i + 1:02d}" for i in range(spec.runs)]
    intended = [
        f"bids::{subject}/{session}/func/{run}_echo-{echo + 1}_part-mag_{suffix}.nii.gz"
        for run in runs
        for echo in range(len(spec.echo_times_s))
        for suffix in ("bold", "sbref")
    ]
    for suffix in ("magnitude1", "magnitude2", "phasediff"):
        image = getattr(fieldmap, suffix).T
        path = stem.with_name(f"{stem.name}_{suffix}.nii.gz")
        phantom_bids.write_image(path, image, fieldmap.truth["affine"])
        sidecar = phantom_bids.gre_sidecar(
            spec,
            suffix=suffix,
            start_s=moment.start_s,
            identifier=field_identifier(stem.name),
            intended=intended,
        )
        phantom_bids.write_json(stem.with_name(f"{stem.name}_{suffix}.json"), sidecar)


def _write_run(
    stem: Path, spec: PhantomSpec, moment: phantom_run.Moment, run: phantom_run.Run
) -> None:
    """Write series, SBRefs, sidecars and events of a run."""
    subject, session = stem.name.split("_")[:2]
    sources = [
        field_identifier(f"{subject}_{session}_run-{i + 1:02d}") for i in range(spec.fieldmaps)
    ]
    affine = run.truth["affine"]
    for echo in range(len(spec.echo_times_s)):
        for part, series, reference in (
            ("mag", run.magnitude, run.sbref_magnitude),
            ("phase", run.phase, run.sbref_phase),
        ):
            for suffix, data in (("bold", series[echo]), ("sbref", reference[echo])):
                name = f"{stem.name}_echo-{echo + 1}_part-{part}_{suffix}"
                tr = spec.repetition_time_s if suffix == "bold" else None
                phantom_bids.write_image(stem.with_name(f"{name}.nii.gz"), data.T, affine, tr)
                sidecar = phantom_bids.epi_sidecar(
                    spec,
                    echo=echo,
                    part=part,
                    start_s=moment.start_s,
                    sources=sources,
                    sbref=suffix == "sbref",
                )
                phantom_bids.write_json(stem.with_name(f"{name}.json"), sidecar)
    phantom_bids.write_table(stem.with_name(f"{stem.name}_events.tsv"), run.events)


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mebold.phantom",
        description="Write a simulated raw BIDS multi-echo dataset, and its truth beside it.",
    )
    parser.add_argument("out", type=Path, help="folder of the dataset, new or empty")
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--subjects", nargs="+", metavar="LABEL", help="labels, default 01")
    parser.add_argument("--sessions", nargs="+", metavar="LABEL", help="labels")
    parser.add_argument(
        "--noise-volumes", type=int, default=0, metavar="N", help="noise-only volumes at the end"
    )
    parser.add_argument("--truth", type=Path, help="folder of the truth, default OUT-truth")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="any field of PhantomSpec, e.g. thermal_sigma=0",
    )
    return parser


def _assignment(text: str) -> tuple[str, object]:
    """Read NAME=VALUE; the value is a number, a tuple or a word."""
    name, found, value = text.partition("=")
    if not found:
        msg = f"--set expects NAME=VALUE, not {text!r}"
        raise ConfigError(msg)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = _parser().parse_args(argv)
    changes = {"seed": args.seed, "noise_volumes": args.noise_volumes}
    for name in ("subjects", "sessions"):
        if getattr(args, name):
            changes[name] = tuple(getattr(args, name))
    try:
        changes |= dict(_assignment(text) for text in args.changes)
        write_dataset(args.out, make_spec(args.size, **changes), truth=args.truth)
    except ConfigError as error:
        sys.stderr.write(f"mebold.phantom: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
