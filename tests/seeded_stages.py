"""Every stage that draws random numbers, on a small case at seed 0; each returns an array.

``python seeded_stages.py STAGE FILE`` runs one in a process of its own.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from synthetic_head import make_scene

SEED = 0


def tissue():
    from mebold.anat.tissue import tissue_segmentation

    scene = head()
    return tissue_segmentation(scene.t1w, scene.t1w_affine, scene.t1w_mask)[1]


def brain_mask():
    from mebold.anat import brain_mask

    scene = head()
    return brain_mask.brain_mask(scene.t1w, scene.t1w_affine)


def coreg():
    from mebold.coreg.align import boldref_to_t1w

    scene = head()
    images = (scene.epi, scene.epi_affine, scene.t1w, scene.t1w_affine)
    masks = {"boldref_mask": scene.epi_mask, "t1w_mask": scene.t1w_mask}
    return boldref_to_t1w(*images, **masks, wm_probability=scene.wm, seed=SEED)[0]


def fieldmap():
    from mebold.fmap.session import Map
    from mebold.sdc.boldref import at_boldref

    scene = head()
    field = Map(0 * scene.t1w, scene.t1w, scene.t1w_affine)
    options = {"direction": "j", "readout_s": 0.02, "fwhm_mm": 5.6, "coarse_mm": 8.0}
    found = at_boldref(
        field, scene.epi, scene.epi_affine, mask=scene.epi_mask, seed=SEED, **options
    )
    assert found[2]["method"] == "mutual information"  # which draws samples
    return found[1]


def template():
    from mebold.anat import mni
    from mebold.anat.template import Brain, align

    maps, affine = mni.load_template(4.0)
    scene = head()
    target = Brain(maps["t1"], maps["brain"] > 0.5, affine)
    own = Brain(scene.t1w, scene.t1w_mask, scene.t1w_affine)
    return align(target, own, voxel_mm=6.0, seed=SEED).to_t1w


def nordic():
    from mebold.nordic.denoise import nordic

    series = complex_series()
    options = {"seed": SEED, "threshold_draws": 3, "kernel_size": (5, 5, 5)}
    options |= {"gfactor_kernel_size": (5, 5, 1)}
    return nordic(np.abs(series), np.angle(series), **options).magnitude


def ica():
    from mebold.multiecho.ica import denoise

    rng = np.random.default_rng(3)
    mask = np.zeros((12, 12, 6), bool)
    mask[1:-1, 1:-1, 1:-1] = True
    te = np.array([0.011, 0.029, 0.047])
    rate = rng.laplace(size=(mask.sum(), 6)) @ rng.laplace(size=(6, 60))
    data = 1000 * np.exp(-te[:, None, None] * (30 + 0.5 * rate)) + 3 * rng.normal(
        size=(3, mask.sum(), 60)
    )
    with tempfile.TemporaryDirectory() as folder:
        found = denoise(
            data.astype(np.float32), tuple(te), optcom=data.mean(axis=0), mask=mask,
            affine=np.diag([2.0, 2, 2, 1]), tr=1.5,
            out_dir=Path(folder) / "out", prefix="sub-01", order=6, seed=SEED, engine="tedana",
            report=False,
        )  # fmt: skip
    return found.mixing.to_numpy()


def singletrial():
    from mebold.singletrial.threshold import mixture_threshold

    r2 = np.random.default_rng(4).chisquare(2, 300_000)  # more values than are looked at
    return mixture_threshold(r2, seed=SEED)


def bootstrap():
    from mebold.noiseceiling.bootstrap import draw_resamples
    from mebold.noiseceiling.cells import repeat_cells

    labels, runs = np.tile(np.arange(12), 4), np.repeat(np.arange(4), 12)
    drawn = draw_resamples(repeat_cells(labels, runs), n_resamples=50, seed=SEED)
    return np.concatenate([drawn.images.ravel(), drawn.runs.ravel()])


def sign_flip():
    from mebold.compare.subjects import sign_flip

    return sign_flip(np.random.default_rng(5).normal(0.2, 1, 24), n_sampled=2000, seed=SEED).p


def phantom():
    from mebold.phantom.anatomy import make_head
    from mebold.phantom.scene import make_scene
    from mebold.phantom.spec import make_spec

    spec = make_spec("tiny", seed=SEED)
    return make_scene(spec, make_head(spec, "01"), "01").s0


def head():
    return make_scene(np.random.default_rng(5), t1w_mm=5.0)


def complex_series():
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(2, 12, 12, 8, 30))
    return (100 + noise[0] + 1j * noise[1]).astype(np.complex64)


STAGES = {
    function.__name__: function
    for function in (tissue, brain_mask, coreg, fieldmap, template, nordic, ica, singletrial,
                     bootstrap, sign_flip, phantom)
}  # fmt: skip

if __name__ == "__main__":
    stage, path = sys.argv[1:]
    np.save(path, STAGES[stage]())
