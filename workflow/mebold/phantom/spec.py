"""Parameters of the simulated multi-echo dataset, and the ready-made sizes."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from mebold.errors import ConfigError


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that decides what the simulator writes; see the comments for units.

    Two specifications that differ only in `thermal_sigma` give series that differ only by
    thermal noise: each source of randomness has its own stream (`PhantomSpec.rng`).
    """

    size: str = "demo"
    seed: int = 0
    subjects: tuple[str, ...] = ("01",)
    sessions: tuple[str, ...] = ("01", "02")
    runs: int = 3
    task: str = "images"

    # Echo-planar series
    epi_shape: tuple[int, int, int] = (50, 62, 36)
    epi_voxel_mm: float = 3.4
    epi_angles_deg: tuple[float, float, float] = (-10.4, 1.1, 0.0)
    slab_offset_mm: float = 5.0  # slab centre above the brain centre
    volumes: int = 100  # of the task; noise volumes come after them
    noise_volumes: int = 0
    repetition_time_s: float = 1.9
    echo_times_s: tuple[float, ...] = (0.0110, 0.02882, 0.04662)
    multiband: int = 3
    readout_time_s: float = 0.0215
    phase_encoding: str = "j-"
    flip_angle_deg: float = 65.0
    sbref_echoes: tuple[int, ...] = ()  # echoes whose SBRef is kept, from 1; () keeps all

    # Anatomy and field maps
    head_mm: float = 2.0  # grid on which the head is described for EPI and GRE
    t1w_mm: float = 1.8
    t1w_fov_mm: tuple[float, float, float] = (184.0, 226.0, 184.0)
    t1w_orientation: str = "RAS"  # direction of the voxel axes
    t2w_orientation: str = "LAS"
    t2w_voxel_scale: float = 1.15  # T2w voxel over T1w voxel
    scanner_offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of EPI and GRE from the T1w
    t2w_offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of the T2w from the T1w
    t1w_times_s: tuple[float, float] = (1.3, 2.6)  # inversion time, repetition time
    t1_deep_s: tuple[float, float, float, float] = (1.55, 1.7, 1.35, 1.75)  # see `nuclei.NAMES`
    inversion_loss: float = 0.2  # of the inversion's efficiency where the transmit field is weak
    warp_mm: float = 3.0  # SD of the individual deformation of the template
    surfaces: bool = False  # a FreeSurfer folder of each subject in derivatives/freesurfer
    fieldmaps: int = 2  # per session
    gre_voxel_scale: float = 1.2  # GRE voxel over EPI voxel
    gre_voxel_mm: float | None = None  # takes the place of `gre_voxel_scale`
    gre_echo_times_s: tuple[float, float] = (0.0050, 0.00602)
    gre_repetition_time_s: float = 0.7
    gre_flip_angle_deg: float = 35

    # MP2RAGE instead of the T1w, in the place of an MPRAGE
    mp2rage: bool = False
    mp2rage_repetition_time_s: float = 5.0  # from inversion to inversion
    mp2rage_excitation_s: float = 0.0068  # from excitation to excitation
    mp2rage_inversion_times_s: tuple[float, float] = (0.9, 2.75)  # to the middle of each train
    mp2rage_flip_angles_deg: tuple[float, float] = (5.0, 3.0)
    mp2rage_shots: tuple[int, int] = (60, 100)  # excitations before and from the middle on
    mp2rage_efficiency: float = 0.96  # of the inversion
    mp2rage_transmit_spread: float = 0.5  # B1+ at the brightest point over that far away
    mp2rage_snr: float = 45.0  # of white matter in the second image

    # Multi-echo gradient echo in the folder of the anatomy; no echo times: none
    megre_echo_times_s: tuple[float, ...] = ()
    megre_voxel_mm: float = 2.5
    megre_snr: float = 80.0  # of grey matter at echo time 0
    megre_names_runs: bool = False  # IntendedFor, so that it serves as a field map

    # Signal
    intensity: float = 1500.0  # stored units for grey-matter-like S0 = 1 and unit bias
    t2star_s: tuple[float, float, float, float] = (0.090, 0.033, 0.027, 0.012)  # CSF GM WM scalp
    saturation: bool = False  # T1 and flip angle decide the contrast; SBRefs are relaxed
    t1_s: tuple[float, float, float, float] = (4.4, 2.1, 1.2, 0.6)  # CSF GM WM scalp
    non_steady_volumes: int = 0  # volumes that approach the steady state; needs `saturation`
    field_peak_hz: float = 110.0
    air_spheres: bool = False  # field of air-filled spheres instead of smooth hills
    dephasing: bool = False  # dropout by the field's slope through the slice, not by extra R2*
    field_drift_hz: float = 4.0  # over a session
    bias_strength: float = 0.45
    coil_elements: int = 0  # loops of an array coil, instead of a smooth bias
    thermal_sigma: float = 28.0  # SD of real and of imaginary part, stored units, where g = 1
    gfactor_peak: float = 1.8
    sbref_noise: float = 0.35  # noise SD of SBRef and GRE images over `thermal_sigma`
    t1w_noise: float = 0.03  # SD over the signal of white matter where the bias is 1
    noise_partial_fourier: float = 1.0  # acquired over all lines; below 1 noise is correlated

    # Fluctuations: SD of log signal (S0-like) or of TE x dR2* at echo 2
    drift_percent: float = 0.8
    cardiac_percent: float = 0.8
    respiratory_percent: float = 0.4
    resting_percent: float = 0.8
    field_offset_hz: float = 0.4  # SD of the uniform field drift inside a run

    # Motion
    session_mm_deg: float = 3.0
    run_mm_deg: float = 0.6
    within_run_mm_deg: float = 0.15
    jerk_mm_deg: float = 0.2
    jerks: int = 2
    run_offsets_mm_deg: tuple[tuple[float, ...], ...] = ()  # per run, three mm and three degrees

    # Task
    baseline_s: float = 12.0
    trial_s: float = 3.0
    stimulus_s: float = 2.5
    trials: int = 57  # per run, blanks included
    blanks: int = 5  # per run
    rare_images: int = 30  # shown twice a session
    frequent_images: int = 16
    frequent_shows: int = 6  # a session
    response_percent: float = 1.6  # mean response at echo 2
    image_sd: float = 0.7  # SD over images over the mean response
    trial_sd: float = 0.35  # SD over repeats of one image over the mean response
    latent_dimensions: int = 10
    smooth_mm: float = 10.0  # FWHM of response patterns over space
    aborted_volumes: int = 0  # the last run of each session stops after so many; 0: it does not

    # Localizer: blocks of categories, in runs after those of the task
    localizer_runs: int = 0  # per session
    localizer_task: str = "floc"
    localizer_volumes: int = 128
    localizer_block_s: float = 12.0
    localizer_radius_mm: float = 16.0  # of the balls that prefer a category
    localizer_percent: tuple[float, float] = (5.0, 2.0)  # preferred category, others
    localizer_lacks: str = ""  # a category that the last of these runs does not show

    # Storage
    phase_units: str = "unsigned"  # BOLD, SBRef: 0..4095; "signed": -4096..4094 (both: -pi..pi)
    phasediff_units: str = "signed"
    zero_background: bool = False  # EPI and GRE are 0 outside the head, as GE and Philips write
    single_volume_4d: bool = False  # SBRef, GRE and anatomy are (x, y, z, 1)

    def __post_init__(self) -> None:
        """Refuse parameters that contradict each other."""
        if self.phase_encoding not in ("j", "j-"):
            msg = f"phase_encoding is {self.phase_encoding!r}; the phantom knows 'j' and 'j-'"
            raise ConfigError(msg)
        if self.epi_shape[2] % self.multiband:
            msg = f"{self.epi_shape[2]} slices cannot be split over multiband {self.multiband}"
            raise ConfigError(msg)
        shown = 2 * self.rare_images + self.frequent_shows * self.frequent_images
        if shown != self.runs * (self.trials - self.blanks):
            msg = (
                f"{shown} presentations (2 x rare_images + frequent_shows x frequent_images) do "
                f"not fill {self.runs} runs of {self.trials - self.blanks} image trials"
            )
            raise ConfigError(msg)
        for name in ("phase_units", "phasediff_units"):
            if getattr(self, name) not in ("unsigned", "signed"):
                msg = f"{name} is {getattr(self, name)!r}; accepted: 'unsigned', 'signed'"
                raise ConfigError(msg)
        self._check_scanner()

    def _check_scanner(self) -> None:
        """Refuse what no scanner does."""
        if self.non_steady_volumes and not self.saturation:
            msg = "non_steady_volumes needs saturation=True: without T1 every volume is steady"
            raise ConfigError(msg)
        if not set(self.sbref_echoes) <= set(range(1, len(self.echo_times_s) + 1)):
            msg = f"sbref_echoes is {self.sbref_echoes}; there are {len(self.echo_times_s)} echoes"
            raise ConfigError(msg)
        if not 0.5 < self.noise_partial_fourier <= 1:
            msg = f"noise_partial_fourier is {self.noise_partial_fourier}; accepted: 0.5 to 1"
            raise ConfigError(msg)
        if self.surfaces and self.mp2rage:
            msg = "surfaces needs the T1w that mp2rage leaves out: FreeSurfer starts from it"
            raise ConfigError(msg)
        if any(len(offset) != 6 for offset in self.run_offsets_mm_deg):
            msg = "run_offsets_mm_deg: each run has three millimetres and three degrees"
            raise ConfigError(msg)

    def of_run(self, index: int) -> "PhantomSpec":
        """Return the specification of one run of a session, 0-based, the localizer's at the end.

        An aborted one is shorter.
        """
        if self.aborted_volumes and index == self.runs - 1:
            return replace(self, volumes=self.aborted_volumes)
        if index >= self.runs:
            return replace(self, volumes=self.localizer_volumes, task=self.localizer_task)
        return self

    def run_offset(self, index: int) -> np.ndarray:
        """Return how far the head of one run lies from its usual place, (6,) mm and radians."""
        if index >= len(self.run_offsets_mm_deg):
            return np.zeros(6)
        offset = np.array(self.run_offsets_mm_deg[index], dtype=np.float64)
        offset[3:] = np.deg2rad(offset[3:])
        return offset

    @property
    def shown_trials(self) -> int:
        """Trials that begin before the last volume of a run ends."""
        room = self.volumes * self.repetition_time_s - self.baseline_s
        return min(self.trials, int(np.ceil(room / self.trial_s)))

    @property
    def sbref_kept(self) -> tuple[int, ...]:
        """Echoes whose SBRef is written, 0-based."""
        numbers = self.sbref_echoes or range(1, len(self.echo_times_s) + 1)
        return tuple(number - 1 for number in numbers)

    @property
    def gre_mm(self) -> float:
        """Edge of the voxel of the field maps."""
        return self.gre_voxel_mm or self.epi_voxel_mm * self.gre_voxel_scale

    @property
    def bold_te_s(self) -> float:
        """Echo time of the second echo (of the only one), at which percents are stated."""
        return self.echo_times_s[min(1, len(self.echo_times_s) - 1)]

    @property
    def slice_times_s(self) -> np.ndarray:
        """(z,) start of each slice after the start of its volume: odd groups first."""
        groups = self.epi_shape[2] // self.multiband
        order = np.concatenate([np.arange(0, groups, 2), np.arange(1, groups, 2)])
        step = np.floor(self.repetition_time_s / groups / 0.0025) * 0.0025
        times = np.empty(groups)
        times[order] = step * np.arange(groups)
        return np.round(np.tile(times, self.multiband), 4)

    def rng(self, *keys: int | str) -> np.random.Generator:
        """Return the random stream of one purpose, the same whatever else is simulated."""
        words = [self.seed]
        for key in keys:
            words.extend(key.encode() if isinstance(key, str) else [int(key)])
        return np.random.default_rng(words)

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters as JSON-ready values."""
        return asdict(self)


_TINY: dict[str, Any] = {
    "runs": 2,
    "epi_shape": (28, 34, 18),
    "epi_voxel_mm": 6.3,
    "slab_offset_mm": 10.0,
    "volumes": 48,
    "head_mm": 3.0,
    "t1w_mm": 3.0,
    "trials": 24,
    "blanks": 2,
    "rare_images": 10,
    "frequent_images": 6,
    "frequent_shows": 4,
    "gre_voxel_scale": 1.0,
    "field_peak_hz": 80.0,
    "smooth_mm": 14.0,
}

_SIZES: dict[str, dict[str, Any]] = {
    # At 3.4 mm a NORDIC patch spans 34 mm, so fewer of its voxels respond than at 1.8 mm: as many
    # responses stay above the noise edge only if they are larger and share fewer dimensions.
    "demo": {"response_percent": 3.5, "latent_dimensions": 3},
    "tiny": _TINY,
    # As few jobs as statistics across subjects allow: a bootstrap over runs needs three. Not
    # coarser, because a NORDIC patch has 11 voxels per volume: at 6.3 mm it spans 50 mm, and the
    # responses in it fall below the noise edge. Here it spans 40 mm, and responses as in the demo
    # would still be lost in one of the five. More blanks than the demo has make up for shorter
    # runs in the visual region: with 4 blanks in 70 volumes up to 44 % of it did not respond.
    "group": {
        "subjects": ("01", "02", "03", "04", "05"),
        "sessions": ("01",),
        "epi_shape": (40, 50, 30),
        "epi_voxel_mm": 4.2,
        "volumes": 80,
        "head_mm": 2.5,
        "t1w_mm": 2.5,
        "gre_voxel_scale": 1.0,
        "trials": 46,
        "blanks": 8,
        "rare_images": 18,
        "frequent_images": 13,
        "response_percent": 5.0,
        "latent_dimensions": 3,
    },
    "full": {
        "sessions": ("01",),
        "runs": 1,
        "epi_shape": (90, 110, 72),
        "epi_voxel_mm": 1.8,
        "volumes": 160,
        "head_mm": 1.5,
        "t1w_mm": 1.0,
        "trials": 95,
        "blanks": 7,
        "rare_images": 20,
        "frequent_images": 16,
        "frequent_shows": 3,
        "smooth_mm": 8.0,
    },
    # What a scanner does and the others leave out: every way in which images of one head differ
    # in contrast, field, place and completeness. The third run loses the top of the brain; the
    # last is aborted 2 s after an onset, which 50 volumes of 1.9 s are.
    "scanner": {
        "sessions": ("01",),
        "runs": 4,
        "epi_shape": (56, 66, 36),
        "multiband": 4,
        "volumes": 84,
        "sbref_echoes": (2,),
        "t1w_mm": 2.0,
        "t1w_orientation": "PSR",
        "t2w_voxel_scale": 0.8,
        "scanner_offset_mm": (12.0, -65.0, 25.0),
        "t2w_offset_mm": (-20.0, 30.0, -60.0),
        "gre_voxel_mm": 3.9,
        "gre_repetition_time_s": 0.55,
        "gre_flip_angle_deg": 50.0,
        "intensity": 1400.0,
        "saturation": True,
        "non_steady_volumes": 4,
        "field_peak_hz": 140.0,
        "air_spheres": True,
        "dephasing": True,
        "coil_elements": 32,
        "thermal_sigma": 14.0,
        "noise_partial_fourier": 0.75,
        "run_offsets_mm_deg": ((0.0,) * 6, (0.0,) * 6, (4.0, -6.0, 30.0, 5.0, 0.0, 0.0)),
        "trials": 45,
        "blanks": 4,
        "rare_images": 34,
        "frequent_images": 16,
        "response_percent": 3.5,
        "latent_dimensions": 3,
        "aborted_volumes": 50,
        "zero_background": True,
        "single_volume_4d": True,
    },
}
SIZES = tuple(_SIZES)


def make_spec(size: str = "demo", **changes: Any) -> PhantomSpec:
    """Return the specification of a ready-made size with some parameters changed.

    Parameters
    ----------
    size : {"tiny", "group", "demo", "full", "scanner"}
        ``tiny`` is written in seconds; ``demo`` covers a brain at 3.4 mm; ``group`` has five
        subjects at 4.2 mm, one session each; ``full`` has the matrix of the 7T protocol, one run;
        ``scanner`` has all that the others leave out, four runs at 3.4 mm.
    **changes
        Fields of `PhantomSpec`.

    Returns
    -------
    PhantomSpec

    Raises
    ------
    ConfigError
        Unknown size or field, or values that contradict each other.
    """
    if size not in _SIZES:
        msg = f"size is {size!r}; accepted: {', '.join(_SIZES)}"
        raise ConfigError(msg)
    unknown = set(changes) - {field.name for field in fields(PhantomSpec)}
    if unknown:
        msg = f"the phantom has no parameter {', '.join(sorted(unknown))}"
        raise ConfigError(msg)
    return replace(PhantomSpec(), size=size, **{**_SIZES[size], **changes})
