"""CPU seconds and peak memory of each step of the anatomy of one T1w, beside ANTsPy's own recipe.

``python benchmarks/anatomy.py [--voxel-mm 1.0] [--subject 02] [--set seed=3 warp_mm=4]``: a
simulated head (`mebold.phantom`) at a voxel size; with ``--recipe`` antspyx alone: N4, `get_mask`,
Atropos from k-means, as its documentation shows. Scores against the head's tissue fractions.

``--image FILE`` takes a real T1w instead: as it is or changed (``--change``), or resampled to
``--voxel-mm``; ``--keep`` writes its classes, ``--against`` compares with kept ones, ``--figure``
draws them. Set OMP_NUM_THREADS=1, ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 and PYTHONPATH=workflow.
"""

import argparse
import resource
import sys
import time

import numpy as np
from scipy import ndimage

from mebold.anat import brain_mask, doubts, evenness, measures, orientation, priors, tissue
from mebold.figures import anat as figures
from mebold.figures.style import save
from mebold.files import images
from mebold.geometry import affines, grids, masks
from mebold.phantom import anatomy, contrast, nuclei, physics, spec
from mebold.registration.ants import from_ants, load_ants, to_ants
from mebold.registration.similarity import dice

SETTINGS = {"priors": True, "registration_mm": 4.0}
LIMITS = {"least_correlation": 0.7, "least_dice": 0.93}


def head(voxel_mm: float, subject: str = "01", **changes):
    """Return the T1w of a head of the demo, its affine and the tissue of its voxels."""
    parameters = spec.make_spec("demo", **changes)
    found = anatomy.make_head(parameters, subject)
    shape, affine = anatomy.centred_grid(found.centre, voxel_mm, np.array(parameters.t1w_fov_mm))
    parts = anatomy.voxel_tissue(found, shape, affine)
    offset = affines.grid_points(shape, affine) - found.centre
    efficiency = contrast.inversion_efficiency(parameters, offset).reshape(shape)
    signal = contrast.t1w_image(parameters, parts, efficiency)
    signal = signal * physics.make_receiver(parameters, shape, affine, found.centre).bias
    noise = parameters.t1w_noise * np.random.default_rng(5).normal(size=(2, *shape))
    return 1000 * np.hypot(signal + noise[0], noise[1]).astype(np.float32), affine, parts


CHANGES = {
    "none": "as it is",
    "defaced": "0 in front of the brain's middle and below its upper third, 4 mm off the brain",
    "bias": "times a field that grows by 3 from one corner of the brain to the other",
    "cut": "without the upper 20 mm of the brain",
    "PSR": "stored in this order of axes",
    "LIA": "stored in this order of axes",
    "ARS": "stored in this order of axes",
}


def changed(volume, affine, change, kept):
    """Return a real image with a defect; `kept` is what was found in it without."""
    if change == "none":
        return volume, affine
    if change.isupper():
        shape, turned = anatomy.oriented_grid(volume.shape, affine, change)
        there = np.linalg.inv(affine) @ turned
        index = np.rint(affines.grid_points(shape, there)).astype(int)
        return volume[tuple(index.T)].reshape(shape), turned
    brain = kept["dseg"] > 0
    points = affines.grid_points(volume.shape, affine).reshape(*volume.shape, 3)
    low, high = points[brain].min(axis=0), points[brain].max(axis=0)
    if change == "cut":
        upper = np.argwhere(points[..., 2] <= high[2] - 20).max(axis=0) + 1
        return volume[tuple(slice(0, int(n)) for n in upper)], affine
    if change == "bias":
        along = ((points - low) / (high - low)).mean(axis=-1)
        return volume * 3.0 ** np.clip(along, -0.5, 1.5), affine
    face = (points[..., 1] > (low + high)[1] / 2) & (
        points[..., 2] < low[2] + (high - low)[2] * 2 / 3
    )
    return np.where(face & ~masks.dilated(brain, affine, 4.0), 0, volume), affine


def resampled(volume, affine, voxel_mm):
    """Return an image on isotropic voxels of another size, by cubic splines."""
    ratio = voxel_mm / affines.voxel_sizes(affine)
    shape = tuple(int(n) for n in np.floor((np.array(volume.shape) - 1) / ratio) + 1)
    found = ndimage.affine_transform(volume, ratio, output_shape=shape, order=3)
    return np.maximum(found, 0), affine @ np.diag([*ratio, 1.0])


def real(arguments):
    """Run and report one real image."""
    volume, affine = images.load_volume(arguments.image)
    kept = None
    if arguments.against:
        with np.load(arguments.against) as stored:
            kept = dict(stored)
    if arguments.change != "none" and not arguments.change.isupper() and kept is None:
        sys.exit("--change needs --against with what was found in the image as it is")
    volume, affine = changed(volume, affine, arguments.change, kept)
    if arguments.voxel_mm:
        volume, affine = resampled(volume, affine, arguments.voxel_mm)
    done = Clock()
    sys.stdout.write(f"{arguments.image}, {CHANGES[arguments.change]}, {volume.shape}\n")
    image, upright = orientation.canonical(volume, affine)
    mask, found, even, quality = ours(image, upright, done)
    numbers = measures.volumes(found.dseg, found.probseg, mask, upright)
    numbers |= measures.of_image(image, even, upright, dseg=found.dseg, mask=mask) | quality
    done("measures")
    sys.stdout.write(f"total {done.total:.0f} CPU s; classes from {found.method} {found.reason}\n")
    for name, value in numbers.items():
        sys.stdout.write(f"{name} {value:.4g}\n")
    for doubt in doubts.of(numbers, found):
        sys.stdout.write(f"warning: {doubt}\n")
    if kept is not None:
        other = grids.onto(
            kept["dseg"].astype(np.float32), kept["affine"], mask.shape, upright, order=0
        )
        scores = [dice(mask, other > 0.5)]
        scores += [dice(found.dseg == k, np.rint(other) == k) for k in (1, 2, 3)]
        listed = ", ".join(f"{score:.3f}" for score in scores)
        sys.stdout.write(f"Dice with the kept one, mask, GM, WM, CSF: {listed}\n")
    if arguments.keep:
        np.savez_compressed(arguments.keep, dseg=found.dseg, affine=upright)
    if arguments.figure:
        name = f"{arguments.change} {arguments.voxel_mm or ''}"
        drawn = figures.segmentation(even, upright, dseg=found.dseg, brain_mask=mask, name=name)
        save(drawn, arguments.figure)


class Clock:
    """Print what each step costs."""

    def __init__(self):
        self.start = time.process_time()
        self.total = 0.0

    def __call__(self, step: str) -> None:
        """End a step."""
        seconds = time.process_time() - self.start
        self.total += seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(f"{step:24s} {seconds:6.1f} CPU s, peak {peak:6.0f} MB\n")
        sys.stdout.flush()
        self.start = time.process_time()


def ours(image, affine, done):
    """Run the steps of the workflow."""
    mask = brain_mask.brain_mask(image, affine)
    done("brain mask")
    even = evenness.even_t1w(image, affine, mask)
    done("bias (N4, then tissues)")
    expected = priors.expected(even, affine, mask, SETTINGS, limits=LIMITS, seed=1)
    done("priors (template, 4 mm)")
    found = tissue.classify(even, affine, mask, priors=expected.maps, prior_weight=0.25)
    done("classes (Atropos)")
    return mask, found, even, expected.measures()


def recipe(image, affine, done):
    """Run antspyx alone."""
    ants = load_ants()
    even = ants.n4_bias_field_correction(to_ants(image, affine))
    done("N4")
    mask = ants.get_mask(even)
    done("get_mask")
    found = ants.atropos(a=even, x=mask, i="Kmeans[3]", m="[0.2,1x1x1]", c="[5,0]")
    done("Atropos, k-means")
    labels = from_ants(found["segmentation"])[0]
    return from_ants(mask)[0] > 0, np.choose(labels.astype(int), [0, 3, 1, 2])


def main() -> None:
    """Run and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxel-mm", type=float, default=None, help="1 for a simulated head")
    parser.add_argument("--recipe", action="store_true")
    parser.add_argument("--subject", default="01", help="another label is another head")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=NUMBER", help="of the phantom")
    parser.add_argument("--image", help="T1w, NIfTI")
    parser.add_argument("--change", choices=CHANGES, default="none")
    for name in ("keep", "against", "figure"):
        parser.add_argument(f"--{name}", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.image:
        real(arguments)
        return
    arguments.voxel_mm = arguments.voxel_mm or 1.0
    changes = {key: float(value) for key, value in (one.split("=") for one in arguments.set)}
    # A seed is a whole number, and so is a count of coils.
    changes = {key: int(n) if n.is_integer() else n for key, n in changes.items()}
    image, affine, parts = head(arguments.voxel_mm, arguments.subject, **changes)
    done = Clock()
    sys.stdout.write(f"{arguments.voxel_mm:g} mm, {image.size / 1e6:.1f} million voxels\n")
    done("head (simulation)")
    done.total = 0.0
    if arguments.recipe:
        mask, dseg = recipe(image, affine, done)
    else:
        mask, found, even, _ = ours(image, affine, done)
        dseg = found.dseg
        measures.of_image(image, even, affine, dseg=dseg, mask=mask)
        done("measures")
    brain = parts["brain"] > 0.5
    shares = np.stack([parts["gm"], parts["wm"], parts["csf"]])
    true = np.where(brain, np.argmax(shares, axis=0) + 1, 0)
    scores = [dice(dseg == label, true == label) for label in (1, 2, 3)]
    sizes = [f"{np.sum(dseg == k) / np.sum(true == k) - 1:+.1%}" for k in (1, 2, 3)]
    sums = []
    if not arguments.recipe:
        inside = shares[:, brain].sum(axis=1)
        sums = [f"{n:+.1%}" for n in found.probseg.sum(axis=(1, 2, 3)) / inside - 1]
    deep = sum(parts[name] for name in nuclei.NAMES) > 0.5
    sys.stdout.write(
        f"total {done.total:.0f} CPU s; Dice of the mask {dice(mask, brain):.3f} "
        f"({np.sum(mask) / np.sum(brain) - 1:+.2%}), of GM, WM, CSF "
        f"{scores[0]:.3f} {scores[1]:.3f} {scores[2]:.3f}; labels {', '.join(sizes)}, shares "
        f"{', '.join(sums)}; deep grey "
        f"matter called white {100 * np.mean(dseg[deep] == 2):.0f} %\n"
    )


if __name__ == "__main__":
    main()
