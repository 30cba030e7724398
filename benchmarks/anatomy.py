"""CPU seconds and peak memory of each step of the anatomy of one T1w, beside ANTsPy's own recipe.

``python benchmarks/anatomy.py [--voxel-mm 1.0] [--recipe]``: a simulated head (`mebold.phantom`) at
a voxel size; with ``--recipe`` antspyx alone: N4, `get_mask`, Atropos from k-means, as its
documentation shows. Scores against the head's tissue fractions. Set OMP_NUM_THREADS=1 and
PYTHONPATH=workflow.
"""

import argparse
import resource
import sys
import time

import numpy as np

from mebold.anat import bias, brain_mask, measures, priors, tissue
from mebold.geometry import affines
from mebold.phantom import anatomy, contrast, nuclei, physics, spec
from mebold.registration.ants import from_ants, load_ants, to_ants
from mebold.registration.similarity import dice

SETTINGS = {"priors": True, "registration_mm": 4.0}
LIMITS = {"least_correlation": 0.7, "least_dice": 0.93}


def head(voxel_mm: float):
    """Return the T1w of the demo's head, its affine and the tissue of its voxels."""
    parameters = spec.make_spec("demo")
    found = anatomy.make_head(parameters, "01")
    shape, affine = anatomy.centred_grid(found.centre, voxel_mm, np.array(parameters.t1w_fov_mm))
    parts = anatomy.voxel_tissue(found, shape, affine)
    offset = affines.grid_points(shape, affine) - found.centre
    efficiency = contrast.inversion_efficiency(parameters, offset).reshape(shape)
    signal = contrast.t1w_image(parameters, parts, efficiency)
    signal = signal * physics.make_receiver(parameters, shape, affine, found.centre).bias
    noise = parameters.t1w_noise * np.random.default_rng(5).normal(size=(2, *shape))
    return 1000 * np.hypot(signal + noise[0], noise[1]).astype(np.float32), affine, parts


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
    even = bias.bias_correct(image, affine, mask)
    done("N4")
    expected = priors.expected(even, affine, mask, SETTINGS, limits=LIMITS, seed=1)
    done("priors (template, 4 mm)")
    found = tissue.classify(even, affine, mask, priors=expected.maps, prior_weight=0.25)
    done("classes (Atropos)")
    measures.of_image(image, even, affine, dseg=found.dseg, mask=mask)
    done("measures")
    return mask, found.dseg


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
    parser.add_argument("--voxel-mm", type=float, default=1.0)
    parser.add_argument("--recipe", action="store_true")
    arguments = parser.parse_args()
    image, affine, parts = head(arguments.voxel_mm)
    done = Clock()
    sys.stdout.write(f"{arguments.voxel_mm:g} mm, {image.size / 1e6:.1f} million voxels\n")
    done("head (simulation)")
    done.total = 0.0
    mask, dseg = (recipe if arguments.recipe else ours)(image, affine, done)
    brain = parts["brain"] > 0.5
    shares = np.stack([parts["gm"], parts["wm"], parts["csf"]])
    true = np.where(brain, np.argmax(shares, axis=0) + 1, 0)
    scores = [dice(dseg == label, true == label) for label in (1, 2, 3)]
    sizes = [f"{np.sum(dseg == k) / np.sum(true == k) - 1:+.1%}" for k in (1, 2, 3)]
    deep = sum(parts[name] for name in nuclei.NAMES) > 0.5
    sys.stdout.write(
        f"total {done.total:.0f} CPU s; Dice of the mask {dice(mask, brain):.3f}, of GM, WM, CSF "
        f"{scores[0]:.3f} {scores[1]:.3f} {scores[2]:.3f}; volumes {', '.join(sizes)}; deep grey "
        f"matter called white {100 * np.mean(dseg[deep] == 2):.0f} %\n"
    )


if __name__ == "__main__":
    main()
