"""Simulate a raw BIDS multi-echo dataset with known truth.

``python -m mebold.phantom OUT --size tiny|group|demo|full|scanner`` writes OUT, a valid raw BIDS
dataset, and beside it OUT-truth, what the simulator knows; its README lists the keys.

Physics: a deformed MNI152 head; S0 exp(-TE R2*) with tissue R2*, image-specific BOLD as a
change of R2*, fluctuations of S0 and R2*; coil phase and off-resonance phase 2 pi f TE; every
slice acquired at its own time and head pose; displacement by f x readout time along the
phase-encoding axis with its intensity change; receive sensitivity fixed to the scanner; complex
thermal noise times a g-factor.

``--size scanner`` adds what real scans have: contrast by T1 and flip angle, with relaxed SBRefs
and bright first volumes; an array coil; air in the head, with steep field and dropout; a run
that leaves the field of view and an aborted one; correlated noise and zeroed background;
anatomy of other scanners, SBRefs of one echo, single volumes stored in four dimensions. The
validator objects to these field maps, rightly: such files exist. Each part is a field of
`PhantomSpec`, so ``--set`` gives it to any size.
"""

import logging
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mebold.errors import ConfigError
from mebold.geometry import affines
from mebold.phantom import anatomy, contrast, freesurfer, localizer, motion, physics, raw, task
from mebold.phantom.anatomy import Head
from mebold.phantom.fieldmap import Fieldmap, simulate_fieldmap
from mebold.phantom.megre import simulate_megre
from mebold.phantom.mp2rage import simulate_mp2rage
from mebold.phantom.run import Moment, Run, session_plan, simulate_run
from mebold.phantom.scene import Scene, make_scene
from mebold.phantom.spec import PhantomSpec
from mebold.phantom.truth import write_subject_truth, write_tissue, write_truth_root

log = logging.getLogger(__name__)


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
    raw.write_dataset_files(out, spec)
    write_truth_root(truth, spec)
    for subject in spec.subjects:
        _write_subject(out, truth / f"sub-{subject}", spec, subject)


def _write_subject(out: Path, truth: Path, spec: PhantomSpec, subject: str) -> None:
    """Write the anatomy and all sessions of one subject."""
    head = anatomy.make_head(spec, subject)
    scene = make_scene(spec, head, subject)
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
    t1w_shape, t1w_affine = anatomy.oriented_grid(
        *anatomy.centred_grid(head.centre, spec.t1w_mm, extent, rotation=tilt),
        spec.t1w_orientation,
    )
    t1w_to_t2w = affines.rigid_matrix(motion.random_pose(rng, 1.5), head.centre)
    t1w_to_t2w[:3, 3] += spec.t2w_offset_mm
    t2w_centre = head.centre + np.array(spec.t2w_offset_mm)
    t2w_shape, t2w_affine = anatomy.oriented_grid(
        *anatomy.centred_grid(t2w_centre, spec.t2w_voxel_scale * spec.t1w_mm, extent),
        spec.t2w_orientation,
    )
    for suffix, shape, affine, pose, centre in (
        ("T1w", t1w_shape, t1w_affine, np.eye(4), head.centre),
        ("T2w", t2w_shape, t2w_affine, t1w_to_t2w, t2w_centre),
    ):
        in_head = np.linalg.inv(pose) @ affine
        tissue = anatomy.voxel_tissue(head, shape, in_head)
        if suffix == "T1w":
            write_tissue(truth, tissue, affine)
            if spec.mp2rage:  # UNIT1 stands in for it
                continue
            offset = affines.grid_points(shape, in_head) - head.centre
            efficiency = contrast.inversion_efficiency(spec, offset).reshape(shape)
            signal = contrast.t1w_image(spec, tissue, efficiency)
        else:
            signal = anatomy.t2w_image(tissue)
        receiver = physics.make_receiver(spec, shape, affine, centre)
        noise = spec.t1w_noise * rng.standard_normal((2, *shape), dtype=np.float32)
        noisy = np.hypot(signal * receiver.bias + noise[0], noise[1])
        stored = np.clip(np.round(1000 * noisy), 0, 4095).astype(np.int16)
        if suffix == "T1w" and spec.surfaces:
            folder = out / "derivatives" / "freesurfer" / f"sub-{subject}"
            freesurfer.write_subject(folder, head, stored, affine)
        image = stored[..., None] if spec.single_volume_4d else stored
        raw.write_image(stem.with_name(f"{stem.name}_{suffix}.nii.gz"), image, affine)
        raw.write_json(
            stem.with_name(f"{stem.name}_{suffix}.json"), raw.anatomy_sidecar(spec, suffix)
        )
    if spec.mp2rage:
        _write_mp2rage(stem, truth, spec, head, (t1w_shape, t1w_affine))
    if spec.megre_echo_times_s:
        _write_megre(stem, truth, spec, head)
    write_subject_truth(
        truth,
        scene,
        images=task.image_names(spec),
        t1w_shape=t1w_shape,
        t1w_affine=t1w_affine,
        t1w_to_t2w=t1w_to_t2w,
    )


def _write_mp2rage(
    stem: Path, truth: Path, spec: PhantomSpec, head: Head, grid: tuple[tuple, np.ndarray]
) -> None:
    """Write UNIT1 and the two magnitudes on the grid that the T1w would have."""
    shape, affine = grid
    points = affines.grid_points(shape, affine)
    rng = spec.rng("mp2rage", stem.name)
    tissue = head.tissue(points)
    made = simulate_mp2rage(spec, tissue, points, shape, affine, head.centre, rng)
    for name, data, train in (
        ("inv-1_MP2RAGE", made.inv1, 0),
        ("inv-2_MP2RAGE", made.inv2, 1),
        ("UNIT1", made.unit1, None),
    ):
        raw.write_image(stem.with_name(f"{stem.name}_{name}.nii.gz"), data, affine)
        sidecar = raw.mp2rage_sidecar(spec, train)
        raw.write_json(stem.with_name(f"{stem.name}_{name}.json"), sidecar)
    truth.mkdir(parents=True, exist_ok=True)
    np.savez(truth / "mp2rage.npz", affine=affine, **made.truth)


def _write_megre(stem: Path, truth: Path, spec: PhantomSpec, head: Head) -> None:
    """Write magnitude and phase of every echo."""
    tilt = Rotation.from_euler("xyz", np.deg2rad([-6.0, 1.0, 0.5])).as_matrix()
    extent = np.array(spec.t1w_fov_mm)
    grid = anatomy.centred_grid(head.centre, spec.megre_voxel_mm, extent, rotation=tilt)
    made = simulate_megre(spec, head, *grid, spec.rng("megre", stem.name))
    subject, session = stem.name.split("_")[:2]
    intended = [
        f"bids::{subject}/{session}/func/{subject}_{session}_task-{spec.task}_run-{i + 1:02d}"
        f"_echo-{echo + 1}_part-mag_bold.nii.gz"
        for i in range(spec.runs if spec.megre_names_runs else 0)
        for echo in range(len(spec.echo_times_s))
    ]
    for echo in range(len(spec.megre_echo_times_s)):
        for part, data in (("mag", made.magnitude[echo]), ("phase", made.phase[echo])):
            name = f"{stem.name}_echo-{echo + 1}_part-{part}_MEGRE"
            raw.write_image(stem.with_name(f"{name}.nii.gz"), data, grid[1])
            sidecar = raw.megre_sidecar(spec, echo=echo, part=part, intended=intended)
            raw.write_json(stem.with_name(f"{name}.json"), sidecar)
    truth.mkdir(parents=True, exist_ok=True)
    np.savez(truth / "megre.npz", **made.truth)


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
    geometry = motion.session_geometry(spec, subject, session, head.centre)
    orders = task.trial_orders(spec, spec.rng("orders", *labels))
    (truth / f"ses-{session}").mkdir(parents=True, exist_ok=True)
    for moment in session_plan(spec):
        label = f"{moment.index + 1:02d}"
        keys = (*labels, label)
        if moment.kind == "fieldmap":
            fieldmap = simulate_fieldmap(spec, scene, geometry, moment, keys)
            _write_fieldmap(folder / "fmap" / f"{stem}_run-{label}", spec, moment, fieldmap)
            np.savez(truth / f"ses-{session}" / f"fmap-{label}.npz", **fieldmap.truth)
            continue
        of_run = spec.of_run(moment.index)
        if moment.index < spec.runs:
            order = orders[moment.index][: of_run.shown_trials]
            events = task.events_table(spec, order, shown, spec.rng("events", *keys))
        else:
            events = localizer.events(spec, moment.index - spec.runs, spec.rng("localizer", *keys))
            order = np.full(len(events), -1)
        started = time.perf_counter()
        run = simulate_run(of_run, scene, geometry, moment, order, events, keys)
        log.info("%s run %s simulated in %.1f s", stem, label, time.perf_counter() - started)
        name, kind = f"{stem}_task-{spec.task}_run-{label}", f"run-{label}"
        if moment.index >= spec.runs:  # numbered within its task
            number = f"{moment.index + 1 - spec.runs:02d}"
            name, kind = f"{stem}_task-{of_run.task}_run-{number}", f"localizer-{number}"
        _write_run(folder / "func" / name, of_run, moment, run)
        np.savez(truth / f"ses-{session}" / f"{kind}.npz", **run.truth)


def field_identifier(stem: str) -> str:
    """Return the B0FieldIdentifier of a field map from its file stem."""
    return "gre_" + "".join(c for c in stem if c.isalnum())


def _write_fieldmap(stem: Path, spec: PhantomSpec, moment: Moment, fieldmap: Fieldmap) -> None:
    """Write the three images of a field map with their sidecars."""
    subject, session = stem.name.split("_")[:2]
    runs = [f"{subject}_{session}_task-{spec.task}_run-{i + 1:02d}" for i in range(spec.runs)]
    runs += [
        f"{subject}_{session}_task-{spec.localizer_task}_run-{i + 1:02d}"
        for i in range(spec.localizer_runs)
    ]
    intended = [
        f"bids::{subject}/{session}/func/{run}_echo-{echo + 1}_part-mag_{suffix}.nii.gz"
        for run in runs
        for echo in range(len(spec.echo_times_s))
        for suffix in ("bold", "sbref")
        if suffix == "bold" or echo in spec.sbref_kept
    ]
    for suffix in ("magnitude1", "magnitude2", "phasediff"):
        image = getattr(fieldmap, suffix).T
        if spec.single_volume_4d:
            image = image[..., None]
        path = stem.with_name(f"{stem.name}_{suffix}.nii.gz")
        raw.write_image(path, image, fieldmap.truth["affine"])
        sidecar = raw.gre_sidecar(
            spec,
            suffix=suffix,
            start_s=moment.start_s,
            identifier=field_identifier(stem.name),
            intended=intended,
        )
        raw.write_json(stem.with_name(f"{stem.name}_{suffix}.json"), sidecar)


def _write_run(stem: Path, spec: PhantomSpec, moment: Moment, run: Run) -> None:
    """Write series, SBRefs, sidecars and events of a run."""
    subject, session = stem.name.split("_")[:2]
    sources = [
        field_identifier(f"{subject}_{session}_run-{i + 1:02d}") for i in range(spec.fieldmaps)
    ]
    for echo in range(len(spec.echo_times_s)):
        for part, series, reference in (
            ("mag", run.magnitude[echo], run.sbref_magnitude[echo]),
            ("phase", run.phase[echo], run.sbref_phase[echo]),
        ):
            images = {"bold": series.T}
            if echo in spec.sbref_kept:
                images["sbref"] = reference.T[..., None] if spec.single_volume_4d else reference.T
            for suffix, data in images.items():
                name = f"{stem.name}_echo-{echo + 1}_part-{part}_{suffix}"
                tr = spec.repetition_time_s if suffix == "bold" else None
                raw.write_image(stem.with_name(f"{name}.nii.gz"), data, run.truth["affine"], tr)
                sidecar = raw.epi_sidecar(
                    spec,
                    echo=echo,
                    part=part,
                    start_s=moment.start_s,
                    sources=sources,
                    sbref=suffix == "sbref",
                )
                raw.write_json(stem.with_name(f"{name}.json"), sidecar)
    raw.write_table(stem.with_name(f"{stem.name}_events.tsv"), run.events)
