"""Measure motion estimation, the single interpolation and slice timing beside other programs.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 \
        PYTHONPATH=workflow python benchmarks/geometry.py [--small] [--only NAME]

One head of the phantom, sampled at 90 x 110 x 72 voxels of 1.8 mm, oblique, cut by the slab, with
a receive bias fixed to the scanner and Rician noise. Every volume is sampled from the head itself.
CPU seconds are those of one thread after compilation, user and system; each engine runs in a
process of its own, so that its peak memory is its own. Prints a Markdown table.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import peak

from mebold.files import transforms
from mebold.geometry import affines
from mebold.hmc import track
from mebold.phantom import anatomy
from mebold.phantom.spec import make_spec
from mebold.resample import interpolate, samples, slice_timing

READOUT_S = 0.0215
TR, TR_OUT = 1.9, 1.0


def cpu_seconds(*, system: bool = True) -> float:
    """Return the CPU seconds of this process so far, with or without those of the kernel."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + (usage.ru_stime if system else 0.0)


class Case:
    """Geometry and volumes of the benchmark."""

    def __init__(self, *, small: bool):
        self.spec = make_spec("full")
        self.shape = (36, 44, 29) if small else (90, 110, 72)
        self.voxel = 4.5 if small else 1.8
        self.n_motion = 6 if small else 24
        self.head = anatomy.make_head(self.spec, "01")
        tilt = np.deg2rad([-10.4, 1.1, 0.0])
        offset = self.head.centre + np.array([0.0, 0.0, 5.0])
        half = (np.array(self.shape) - 1) / 2
        place = np.diag([-self.voxel, self.voxel, self.voxel, 1.0])  # LAS
        place[:3, 3] = -place[:3, :3] @ half
        turn = affines.rigid_matrix(np.r_[offset, tilt], np.zeros(3))
        self.affine = turn @ place
        self.points = affines.grid_points(self.shape, self.affine)
        far = np.linalg.norm(self.points - offset - [40.0, 80.0, 60.0], axis=1)
        self.bias = 0.6 + 1.1 * np.exp(-0.5 * (far / 90.0) ** 2)

    def clean(self, matrix=None) -> np.ndarray:
        """Return the noiseless volume (V,) of a head moved by a point map."""
        points = self.points
        if matrix is not None:
            points = affines.apply(np.linalg.inv(matrix), points)
        t = self.head.tissue(points)
        signal = 1.35 * t["csf"] + 1.0 * t["gm"] + 0.72 * t["wm"] + 0.25 * t["scalp"]
        signal = (
            signal * (1.0 + 0.3 * (t["t1"] - 0.5)) * np.exp(-0.02 * self.head.dropout_rate(points))
        )
        return 1000.0 * signal * self.bias

    def volume(self, rng, matrix=None, *, tsnr=40.0) -> np.ndarray:
        """Return a noisy float32 volume of the moved head."""
        clean = self.clean(matrix)
        sigma = 1000.0 / tsnr
        noisy = np.hypot(
            clean + rng.normal(0, sigma, clean.shape), rng.normal(0, sigma, clean.shape)
        )
        return noisy.reshape(self.shape).astype(np.float32)

    def brain(self) -> np.ndarray:
        """Return the mask (x, y, z) of the brain."""
        return self.head.tissue(self.points)["brain"].reshape(self.shape) > 0.5

    def motion_run(self):
        """Return reference, series and true matrices, rotations about the centre of the head."""
        rng = np.random.default_rng(3)
        size = np.where(np.arange(self.n_motion) % 3 == 0, 0.2, 1.0)
        truth = []
        for s in size:
            p = rng.uniform(-s, s, 6)
            p[3:] = np.deg2rad(p[3:])
            truth.append(affines.rigid_matrix(p, self.head.centre))
        series = np.empty((*self.shape, self.n_motion), np.float32, order="F")
        for t, matrix in enumerate(truth):
            series[..., t] = self.volume(rng, matrix)
        return self.volume(rng, tsnr=80.0), series, np.array(truth)

    def target(self):
        """Return the points of a brain mask, dilated by 2, on a 1.778 mm grid of the head."""
        from scipy import ndimage

        size = 4.5 if self.voxel > 2 else 1.778
        n = round(143 * 1.778 / size)
        affine = np.diag([size, size, size, 1.0])
        affine[:3, 3] = self.head.centre - affine[:3, :3] @ np.full(3, (n - 1) / 2)
        grid = affines.grid_points((n, n, n), affine)
        inside = self.head.tissue(grid)["brain"].reshape(n, n, n) > 0.5
        mask = ndimage.binary_dilation(inside, iterations=2)
        return affine, (n, n, n), mask, grid[mask.ravel()]


def errors_um(case, matrices, truth):
    """Return the displacement errors over the voxels of the brain, micrometres."""
    points = case.points[case.brain().ravel()]
    errors = [affines.displacements(m, t, points) for m, t in zip(matrices, truth, strict=True)]
    errors = 1000 * np.array(errors)
    return {
        "median um": np.median(errors),
        "p95 um": np.percentile(errors, 95),
        "worst um": errors.max(),
    }


def motion_mebold(case, *, fwhm_mm=3.0):
    """Fit every volume; preparing the reference is part of the time."""
    reference, series, truth = case.motion_run()
    mask = case.brain()
    track.track(series[..., :2], reference, case.affine, mask=mask, fwhm_mm=fwhm_mm)
    start = cpu_seconds()
    motion = track.track(series, reference, case.affine, mask=mask, fwhm_mm=fwhm_mm)
    seconds = cpu_seconds() - start
    return {"CPU s/volume": seconds / len(truth)} | errors_um(case, motion.matrices, truth)


def motion_mebold_unsmoothed(case):
    """Fit without smoothing."""
    return motion_mebold(case, fwhm_mm=0.0)


def _ants_image(volume, affine):
    import ants

    directions = affine[:3, :3] / affines.voxel_sizes(affine)
    lps = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        np.ascontiguousarray(volume),
        origin=tuple(lps @ affine[:3, 3]),
        spacing=tuple(affines.voxel_sizes(affine)),
        direction=lps @ directions,
    )


def motion_ants(case):
    """Register four volumes by ants with its defaults for rigid transforms."""
    import ants

    reference, series, truth = case.motion_run()
    fixed = _ants_image(reference, case.affine)
    mask = _ants_image(case.brain().astype(np.float32), case.affine)
    found, seconds, n = [], 0.0, 4
    for t in range(n):
        moving = _ants_image(series[..., t], case.affine)
        start = cpu_seconds()
        result = ants.registration(fixed, moving, "Rigid", mask=mask, random_seed=1)
        seconds += cpu_seconds() - start
        transform = ants.read_transform(result["fwdtransforms"][0])
        found.append(affines.ras_to_lps(_itk_matrix(transform)))
    return {"CPU s/volume": seconds / n} | errors_um(case, found, truth[:n])


def _itk_matrix(transform):
    """Return the 4 x 4 LPS point map of an ITK matrix-offset transform."""
    parameters, centre = np.array(transform.parameters), np.array(transform.fixed_parameters[:3])
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return matrix


def motion_simpleitk(case):
    """Register four volumes by correlation on 30 % of the voxels."""
    import SimpleITK

    reference, series, truth = case.motion_run()
    fixed = _sitk_image(reference, case.affine)
    mask = _sitk_image(case.brain().astype(np.uint8), case.affine)
    found, seconds, n = [], 0.0, 4
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    for t in range(n):
        moving = _sitk_image(series[..., t], case.affine)
        start = cpu_seconds()
        method = SimpleITK.ImageRegistrationMethod()
        method.SetMetricAsCorrelation()
        method.SetMetricFixedMask(mask)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(0.3, 1)
        method.SetInterpolator(SimpleITK.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(0.5, 1e-4, 60)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([2, 1])
        method.SetSmoothingSigmasPerLevel([1.5, 0.8])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        initial = SimpleITK.CenteredTransformInitializer(fixed, fixed, SimpleITK.Euler3DTransform())
        method.SetInitialTransform(initial, inPlace=False)
        result = method.Execute(fixed, moving)
        seconds += cpu_seconds() - start
        origin = np.array(result.TransformPoint((0.0, 0.0, 0.0)))
        columns = [np.array(result.TransformPoint(tuple(row))) - origin for row in np.eye(3)]
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.array(columns).T, origin
        found.append(affines.ras_to_lps(matrix))
    return {"CPU s/volume": seconds / n} | errors_um(case, found, truth[:n])


def _sitk_image(volume, affine):
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.T))
    lps = np.diag([-1.0, -1.0, 1.0])
    image.SetOrigin(tuple(lps @ affine[:3, 3]))
    image.SetSpacing(tuple(affines.voxel_sizes(affine)))
    image.SetDirection((lps @ (affine[:3, :3] / affines.voxel_sizes(affine))).ravel())
    return image


def _chain(case):
    """Return points, field at them, two motions, and a series of one volume."""
    rng = np.random.default_rng(5)
    affine, shape, mask, points = case.target()
    motion = affines.rigid_matrix([0.5, -0.4, 0.3, 0.01, -0.008, 0.006], case.head.centre)
    to_boldref = affines.rigid_matrix([2.0, 1.0, -1.5, 0.03, 0.02, -0.02], case.head.centre)
    field = case.head.field_hz(points)
    return case.volume(rng), points, field, motion, to_boldref, (affine, shape, mask)


def _voxels(case, points, field, motion, to_boldref):
    voxel = affines.apply(np.linalg.inv(case.affine) @ motion @ to_boldref, points)
    voxel[:, 1] -= READOUT_S * field
    return voxel.T


def _difference(case, values, volume, points, field, motion, to_boldref):
    """Return rms difference from scipy in float64 over points inside the field of view."""
    from scipy import ndimage

    voxel = _voxels(case, points, field, motion, to_boldref)
    exact = ndimage.map_coordinates(volume.astype(np.float64), voxel, order=3, mode="mirror")
    limit = np.array(case.shape)[:, np.newaxis] - 0.5
    inside = np.all((voxel >= -0.5) & (voxel <= limit), axis=0)
    return float(np.sqrt(np.mean((values - exact)[inside] ** 2)) / exact[inside].mean())


def resample_mebold(case, *, echoes=3, order=3):
    """Interpolate 48 volumes of three echoes in the mask."""
    volume, points, field, motion, to_boldref, _ = _chain(case)
    n = 48
    series = np.empty((*case.shape, n), np.float32, order="F")
    series[...] = volume[..., np.newaxis]
    options = {
        "motion": np.repeat(motion[np.newaxis], n, axis=0), "to_boldref": to_boldref,
        "field_hz": field, "direction": "j-", "readout_s": READOUT_S, "order": order,
    }  # fmt: skip
    # The first call compiles, and has a virtual machine hand out its memory for the first time.
    interpolate.resample_series([series] * echoes, case.affine, points, **options)
    start, user = cpu_seconds(), cpu_seconds(system=False)
    out = interpolate.resample_series([series] * echoes, case.affine, points, **options)
    seconds, user = cpu_seconds() - start, cpu_seconds(system=False) - user
    difference = _difference(case, out[-1, :, -1], volume, points, field, motion, to_boldref)
    return {
        "CPU ms/volume/echo": 1000 * seconds / (n * echoes),
        "without the kernel": 1000 * user / (n * echoes),
        "voxels": len(points),
        "rms difference": difference,
    }


def resample_mebold_one_echo(case):
    """Interpolate 48 volumes of one echo in the mask."""
    return resample_mebold(case, echoes=1)


def resample_scipy(case):
    """Interpolate in the mask by map_coordinates, coordinates included."""
    from scipy import ndimage

    volume, points, field, motion, to_boldref, _ = _chain(case)
    start = cpu_seconds()
    for _repeat in range(3):
        voxel = _voxels(case, points, field, motion, to_boldref).astype(np.float32)
        out = ndimage.map_coordinates(volume, voxel, order=3, mode="mirror", output=np.float32)
    seconds = cpu_seconds() - start
    difference = _difference(case, out, volume, points, field, motion, to_boldref)
    return {
        "CPU ms/volume/echo": 1000 * seconds / 3,
        "voxels": len(points),
        "rms difference": difference,
    }


def resample_ants(case):
    """Rigid part only, on the whole grid: what one ants call costs without any field."""
    import tempfile

    import ants

    volume, points, field, motion, to_boldref, (affine, shape, mask) = _chain(case)
    fixed = _ants_image(np.zeros(shape, np.float32), affine)
    moving = _ants_image(volume, case.affine)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rigid_xfm.txt"
        transforms.save_xfm(path, motion @ to_boldref)
        start = cpu_seconds()
        out = ants.apply_transforms(fixed, moving, [str(path)], interpolator="bSpline").numpy()
        seconds = cpu_seconds() - start
    difference = _difference(case, out[mask], volume, points, 0 * field, motion, to_boldref)
    return {
        "CPU ms/volume/echo": 1000 * seconds,
        "voxels": int(np.prod(shape)),
        "rms difference": difference,
    }


def _stc_run(case):
    rng = np.random.default_rng(9)
    n = 20 if case.voxel > 2 else 163
    series = np.empty((*case.shape, n), np.float32, order="F")
    for t in range(n):
        series[..., t] = rng.normal(1000, 30, case.shape)
    groups = max(1, case.shape[2] // 3)
    times = np.resize(np.arange(groups) * TR / groups, case.shape[2])
    return series, times


def stc_mebold(case, method="cubic"):
    """Resample one echo of one run in time, in blocks, as the interpolation in space reads it."""
    series, times = _stc_run(case)
    options = {"tr": TR, "tr_out": TR_OUT, "method": method}
    slice_timing.correct(series[:2, :2], times, **options)
    start, user = cpu_seconds(), cpu_seconds(system=False)
    corrected = slice_timing.Corrected(series, times, **options)
    samples = corrected.shape[3]
    for first in range(0, samples, 16):
        corrected[..., first : first + 16]
    return {
        "CPU s/echo-run": cpu_seconds() - start,
        "without the kernel": cpu_seconds(system=False) - user,
        "samples": samples,
    }


def stc_mebold_whole(case):
    """Resample one echo of one run in time, the whole series held."""
    series, times = _stc_run(case)
    slice_timing.correct(series[:2, :2], times, tr=TR, tr_out=TR_OUT)
    start, user = cpu_seconds(), cpu_seconds(system=False)
    out = slice_timing.correct(series, times, tr=TR, tr_out=TR_OUT)
    return {
        "CPU s/echo-run": cpu_seconds() - start,
        "without the kernel": cpu_seconds(system=False) - user,
        "samples": out.shape[3],
    }


def stc_mebold_pchip(case):
    """Resample by monotone cubic polynomials."""
    return stc_mebold(case, "pchip")


def stc_scipy(case):
    """Resample slice by slice with CubicSpline."""
    from scipy.interpolate import CubicSpline

    series, times = _stc_run(case)
    n, n_out = series.shape[3], samples.n_output_volumes(series.shape[3], tr=TR, tr_out=TR_OUT)
    source = np.clip(np.arange(-3, n + 3), 0, n - 1)
    start = cpu_seconds()
    out = np.empty((*case.shape, n_out), np.float32)
    for z, s in enumerate(times):
        knots = np.arange(-3, n + 3) * TR + s
        out[:, :, z] = CubicSpline(knots, series[:, :, z][..., source], axis=-1)(
            np.arange(n_out) * TR_OUT
        )
    return {"CPU s/echo-run": cpu_seconds() - start, "samples": n_out}


ENGINES = {
    f.__name__: f
    for f in (
        motion_mebold, motion_mebold_unsmoothed, motion_ants, motion_simpleitk,
        resample_mebold, resample_mebold_one_echo, resample_scipy, resample_ants,
        stc_mebold, stc_mebold_whole, stc_mebold_pchip, stc_scipy,
    )
}  # fmt: skip


def measure(name: str, *, small: bool) -> None:
    """Run one engine in this process and print its numbers as JSON."""
    result = {k: float(v) for k, v in ENGINES[name](Case(small=small)).items()}
    result["peak MiB"] = peak.resident_bytes() / 2**20
    print(json.dumps(result))


def main() -> None:
    """Run every engine in a process of its own and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="4.5 mm voxels: a quick look")
    parser.add_argument("--only", choices=sorted(ENGINES), help="one engine, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only, small=arguments.small)
        return
    print("| engine | result |\n| --- | --- |")
    for name in ENGINES:
        if name.endswith("simpleitk") and importlib.util.find_spec("SimpleITK") is None:
            print(f"| {name} | SimpleITK is not installed |")
            continue
        command = [sys.executable, __file__, "--only", name, *(["--small"] * arguments.small)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1]} |")
            continue
        numbers = json.loads(done.stdout.strip().splitlines()[-1])
        print(f"| {name} | {', '.join(f'{k} {v:.3g}' for k, v in numbers.items())} |", flush=True)


if __name__ == "__main__":
    main()
