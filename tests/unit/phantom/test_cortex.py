"""The surfaces that the phantom fits to the cortex of its template."""

import numpy as np
import pytest
from nilearn import datasets, surface
from scipy import ndimage
from scipy.spatial import cKDTree

from mebold.geometry import affines
from mebold.phantom import anatomy, cortex


def tissue_at(name, points):
    maps, affine = anatomy.template()
    index = affines.apply(np.linalg.inv(affine), points).T
    return ndimage.map_coordinates(maps[name], index, order=1)


@pytest.fixture(scope="module", params=["lh", "rh"])
def fitted(request):
    return request.param, cortex.hemisphere(request.param)


def test_a_sphere_of_triangles_is_closed_and_looks_outwards():
    vertices, faces = cortex.icosphere(3)
    assert (vertices.shape, faces.shape) == ((642, 3), (1280, 3))
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 1)
    solid = np.linalg.det(vertices[faces])
    assert solid.min() > 0
    assert solid.sum() / 6 == pytest.approx(4 / 3 * np.pi, rel=0.02)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_surfaces_lie_on_either_side_of_the_grey_matter(fitted):
    hemi, found = fitted
    own = found.cortex
    assert 0.8 < own.mean() < 0.97  # there is a medial wall
    middle = (found.white + found.pial) / 2
    grey = tissue_at("gm", middle[own])
    assert grey.mean() > 0.88
    assert (grey > 0.5).mean() > 0.92
    inwards = (found.white - found.pial)[own]
    inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
    assert np.median(tissue_at("wm", found.white[own] + inwards)) > 0.8
    assert np.median(tissue_at("wm", middle[own])) < 0.05
    apart = np.linalg.norm(found.pial - found.white, axis=1)[own]
    assert 2 < np.median(apart) < 3.5
    assert apart.max() <= 4
    side = {"lh": -1, "rh": 1}[hemi]
    assert (side * middle[:, 0]).min() > 0
    for axis, (low, high) in enumerate(((0, 60), (-95, 60), (-28, 72))):
        extent = middle[:, axis] * (side if axis == 0 else 1)
        assert extent.min() < low + 5
        assert extent.max() > high


def test_faces_look_outwards_and_enclose_a_hemisphere(fitted):
    _, found = fitted
    enclosed = np.linalg.det(found.white[found.faces]).sum() / 6 / 1000
    assert 250 < enclosed < 400  # ml of white matter, nuclei and ventricle
    with_cortex = np.linalg.det(found.pial[found.faces]).sum() / 6 / 1000
    assert 80 < with_cortex - enclosed < 200


def test_registered_vertices_lie_where_fsaverage_has_their_place(fitted):
    hemi, found = fitted
    side = {"lh": "left", "rh": "right"}[hemi]
    average = datasets.fetch_surf_fsaverage("fsaverage5")
    white, pial, sphere = (
        surface.load_surf_mesh(average[f"{name}_{side}"]).coordinates
        for name in ("white", "pial", "sphere")
    )
    nearest = cKDTree(sphere / 100).query(found.registered)[1]
    apart = np.linalg.norm(((white + pial) / 2)[nearest] - (found.white + found.pial) / 2, axis=1)
    assert np.median(apart[found.cortex]) < 8
    turned = np.linalg.det(found.registered[found.faces]) < 0
    assert turned.mean() < 0.02
