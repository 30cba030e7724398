"""One simulated run (series and SBRef) and one simulated pair of GRE echoes, as arrays."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mebold import affines, phantom_design, phantom_kernels, phantom_motion, phantom_physics
from mebold.phantom_motion import SessionGeometry
from mebold.phantom_physics import Scene
from mebold.phantom_spec import PhantomSpec


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
        From `phantom_physics.make_scene`.
    geometry : SessionGeometry
    moment : Moment
        The run's entry of `session_plan`.
    order : (trials,) int array
        Image of every trial, -1 for blanks.
    events : pandas.DataFrame
        From `phantom_design.events_table`; gives the onsets.
    keys : tuple of str
        Labels of subject, session and run, which choose the random streams.

    Returns
    -------
    Run
    """
    pose_rng = spec.rng("pose", *keys)
    between = phantom_motion.random_pose(pose_rng, spec.run_mm_deg)
    reference = affines.rigid_matrix(between, geometry.centre) @ geometry.pose
    trace = phantom_motion.make_trace(spec.rng("motion", *keys), spec)
    receiver = phantom_physics.make_receiver(
        spec, spec.epi_shape, geometry.epi_affine, geometry.centre
    )
    receiver.phase[...] += np.float32(pose_rng.uniform(-np.pi, np.pi))
    field_hz = phantom_physics.field_at(scene, moment.drift_hz)
    pe_step = np.linalg.inv(reference)[:3, :3] @ geometry.epi_affine[:3, 1]
    packed = phantom_physics.components(scene, field_hz, pe_step, spec.intensity)

    groups = spec.epi_shape[2] // spec.multiband
    times = (
        np.arange(spec.volumes)[:, None] * spec.repetition_time_s
        + spec.slice_times_s[None, :groups]
    )
    amplitudes = phantom_design.trial_amplitudes(
        scene.responses, order, spec, spec.rng("trials", *keys)
    )
    onsets = events["onset"].to_numpy(dtype=np.float64)
    series = phantom_design.bold_series(
        amplitudes, scene.responses.hrf_index, onsets, times.ravel(), spec.stimulus_s
    ).reshape(spec.volumes, groups, -1)
    fluctuations = phantom_physics.make_fluctuations(spec, spec.rng("fluctuations", *keys), times)
    poses = trace.matrices(times, geometry.centre) @ reference
    matrices = phantom_physics.acquisition_matrices(scene.affine, poses, geometry.epi_affine)

    run = _acquire_series(
        spec,
        packed,
        np.ascontiguousarray(scene.voxel_of.T),
        series,
        matrices,
        fluctuations,
        receiver,
        keys,
    )
    run.events = events
    still = phantom_physics.acquisition_matrices(scene.affine, reference, geometry.epi_affine)
    reference_signal = phantom_physics.still_volume(
        packed,
        still,
        receiver,
        echo_times_s=spec.echo_times_s,
        readout_s=signed_readout(spec),
    )
    run.sbref_magnitude, run.sbref_phase = _digitise_one(
        spec, reference_signal, receiver, spec.rng("sbref", *keys)
    )
    run.truth = _truth(spec, geometry, trace, reference, receiver, moment)
    run.truth |= {
        "field_hz": _on_grid(field_hz, still, spec.epi_shape),
        "brain": _on_grid(scene.tissue["brain"], still, spec.epi_shape),
        "field_offset_hz": fluctuations.offset_hz.mean(axis=1),
        "trial_onset_s": onsets,
        "trial_image": np.asarray(order),
        "trial_amplitude": amplitudes,
    }
    return run


def signed_readout(spec: PhantomSpec) -> float:
    """Return the displacement along the second axis in voxels per Hz."""
    return -spec.readout_time_s if spec.phase_encoding.endswith("-") else spec.readout_time_s


def _acquire_series(spec, packed, voxel_of, series, matrices, fluctuations, receiver, keys) -> Run:
    """Acquire, add noise to, and digitise every volume of a run."""
    nz, ny, nx = receiver.bias.T.shape
    n_echoes = len(spec.echo_times_s)
    n_volumes = spec.volumes + spec.noise_volumes
    magnitude = np.empty((n_echoes, n_volumes, nz, ny, nx), dtype=np.int16)
    phase = np.empty_like(magnitude)
    signal = np.zeros((n_echoes, nz, ny, nx), dtype=np.complex64)
    shift = np.zeros((nz, ny, nx), dtype=np.float32)
    noise = np.zeros((2, *signal.shape), dtype=np.float32)
    bias = phantom_physics.kernel_layout(receiver.bias)
    coil_phase = phantom_physics.kernel_layout(receiver.phase)
    scale = spec.thermal_sigma * phantom_physics.kernel_layout(receiver.gfactor)
    row = np.arange(nz) % series.shape[1]
    rng = spec.rng("thermal", *keys)
    echo_times = np.array(spec.echo_times_s, dtype=np.float64)
    bold_te = spec.echo_times_s[min(1, n_echoes - 1)]
    for t in range(n_volumes):
        if t < spec.volumes:
            phantom_kernels.acquire(
                packed,
                voxel_of,
                series[t],
                np.ascontiguousarray(matrices[t, row]),
                fluctuations.log_s0[t, row],
                fluctuations.r2star[t, row],
                fluctuations.offset_hz[t, row],
                signed_readout(spec),
                echo_times,
                bold_te,
                bias,
                coil_phase,
                shift,
                signal,
            )
        else:
            signal[:] = 0
        if spec.thermal_sigma > 0:
            rng.standard_normal(dtype=np.float32, out=noise)
        phantom_kernels.digitise(
            signal, noise, scale, magnitude[:, t], phase[:, t], spec.phase_units == "signed"
        )
    return Run(magnitude, phase, magnitude[:, 0], phase[:, 0], pd.DataFrame())


def _digitise_one(spec, signal, receiver, rng) -> tuple[np.ndarray, np.ndarray]:
    """Add the low noise of an SBRef and store its magnitude and phase."""
    magnitude = np.empty(signal.shape, dtype=np.int16)
    phase = np.empty_like(magnitude)
    scale = (
        spec.sbref_noise
        * spec.thermal_sigma
        * phantom_physics.kernel_layout(np.ones_like(receiver.gfactor))
    )
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    phantom_kernels.digitise(signal, noise, scale, magnitude, phase, spec.phase_units == "signed")
    return magnitude, phase


def _on_grid(volume: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sample a head-grid map at the undistorted voxels of a still acquisition grid."""
    from scipy import ndimage

    index = np.indices(shape).reshape(3, -1)
    position = matrix[:, :3] @ index + matrix[:, 3:]
    values = ndimage.map_coordinates(volume, position, order=1, mode="nearest")
    return values.reshape(shape).astype(np.float32)


def _truth(spec, geometry, trace, reference, receiver, moment) -> dict[str, np.ndarray]:
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


@dataclass
class Fieldmap:
    """One simulated dual-echo GRE field map; ``.T`` of the arrays is (x, y, z).

    Attributes
    ----------
    magnitude1, magnitude2, phasediff : (z, y, x) int16 arrays
    truth : dict
        ``affine``, ``t1w_to_gre`` (4, 4), ``field_hz`` (x, y, z), ``start_s``, ``drift_hz``.
    """

    magnitude1: np.ndarray
    magnitude2: np.ndarray
    phasediff: np.ndarray
    truth: dict[str, np.ndarray]


def simulate_fieldmap(
    spec: PhantomSpec,
    scene: Scene,
    geometry: SessionGeometry,
    moment: Moment,
    keys: tuple[str, ...],
) -> Fieldmap:
    """Simulate one undistorted dual-echo GRE acquisition and its phase difference.

    Parameters
    ----------
    spec : PhantomSpec
    scene : Scene
    geometry : SessionGeometry
    moment : Moment
        The map's entry of `session_plan`.
    keys : tuple of str
        Labels of subject, session and map.

    Returns
    -------
    Fieldmap
    """
    rng = spec.rng("fieldmap", *keys)
    pose = (
        affines.rigid_matrix(phantom_motion.random_pose(rng, spec.run_mm_deg), geometry.centre)
        @ geometry.pose
    )
    receiver = phantom_physics.make_receiver(
        spec, geometry.gre_shape, geometry.gre_affine, geometry.centre
    )
    field_hz = phantom_physics.field_at(scene, moment.drift_hz)
    packed = phantom_physics.components(scene, field_hz, np.zeros(3), spec.intensity)
    matrix = phantom_physics.acquisition_matrices(scene.affine, pose, geometry.gre_affine)
    echoes = phantom_physics.still_volume(
        packed, matrix, receiver, echo_times_s=spec.gre_echo_times_s
    )
    noise = rng.standard_normal((2, *echoes.shape), dtype=np.float32)
    echoes = echoes + np.float32(spec.sbref_noise * spec.thermal_sigma) * (noise[0] + 1j * noise[1])
    first, second = np.minimum(np.abs(echoes) + 0.5, 4095).astype(np.int16)
    angle = np.angle(echoes[1] * np.conj(echoes[0]))
    code = np.floor((angle + np.pi) * (2048 / np.pi) + 0.5).astype(np.int32) & 4095
    if spec.phasediff_units == "signed":
        code = 2 * code - 4096
    truth = {
        "affine": geometry.gre_affine,
        "t1w_to_gre": pose,
        "field_hz": _on_grid(field_hz, matrix, geometry.gre_shape),
        "start_s": np.array(moment.start_s),
        "drift_hz": np.array(moment.drift_hz),
    }
    return Fieldmap(first, second, code.astype(np.int16), truth)
