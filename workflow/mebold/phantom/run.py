"""The order of a session's scans, and one simulated run (series and SBRef) as arrays."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mebold.geometry import affines
from mebold.phantom import contrast, kernels, localizer, motion, noise, physics, task
from mebold.phantom.fluctuations import Fluctuations, make_fluctuations
from mebold.phantom.motion import SessionGeometry, Trace
from mebold.phantom.physics import Receiver
from mebold.phantom.scene import Scene, field_at
from mebold.phantom.spec import PhantomSpec


@dataclass(frozen=True)
class Moment:
    """One acquisition of a session: which, when, and how far the field has drifted.

    Attributes
    ----------
    kind : {"fieldmap", "run"}
    index : int
        0-based within its kind.
    start_s : float
        Seconds after the first acquisition of the session.
    drift_hz : float
        Multiplies `Scene.field_drift`.
    """

    kind: str
    index: int
    start_s: float
    drift_hz: float


def session_plan(spec: PhantomSpec) -> list[Moment]:
    """Return the acquisitions of a session in time order, field maps around the runs."""
    count = spec.runs + spec.localizer_runs
    volumes = [spec.of_run(i).volumes + spec.noise_volumes for i in range(count)]
    order = [("run", i) for i in range(count)]
    places = np.round(np.linspace(0, count, max(spec.fieldmaps, 1))).astype(int)
    for index in reversed(range(spec.fieldmaps)):
        order.insert(places[index], ("fieldmap", index))
    clock, starts = 0.0, []
    for kind, index in order:
        starts.append(clock)
        duration = 45.0 if kind == "fieldmap" else volumes[index] * spec.repetition_time_s
        clock += duration + 45.0
    return [
        Moment(kind, index, start, spec.field_drift_hz * (start / max(clock, 1e-9) - 0.5))
        for (kind, index), start in zip(order, starts, strict=True)
    ]


@dataclass
class Run:
    """One simulated run.

    Attributes
    ----------
    magnitude, phase : (E, T, z, y, x) int16 arrays
        Stored integers; ``magnitude[e].T`` is the (x, y, z, T) image.
    sbref_magnitude, sbref_phase : (E, z, y, x) int16 arrays
    events : pandas.DataFrame
    truth : dict
        What only the simulator knows; keys as in the README of the truth folder.
    """

    magnitude: np.ndarray
    phase: np.ndarray
    sbref_magnitude: np.ndarray
    sbref_phase: np.ndarray
    events: pd.DataFrame
    truth: dict[str, np.ndarray] = field(default_factory=dict)


def simulate_run(
    spec: PhantomSpec,
    scene: Scene,
    geometry: SessionGeometry,
    moment: Moment,
    order: np.ndarray,
    events: pd.DataFrame,
    keys: tuple[str, ...],
) -> Run:
    """Simulate one multi-echo run.

    Parameters
    ----------
    spec : PhantomSpec
        That of the run (`PhantomSpec.of_run`).
    scene : Scene
        From `scene.make_scene`.
    geometry : SessionGeometry
    moment : Moment
        The run's entry of `session_plan`.
    order : (trials,) int array
        Image of every trial, -1 for blanks; of a localizer the number of every block.
    events : pandas.DataFrame
        From `task.events_table` or `localizer.events`; gives the onsets.
    keys : tuple of str
        Labels of subject, session and run, which choose the random streams.

    Returns
    -------
    Run
    """
    offset = spec.run_offset(moment.index)
    reference = motion.run_pose(spec, geometry, spec.rng("pose", *keys), offset=offset)
    trace = motion.make_trace(spec.rng("motion", *keys), spec)
    receiver = _epi_receiver(spec, geometry, spec.rng("phase", *keys))
    field_hz = field_at(scene, moment.drift_hz)
    steps = (np.linalg.inv(reference) @ geometry.epi_affine)[:3, :3].T
    slopes = (
        physics.slope_along(scene, field_hz, steps[1]),
        physics.slice_slope(spec, scene, field_hz, steps[2]),
    )
    packed = physics.components(scene, spec.intensity * scene.s0, field_hz, slopes)
    times = _group_times(spec)
    if moment.index < spec.runs:
        amplitudes = task.trial_amplitudes(scene.responses, order, spec, spec.rng("trials", *keys))
        stimulus_s = spec.stimulus_s
    else:
        amplitudes = localizer.amplitudes(spec, scene.responses.prefers, events)
        stimulus_s = spec.localizer_block_s
    onsets = events["onset"].to_numpy(dtype=np.float64)
    bold = task.bold_series(
        amplitudes, scene.responses.hrf_index, onsets, times.ravel(), stimulus_s
    ).reshape(*times.shape, -1)
    fluctuations = make_fluctuations(spec, spec.rng("fluctuations", *keys), times)
    poses = trace.matrices(times, geometry.centre) @ reference
    matrices = physics.acquisition_matrices(scene.affine, poses, geometry.epi_affine)
    still = physics.acquisition_matrices(scene.affine, reference, geometry.epi_affine)
    reference_signal = _reference_signal(spec, scene, packed, still, receiver)
    head = noise.kept_voxels(spec, np.abs(reference_signal[0]))
    series = _acquire_series(
        spec,
        scene,
        packed,
        bold,
        matrices,
        fluctuations,
        receiver,
        head,
        spec.rng("thermal", *keys),
    )
    single_band = _store_reference(spec, reference_signal, head, spec.rng("sbref", *keys))
    truth = _truth(spec, geometry, trace, reference, receiver, moment) | {
        "field_hz": physics.on_grid(field_hz, still, spec.epi_shape),
        "dropout": physics.dropout_maps(slopes[1], still, spec.epi_shape, spec.echo_times_s),
        "kept": head.T,
        "brain": physics.on_grid(scene.tissue["brain"], still, spec.epi_shape),
        "in_grid": _brain_in_grid(spec, scene, reference[None], geometry),
        "in_grid_always": _brain_in_grid(
            spec, scene, np.concatenate([reference[None], poses[:, 0]]), geometry
        ),
        "field_offset_hz": fluctuations.offset_hz.mean(axis=1),
        "trial_onset_s": onsets,
        "trial_image": np.asarray(order),
        "trial_amplitude": amplitudes,
    }
    return Run(*series, *single_band, events, truth)


def _epi_receiver(
    spec: PhantomSpec, geometry: SessionGeometry, rng: np.random.Generator
) -> Receiver:
    """Return the receiver on the EPI grid, with the arbitrary global phase of a run."""
    receiver = physics.make_receiver(spec, spec.epi_shape, geometry.epi_affine, geometry.centre)
    phase = receiver.phase + np.float32(rng.uniform(-np.pi, np.pi))
    return replace(receiver, phase=phase)


def _group_times(spec: PhantomSpec) -> np.ndarray:
    """Return when each multiband group of each volume is acquired, (T, G) seconds."""
    groups = spec.epi_shape[2] // spec.multiband
    starts = np.arange(spec.volumes)[:, None] * spec.repetition_time_s
    return starts + spec.slice_times_s[None, :groups]


def signed_readout(spec: PhantomSpec) -> float:
    """Return the displacement along the second axis in voxels per Hz."""
    return -spec.readout_time_s if spec.phase_encoding.endswith("-") else spec.readout_time_s


def _brain_in_grid(
    spec: PhantomSpec, scene: Scene, poses: np.ndarray, geometry: SessionGeometry
) -> np.ndarray:
    """Return which brain voxels of the head grid lie in the EPI grid at all poses (P, 4, 4)."""
    brain = scene.tissue["brain"] > 0.5
    points = affines.apply(scene.affine, np.argwhere(brain))
    to_voxel = np.linalg.inv(geometry.epi_affine) @ poses
    inside = np.zeros(brain.shape, dtype=bool)
    inside[brain] = physics.in_grid(points, to_voxel, spec.epi_shape)
    return inside


def _acquire_series(
    spec: PhantomSpec,
    scene: Scene,
    packed: np.ndarray,
    bold: np.ndarray,
    matrices: np.ndarray,
    fluctuations: Fluctuations,
    receiver: Receiver,
    head: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Acquire, add noise to, and digitise every volume of a run."""
    voxel_of = np.ascontiguousarray(scene.voxel_of.T)
    nz, ny, nx = receiver.bias.T.shape
    n_echoes = len(spec.echo_times_s)
    magnitude = np.empty((n_echoes, spec.volumes + spec.noise_volumes, nz, ny, nx), dtype=np.int16)
    phase = np.empty_like(magnitude)
    signal = np.zeros((n_echoes, nz, ny, nx), dtype=np.complex64)
    white = np.zeros((2, *signal.shape), dtype=np.float32)
    shift = np.zeros((nz, ny, nx), dtype=np.float32)
    bias, coil_phase, gfactor = (
        physics.kernel_layout(v) for v in (receiver.bias, receiver.phase, receiver.gfactor)
    )
    row = np.arange(nz) % bold.shape[1]
    for t in range(magnitude.shape[1]):
        if t < spec.volumes:
            if t <= spec.non_steady_volumes:
                weights = contrast.series_weights(spec, t)
                s0 = spec.intensity * contrast.mixture(scene.tissue, weights)
                packed[..., kernels.S0] = s0.T
            kernels.acquire(
                packed,
                voxel_of,
                bold[t],
                np.ascontiguousarray(matrices[t, row]),
                fluctuations.log_s0[t, row],
                fluctuations.r2star[t, row],
                fluctuations.offset_hz[t, row],
                signed_readout(spec),
                np.array(spec.echo_times_s),
                spec.bold_te_s,
                bias,
                coil_phase,
                shift,
                signal,
            )
        else:
            signal[:] = 0
        if spec.thermal_sigma > 0:
            rng.standard_normal(dtype=np.float32, out=white)
        scale = spec.thermal_sigma * gfactor
        _store(spec, signal, white, scale, head, magnitude[:, t], phase[:, t])
    return magnitude, phase


def _reference_signal(
    spec: PhantomSpec, scene: Scene, packed: np.ndarray, still: np.ndarray, receiver: Receiver
) -> np.ndarray:
    """Acquire the single-band reference (E, z, y, x) without noise: the head keeps still."""
    relaxed = packed.copy()
    weights = contrast.reference_weights(spec)
    relaxed[..., kernels.S0] = (spec.intensity * contrast.mixture(scene.tissue, weights)).T
    return physics.still_volume(
        relaxed,
        still,
        receiver,
        echo_times_s=spec.echo_times_s,
        readout_s=signed_readout(spec),
    )


def _store_reference(
    spec: PhantomSpec, signal: np.ndarray, head: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add the low noise of the single-band reference, and digitise it."""
    magnitude = np.empty(signal.shape, dtype=np.int16)
    phase = np.empty_like(magnitude)
    scale = np.full(signal.shape[1:], spec.sbref_noise * spec.thermal_sigma, dtype=np.float32)
    white = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    _store(spec, signal, white, scale, head, magnitude, phase)
    return magnitude, phase


def _store(spec, signal, white, scale, head, magnitude, phase) -> None:
    """Add noise to one volume and digitise it as the specification asks for."""
    coloured = noise.partial_fourier(white, spec.noise_partial_fourier)
    scale = np.asarray(scale, dtype=np.float32)
    kernels.digitise(signal, coloured, scale, magnitude, phase, spec.phase_units == "signed")
    if spec.zero_background:
        magnitude[:, ~head] = 0
        phase[:, ~head] = 0


def _truth(
    spec: PhantomSpec,
    geometry: SessionGeometry,
    trace: Trace,
    reference: np.ndarray,
    receiver: Receiver,
    moment: Moment,
) -> dict[str, np.ndarray]:
    """Collect the geometry and the noise of a run."""
    start = np.arange(spec.volumes) * spec.repetition_time_s
    middle = start + spec.slice_times_s.mean()
    return {
        "affine": geometry.epi_affine,
        "shape": np.array(spec.epi_shape),
        "centre": geometry.centre,
        "t1w_to_boldref": reference,
        "motion": trace.matrices(middle, geometry.centre),
        "motion_parameters": trace.at(middle),
        "motion_times_s": middle,
        "motion_start": trace.matrices(start, geometry.centre),
        "slice_times_s": spec.slice_times_s,
        "echo_times_s": np.array(spec.echo_times_s),
        "repetition_time_s": np.array(spec.repetition_time_s),
        "readout_s": np.array(spec.readout_time_s),
        "phase_encoding": np.array(spec.phase_encoding),
        "thermal_sigma": np.array(spec.thermal_sigma),
        "gfactor": receiver.gfactor,
        "receive_bias": receiver.bias,
        "coil_phase": receiver.phase,
        "start_s": np.array(moment.start_s),
        "drift_hz": np.array(moment.drift_hz),
        "n_noise_volumes": np.array(spec.noise_volumes),
        "n_non_steady_volumes": np.array(spec.non_steady_volumes),
    }
