"""An individual head from the MNI152 template: tissue, field and region maps at any point.

The head frame is the world frame of the subject's T1w image. Millimetres and hertz.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from nibabel import orientations
from scipy import ndimage

from mebold.geometry import affines
from mebold.phantom import nuclei, sources
from mebold.phantom.sources import Sphere
from mebold.phantom.spec import PhantomSpec

_COARSE_MM = 4.0
_SHARPNESS = 5
_HALF_EXTENT_MM = np.array([104.0, 124.0, 108.0])
# Air spaces that disturb the field, MNI mm: position, width, share of the peak, extra R2* in 1/s.
_AIR = (
    ((0.0, 46.0, -34.0), 24.0, 1.0, 55.0),
    ((-54.0, -22.0, -36.0), 18.0, 0.5, 30.0),
    ((54.0, -22.0, -36.0), 18.0, 0.45, 30.0),
)


@dataclass(frozen=True)
class Head:
    """One simulated head.

    Attributes
    ----------
    to_mni : (4, 4) array
        Head point to MNI152 point, without the nonlinear part.
    warp : (x, y, z, 3) float32 array
        Nonlinear part, mm in MNI space, on a grid of the head frame.
    warp_affine : (4, 4) array
        Grid of `warp`.
    centre : (3,) array
        Centre of the brain, head frame: the centre of all simulated rotations.
    field_peak_hz : float
        Largest off-resonance outside the brain's rim; with `air`, what scales the rest of the
        shim only.
    air : tuple of Sphere
        Air spaces without signal that take the place of the smooth hills of field.
    """

    to_mni: np.ndarray
    warp: np.ndarray
    warp_affine: np.ndarray
    centre: np.ndarray
    field_peak_hz: float
    air: tuple[Sphere, ...] = ()

    def mni(self, points: np.ndarray) -> np.ndarray:
        """Return the MNI152 points (N, 3) of head points (N, 3)."""
        index = affines.apply(np.linalg.inv(self.warp_affine), points).T
        moved = [
            ndimage.map_coordinates(self.warp[..., axis], index, order=1, mode="nearest")
            for axis in range(3)
        ]
        return affines.apply(self.to_mni, points) + np.stack(moved, axis=1)

    def from_mni(self, target: np.ndarray) -> np.ndarray:
        """Return the head points (N, 3) of MNI152 points (N, 3)."""
        points = affines.apply(np.linalg.inv(self.to_mni), target)
        for _ in range(5):
            # The deformation changes slowly: what misses the target is nearly the same a step on.
            missing = target - self.mni(points)
            points = points + missing @ np.linalg.inv(self.to_mni[:3, :3]).T
        return points

    def tissue(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Sample the template at head points.

        Parameters
        ----------
        points : (N, 3) array
            Head frame, mm.

        Returns
        -------
        dict of (N,) float32 arrays
            ``gm`` (with the deep nuclei), ``wm``, ``csf``, ``scalp``, ``skull``, ``brain``
            fractions, and of the brain what each of `nuclei.NAMES` fills.
        """
        maps, affine = template()
        index = affines.apply(np.linalg.inv(affine), self.mni(points)).T.astype(np.float32)
        found = {
            name: ndimage.map_coordinates(volume, index, order=1, mode="constant")
            for name, volume in maps.items()
        }
        for sphere in self.air:
            empty = sphere.holds(points)
            for values in found.values():
                values[empty] = 0
        return found

    def field_hz(self, points: np.ndarray) -> np.ndarray:
        """Return the off-resonance (N,) float64 in Hz at head points; smooth without `air`."""
        mni = affines.apply(self.to_mni, points)
        field = np.zeros(len(points))
        for position, width, share, _ in () if self.air else _AIR:
            distance2 = ((mni - position) ** 2).sum(axis=1)
            field += share * np.exp(-distance2 / (2 * width**2))
        # What a first-order shim leaves: a weak slope and a saddle.
        y, z = mni[:, 1] / 100, mni[:, 2] / 100
        field += -0.10 - 0.08 * y + 0.06 * (y**2 - z**2)
        field *= self.field_peak_hz
        for sphere in self.air:
            field += sphere.field_hz(points)
        return field

    def dropout_rate(self, points: np.ndarray) -> np.ndarray:
        """Return the extra R2* (N,) in 1/s that the field's unevenness causes."""
        mni = affines.apply(self.to_mni, points)
        rate = np.zeros(len(points))
        for position, width, _, extra in _AIR:
            distance2 = ((mni - position) ** 2).sum(axis=1)
            rate += extra * np.exp(-distance2 / (2 * (0.7 * width) ** 2))
        return rate


@lru_cache(maxsize=1)
def template() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return template maps at 1 mm with a skull and scalp around the brain."""
    from nilearn import datasets

    image = datasets.load_mni152_template(resolution=1)
    t1 = np.asarray(image.dataobj, dtype=np.float32)
    gm = np.asarray(datasets.load_mni152_gm_template(resolution=1).dataobj, dtype=np.float32)
    wm = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    inside = t1 > 0.05
    # The rim is smooth: half the resolution is enough and eight times cheaper.
    half = ndimage.distance_transform_edt(~inside[::2, ::2, ::2], sampling=2.0)
    grid = np.ix_(*[np.minimum(np.arange(n) / 2, (n - 1) // 2) for n in t1.shape])
    outside = _upsample(half.astype(np.float32), grid)
    total = np.maximum(gm + wm, 1.0)
    gm, wm = gm / total, wm / total
    gm, wm, csf = _sharpened(gm, wm, np.clip(1 - gm - wm, 0, 1))
    deep = nuclei.fractions(t1.shape, image.affine)
    filled = sum(deep.values())
    # Nuclei lie in the brain, and not in its ventricles.
    deep = {name: share * (1 - csf) * inside for name, share in deep.items()}
    gm, wm = gm + wm * filled, wm * (1 - filled)
    maps = deep | {
        "gm": gm * inside,
        "wm": wm * inside,
        "csf": np.where(inside, csf, _window(outside, 0.0, 2.5)),
        "scalp": _window(outside, 8.0, 13.0),
        "skull": _window(outside, 2.5, 8.0),
        "brain": inside.astype(np.float32),
    }
    return {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in maps.items()}, image.affine


def _sharpened(*shares: np.ndarray) -> list[np.ndarray]:
    """Return tissue fractions of one head from how often an average of heads has each tissue.

    A voxel that is grey in 60 % of the heads is grey in most, not 60 % grey in each: tissues meet
    within a voxel or so.
    """
    powers = [share**_SHARPNESS for share in shares]
    total = np.maximum(sum(powers), 1e-12)
    return [power / total for power in powers]


def _upsample(volume: np.ndarray, grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """Interpolate a volume linearly at an open grid of indices, axis after axis."""
    for axis, index in enumerate(grid):
        position = index.ravel()
        low = np.minimum(position.astype(int), volume.shape[axis] - 1)
        high = np.minimum(low + 1, volume.shape[axis] - 1)
        weight = (position - low).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        weight = weight.reshape(shape)
        volume = volume.take(low, axis) * (1 - weight) + volume.take(high, axis) * weight
    return volume


def _window(distance: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Return 1 between two distances from the brain, with edges about 1 mm wide."""
    rise = np.clip(distance - np.float32(start - 0.5), 0, 1)
    return rise * np.clip(np.float32(stop + 0.5) - distance, 0, 1)


def make_head(spec: PhantomSpec, subject: str) -> Head:
    """Draw an individual head: tilted, scaled and nonlinearly deformed template.

    Parameters
    ----------
    spec : PhantomSpec
        `warp_mm`, `field_peak_hz`, `air_spheres` and `seed` are used.
    subject : str
        Label; another label is another head.

    Returns
    -------
    Head
    """
    rng = spec.rng("head", subject)
    angles = np.deg2rad(np.add([7.0, 2.0, -3.0], rng.uniform(-3, 3, 3)))
    shift = np.array([2.0, -11.0, 17.0]) + rng.uniform(-4, 4, 3)
    pose = affines.rigid_matrix([*shift, *angles], np.array([0.0, -16.0, 8.0]))
    scale = np.eye(4)
    scale[:3, :3] = np.diag(1 / rng.uniform(0.95, 1.03, 3))
    to_mni = scale @ np.linalg.inv(pose)
    centre = affines.apply(np.linalg.inv(to_mni), np.array([0.0, -16.0, 8.0]))
    shape, affine = centred_grid(centre, _COARSE_MM, 2 * _HALF_EXTENT_MM + 24)
    warp = np.stack([smooth_noise(rng, shape, 60 / _COARSE_MM) for _ in range(3)], axis=-1)
    head = Head(to_mni, spec.warp_mm * warp, affine, centre, spec.field_peak_hz)
    return replace(head, air=_air_spaces(head)) if spec.air_spheres else head


def _air_spaces(head: Head) -> tuple[Sphere, ...]:
    """Return the air spaces of a head, as far from its deformed brain as in the template."""
    points = head.from_mni(np.array([position for position, _ in sources.AIR_SPACES]))
    return tuple(
        Sphere(point, radius) for point, (_, radius) in zip(points, sources.AIR_SPACES, strict=True)
    )


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], fwhm_voxels: float
) -> np.ndarray:
    """Return Gaussian noise of a given smoothness, mean 0 and SD 1, float32."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, fwhm_voxels / 2.3548, mode="wrap", truncate=3.0)
    return (noise - noise.mean()) / noise.std()


def centred_grid(
    centre: np.ndarray,
    voxel_mm: float,
    extent_mm: np.ndarray,
    *,
    rotation: np.ndarray | None = None,
    flip: tuple[int, int, int] = (1, 1, 1),
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine of an isotropic grid around a point.

    Parameters
    ----------
    centre : (3,) array
        World mm of the middle of the grid.
    voxel_mm : float
        Edge length.
    extent_mm : (3,) array
        Field of view.
    rotation : (3, 3) array, optional
        Axes of the grid; the world axes by default.
    flip : (3,) tuple of {-1, 1}
        Direction of each voxel axis; (-1, 1, 1) is LAS.

    Returns
    -------
    shape : (3,) tuple of int
    affine : (4, 4) float64 array
    """
    shape = tuple(int(n) for n in np.ceil(np.asarray(extent_mm) / voxel_mm - 1e-6))
    affine = np.eye(4)
    axes = np.eye(3) if rotation is None else rotation
    affine[:3, :3] = axes @ np.diag(np.multiply(flip, voxel_mm))
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def oriented_grid(
    shape: tuple[int, int, int], affine: np.ndarray, orientation: str
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine of the same voxels with their axes in another order.

    Parameters
    ----------
    shape : (3,) tuple of int
    affine : (4, 4) array
    orientation : str
        Direction of each voxel axis, e.g. ``PSR``: the first one runs to posterior.

    Returns
    -------
    shape : (3,) tuple of int
    affine : (4, 4) float64 array
    """
    now = orientations.io_orientation(affine)
    change = orientations.ornt_transform(now, orientations.axcodes2ornt(orientation))
    new_shape = tuple(shape[int(axis)] for axis in np.argsort(change[:, 0]))
    return new_shape, affine @ orientations.inv_ornt_aff(change, shape)


def head_grid(head: Head, voxel_mm: float) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape and affine of the grid, in the head frame, that holds the whole head."""
    return centred_grid(head.centre, voxel_mm, 2 * _HALF_EXTENT_MM)


def voxel_tissue(
    head: Head, shape: tuple[int, int, int], affine: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the tissue fractions of the voxels of a grid, averaged over each voxel.

    Parameters
    ----------
    head : Head
    shape, affine : grid, in the head frame

    Returns
    -------
    dict of (x, y, z) float32 arrays
    """
    # The template's voxels are 1 mm: finer points show nothing more.
    n = max(1, round(float(affines.voxel_sizes(affine).max())))
    within = (np.arange(n) + 0.5) / n - 0.5
    total: dict[str, np.ndarray] = {}
    for offset in np.stack(np.meshgrid(within, within, within), axis=-1).reshape(-1, 3):
        moved = affine.copy()
        moved[:3, 3] = affines.apply(affine, offset)
        for name, values in head.tissue(affines.grid_points(shape, moved)).items():
            total[name] = total.get(name, 0) + values / np.float32(n**3)
    return {name: values.reshape(shape) for name, values in total.items()}


def t2w_image(tissue: dict[str, np.ndarray]) -> np.ndarray:
    """Return T2-weighted signal, CSF about 1: the contrast of T1w turned round."""
    return (
        1.0 * tissue["csf"]
        + 0.55 * tissue["gm"]
        + 0.38 * tissue["wm"]
        + 0.35 * tissue["scalp"]
        + 0.06 * tissue["skull"]
    ).astype(np.float32)
