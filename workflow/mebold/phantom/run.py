"""The order of a session's scans, and one simulated run (series and SBRef) as arrays."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mebold.phantom import kernels, motion, physics, task
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
    duration = (spec.volumes + spec.noise_volumes) * spec.repetition_time_s
    order = [("run", i) for i in range(spec.runs)]
    places = np.round(np.linspace(0, spec.runs, max(spec.fieldmaps, 1))).astype(int)
    for index in reversed(range(spec.fieldmaps)):
        order.insert(places[index], ("fieldmap", index))
    clock, starts = 0.0, []
    for kind, _ in order:
        starts.append(clock)
        clock += 90.0 if kind == "fieldmap" else duration + 45.0
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
    scene : Scene
        From `scene.make_scene`.
    geometry : SessionGeometry
    moment : Moment
        The run's entry of `session_plan`.
    order : (trials,) int array
        Image of every trial, -1 for blanks.
    events : pandas.DataFrame
        From `task.events_table`; gives the onsets.
    keys : tuple of str
        Labels of subject, session and run, which choose the random streams.

    Returns
    -------
    Run
    """
    reference = motion.run_pose(spec, geometry, spec.rng("pose", *keys))
    trace = motion.make_trace(spec.rng("motion", *keys), spec)
    receiver = _epi_receiver(spec, geometry, spec.rng("phase", *keys))
    field_hz = field_at(scene, moment.drift_hz)
    pe_step = np.linalg.inv(reference)[:3, :3] @ geometry.epi_affine[:3, 1]
    packed = physics.components(scene, field_hz, pe_step, spec.intensity)
    times = _group_times(spec)
    amplitudes = task.trial_amplitudes(scene.responses, order, spec, spec.rng("trials", *keys))
    onsets = events["onset"].to_numpy(dtype=np.float64)
    bold = task.bold_series(
        amplitudes, scene.responses.hrf_index, onsets, times.ravel(), spec.stimulus_s
    ).reshape(*times.shape, -1)
    fluctuations = make_fluctuations(spec, spec.rng("fluctuations", *keys), times)
    poses = trace.matrices(times, geometry.centre) @ reference
    matrices = physics.acquisition_matrices(scene.affine, poses, geometry.epi_affine)
    still = physics.acquisition_matrices(scene.affine, reference, geometry.epi_affine)
    voxel_of = np.ascontiguousarray(scene.voxel_of.T)
    series = _acquire_series(
        spec, packed, voxel_of, bold, matrices, fluctuations, receiver, spec.rng("thermal", *keys)
    )
    single_band = _acquire_reference(spec, packed, still, receiver, spec.rng("sbref", *keys))
    truth = _truth(spec, geometry, trace, reference, receiver, moment) | {
        "field_hz": physics.on_grid(field_hz, still, spec.epi_shape),
        "brain": physics.on_grid(scene.tissue["brain"], still, spec.epi_shape),
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


def _acquire_series(
    spec: PhantomSpec,
    packed: np.ndarray,
    voxel_of: np.ndarray,
    bold: np.ndarray,
    matrices: np.ndarray,
    fluctuations: Fluctuations,
    receiver: Receiver,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Acquire, add noise to, and digitise every volume of a run."""
    nz, ny, nx = receiver.bias.T.shape
    n_echoes = len(spec.echo_times_s)
    magnitude = np.empty((n_echoes, spec.volumes + spec.noise_volumes, nz, ny, nx), dtype=np.int16)
    phase = np.empty_like(magnitude)
    signal = np.zeros((n_echoes, nz, ny, nx), dtype=np.complex64)
    noise = np.zeros((2, *signal.shape), dtype=np.float32)
    shift = np.zeros((nz, ny, nx), dtype=np.float32)
    bias, coil_phase, gfactor = (
        physics.kernel_layout(v) for v in (receiver.bias, receiver.phase, receiver.gfactor)
    )
    row = np.arange(nz) % bold.shape[1]
    for t in range(magnitude.shape[1]):
        if t < spec.volumes:
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
            rng.standard_normal(dtype=np.float32, out=noise)
        _store(spec, signal, noise, spec.thermal_sigma * gfactor, magnitude[:, t], phase[:, t])
    return magnitude, phase


def _acquire_reference(
    spec: PhantomSpec,
    packed: np.ndarray,
    still: np.ndarray,
    receiver: Receiver,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Acquire the single-band reference: the head keeps still, the noise is low."""
    signal = physics.still_volume(
        packed,
        still,
        receiver,
        echo_times_s=spec.echo_times_s,
        readout_s=signed_readout(spec),
    )
    magnitude = np.empty(signal.shape, dtype=np.int16)
    phase = np.empty_like(magnitude)
    scale = np.full(signal.shape[1:], spec.sbref_noise * spec.thermal_sigma, dtype=np.float32)
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    _store(spec, signal, noise, scale, magnitude, phase)
    return magnitude, phase


def _store(spec, signal, noise, scale, magnitude, phase) -> None:
    """Digitise one volume in the units that the specification asks for."""
    scale = np.asarray(scale, dtype=np.float32)
    kernels.digitise(signal, noise, scale, magnitude, phase, spec.phase_units == "signed")


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
    }
