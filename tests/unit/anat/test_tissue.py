import numpy as np
import pytest
from scipy import ndimage

from mebold.anat import brain_mask, epi_mask, mni, tissue
from mebold.anat.bias import bias_correct
from mebold.errors import DataError, GridMismatchError
from mebold.geometry import affines, grids, masks
from mebold.registration import similarity
from mebold.registration.affine import fit_affine

VOXEL_MM = 4.0


def smooth_bias(shape, strength=0.6):
    x = [i / n - 0.5 for i, n in zip(np.indices(shape), shape, strict=True)]
    return np.exp(strength * (x[0] + x[1] ** 2 * 2 - x[2]))


@pytest.fixture(scope="module")
def template():
    maps, affine = mni.load_template(VOXEL_MM)
    return maps, affine


@pytest.fixture(scope="module")
def head(template):
    """Return a whole head with scalp, neck, bias, noise and an oblique LPS grid; and its brain."""
    maps, affine = template
    pose = affines.rigid_matrix([4.0, -12.0, 25.0, 0.15, 0.05, -0.08], np.zeros(3))
    pose[:3, :3] *= 0.93
    grid = np.diag([-VOXEL_MM, -VOXEL_MM, VOXEL_MM, 1.0])
    shape = (52, 60, 66)
    grid[:3, 3] = [102.0, 110.0, -130.0]
    pull = {"matrix": np.linalg.inv(pose)}
    t1 = grids.onto(maps["t1"], affine, shape, grid, **pull)
    brain = grids.onto(maps["brain"], affine, shape, grid, **pull) > 0.5
    wide = masks.dilated(brain, grid, 17.0)
    # A neck: the lowest slab of the brain's own outline, continued downwards.
    level = int(np.argwhere(brain)[:, 2].min()) + 6
    wide[:, :, :level] |= masks.dilated(brain[:, :, level, None], grid, 6.0)
    scalp = wide & ~masks.dilated(brain, grid, 9.0)
    image = np.where(scalp, 0.95, t1) * smooth_bias(shape)
    noise = np.random.default_rng(2).normal(size=(2, *shape)) * 0.02
    return np.hypot(image + noise[0], noise[1]).astype(np.float32), grid, brain


def test_whole_head_gives_the_brain(head):
    volume, affine, brain = head
    found = brain_mask.brain_mask(volume, affine)
    assert similarity.dice(found, brain) > 0.955
    assert ndimage.label(found)[1] == 1
    np.testing.assert_array_equal(ndimage.binary_fill_holes(found), found)


def test_image_without_skull_keeps_its_outline(head):
    volume, affine, brain = head
    found = brain_mask.brain_mask(np.where(brain, volume, 0.0), affine)
    assert similarity.dice(found, brain) > 0.98


def test_a_scalp_that_touches_nothing_is_still_that_of_a_head(head):
    volume, affine, brain = head
    fluid = masks.dilated(brain, affine, 4.0)
    outside = ~masks.dilated(brain, affine, 9.0)
    scalp = masks.dilated(brain, affine, 20.0) & outside
    alone = np.where(fluid | scalp, volume, 0.0)
    assert ndimage.label(alone > 0)[1] == 2
    found = brain_mask.brain_mask(alone, affine)
    # The outline of all fluid, as of an image without a skull, has 0.946.
    assert similarity.dice(found, brain) > 0.97


def test_an_image_without_a_brain_is_refused(rng):
    x = np.indices((40, 40, 40)).T - 20.0
    box = (np.abs(x).max(axis=-1) < 12) * (1 + 0.2 * rng.normal(size=(40, 40, 40)))
    with pytest.raises(DataError, match="no brain found"):
        brain_mask.brain_mask(np.abs(box), np.diag([4.0, 4.0, 4.0, 1.0]))


def test_the_search_finds_pitch_and_place(template):
    maps, affine = template
    truth = affines.rigid_matrix([0.0, 20.0, -30.0, np.deg2rad(15), 0, 0], np.zeros(3))
    shape = tuple(np.array(maps["t1"].shape) + 24)
    grid = affine.copy()
    grid[:3, 3] -= 12 * VOXEL_MM
    volume = grids.onto(maps["t1"], affine, shape, grid, matrix=np.linalg.inv(truth))
    found = brain_mask.find_brain(volume, grid)
    points = affines.grid_points(maps["brain"].shape, affine, maps["brain"] > 0.5)
    assert np.median(affines.displacements(found, truth, points)) < 10.0


def test_affine_fit_recovers_twelve_parameters_under_gain_and_outliers(template):
    maps, affine = template
    truth = affines.rigid_matrix([5, -4, 6, 0.1, -0.05, 0.08], np.zeros(3))
    truth[:3, :3] = truth[:3, :3] @ np.diag([0.95, 1.04, 0.98])
    region = maps["brain"] > 0.5
    points = affines.grid_points(region.shape, affine, region)
    volume = 300 * grids.onto(maps["t1"], affine, region.shape, affine, matrix=np.linalg.inv(truth))
    volume[:, :4] = 5000.0
    fixed = ndimage.gaussian_filter(maps["t1"], 0.64)[region]
    matrix = np.eye(4)
    for rigid in (True, False):
        matrix, correlation = fit_affine(
            fixed, volume, affine, points,
            initial=matrix, fwhm_mm=6.0, rigid=rigid, iterations=30, cut=7.0,
        )  # fmt: skip
    assert np.median(affines.displacements(matrix, truth, points)) < 1.0
    assert correlation > 0.98


def test_bias_is_removed_and_the_median_kept(template):
    maps, affine = template
    mask = maps["brain"] > 0.5
    bias = smooth_bias(mask.shape, 0.8)
    volume = 500 * maps["t1"] * bias
    out = bias_correct(volume, affine, mask)
    white = maps["wm"] > 0.95
    assert np.std(np.log(volume[white])) > 0.15
    assert np.std(np.log(out[white])) < 0.06
    assert np.median(out[mask]) == pytest.approx(np.median(volume[mask]), rel=1e-4)
    assert out.dtype == np.float32


def test_bias_correction_survives_nan_and_negative_voxels(template):
    maps, affine = template
    volume = np.array(maps["t1"])
    volume[20:22, 20:22, 20:22] = np.nan
    volume[0] = -1.0
    out = bias_correct(volume, affine, maps["brain"] > 0.5)
    assert np.isfinite(out).all()
    assert out.min() >= 0.0


def test_tissue_classes_in_order(template):
    maps, affine = template
    mask = maps["brain"] > 0.5
    dseg, probseg = tissue.tissue_segmentation(maps["t1"] * 700, affine, mask)
    assert dseg.dtype == np.int8
    assert probseg.dtype == np.float32
    assert set(np.unique(dseg)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(dseg > 0, mask)
    np.testing.assert_allclose(probseg.sum(axis=0)[mask], 1.0, atol=1e-4)
    assert probseg[:, ~mask].max() == 0.0
    gm, wm = maps["gm"] > 0.5, maps["wm"] > 0.5
    assert similarity.dice(dseg == 1, gm & mask) > 0.75
    assert similarity.dice(dseg == 2, wm & mask) > 0.85
    np.testing.assert_array_equal(np.argmax(probseg, axis=0)[mask] + 1, dseg[mask])


def test_epi_mask_under_receive_bias(template):
    maps, affine = template
    brain = maps["brain"] > 0.5
    epi = np.where(brain, maps["gm"] + 0.72 * maps["wm"] + 0.2, 0.0)
    epi = epi * smooth_bias(brain.shape, 1.2)
    rng = np.random.default_rng(1)
    epi = np.hypot(epi + 0.03 * rng.normal(size=epi.shape), 0.03 * rng.normal(size=epi.shape))
    assert similarity.dice(epi_mask.epi_mask(epi, affine), brain) > 0.95


def test_foreground_is_scale_free_and_filled(rng):
    x = np.indices((30, 30, 30)).T - 15.0
    radius = np.linalg.norm(x, axis=-1)
    volume = np.where((radius < 11) & (radius > 4), 100.0, np.abs(rng.normal(size=radius.shape)))
    for scale in (1e-4, 1.0, 1e4):
        found = masks.foreground_mask(volume * scale)
        assert similarity.dice(found, radius < 11) > 0.95


def test_foreground_has_the_parts_that_are_large_enough():
    x = np.indices((40, 40, 40)).T - 20.0
    radius = np.linalg.norm(x, axis=-1)
    ball, shell = radius < 14, (radius > 16.5) & (radius < 19)
    volume = np.where(ball | shell, 100.0, 1.0)
    volume[:3, :3, :3] = 100.0
    np.testing.assert_array_equal(masks.foreground_mask(volume), ball)
    found = masks.foreground_mask(volume, least_part=0.1)
    assert found[ball].all()
    assert found[shell].mean() > 0.9
    assert not found[:3, :3, :3].any()


@pytest.mark.parametrize("volume", [np.zeros((9, 9, 9)), np.full((9, 9, 9), np.nan)])
@pytest.mark.parametrize("function", [brain_mask.brain_mask, epi_mask.epi_mask, bias_correct])
def test_empty_volumes_are_refused(volume, function):
    with pytest.raises(DataError, match="no positive"):
        function(volume, np.eye(4))


def test_masks_of_another_size_or_too_small_are_refused():
    volume = np.ones((8, 8, 8))
    with pytest.raises(GridMismatchError, match="the mask has shape"):
        bias_correct(volume, np.eye(4), np.ones((8, 8, 7), dtype=bool))
    with pytest.raises(DataError, match="too few"):
        tissue.tissue_segmentation(volume, np.eye(4), np.ones((8, 8, 8), dtype=bool))


def test_regrid_coarsening_keeps_places():
    affine = np.diag([1.0, 2.0, 1.0, 1.0])
    grid = affines.grid_points((24, 12, 24), affine).reshape(24, 12, 24, 3)
    coarse, coarse_affine = grids.coarsen(grid[..., 1], affine, voxel_mm=4.0)
    y = affines.grid_points(coarse.shape, coarse_affine).reshape(*coarse.shape, 3)[..., 1]
    np.testing.assert_allclose(coarse[1:-1, 1:-1, 1:-1], y[1:-1, 1:-1, 1:-1], atol=1e-4)


def test_dilation_is_in_millimetres():
    mask = np.zeros((21, 21, 21), dtype=bool)
    mask[10, 10, 10] = True
    grown = masks.dilated(mask, np.diag([1.0, 2.0, 4.0, 1.0]), 4.0)
    assert [np.ptp(np.argwhere(grown)[:, axis]) for axis in range(3)] == [8, 4, 2]
    np.testing.assert_array_equal(
        masks.dilated(grown, np.diag([1.0, 2.0, 4.0, 1.0]), -4.0).sum() >= 1, True
    )


@pytest.mark.parametrize("voxel_mm", [0.5, 1.0, 3.0])
def test_gaps_are_closed_at_the_edge_of_the_image_as_elsewhere(voxel_mm):
    affine = np.diag([voxel_mm] * 3 + [1.0])
    n = int(36 / voxel_mm)
    mask = np.ones((n, n, n), dtype=bool)
    mask[:, int(15 / voxel_mm) : int(21 / voxel_mm)] = False  # 6 mm
    mask[:, :, n // 2 :] = False
    found = masks.closed(mask, affine, 4.0)
    pad = int(10 / voxel_mm)
    whole = np.pad(mask, pad)
    grown = ndimage.distance_transform_edt(~whole, sampling=voxel_mm) <= 4.0
    expected = ndimage.distance_transform_edt(grown, sampling=voxel_mm) > 4.0
    inner = (slice(pad, -pad),) * 3
    np.testing.assert_array_equal(found, expected[inner])
    assert found[n // 2, n // 2, n // 4]
    assert not found[:, :, n // 2 :].any()
