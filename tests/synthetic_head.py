"""A small head from the bundled MNI152 maps: T1w and EPI in a known relative position."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mebold.anat import mni
from mebold.geometry import affines, grids


@dataclass(frozen=True)
class Scene:
    """T1w and EPI images of one head, and the true point map T1w -> EPI."""

    t1w: np.ndarray
    t1w_affine: np.ndarray
    t1w_mask: np.ndarray
    wm: np.ndarray
    epi: np.ndarray
    epi_affine: np.ndarray
    epi_mask: np.ndarray
    truth: np.ndarray

    def error_mm(self, matrix):
        points = affines.grid_points(self.t1w_mask.shape, self.t1w_affine, self.t1w_mask)
        return affines.displacements(matrix, self.truth, points)


def epi_contrast(maps):
    """Return a T2*-weighted head from the template's maps: fluid bright, white matter dark."""
    fluid = np.clip(maps["brain"] - maps["gm"] - maps["wm"], 0, 1)
    return maps["gm"] + 0.72 * maps["wm"] + 1.35 * fluid


class Scanner:
    """A fixed oblique slab with a receive bias, in which the head lies in any pose."""

    def __init__(self, epi_mm=4.0):
        maps, self.template_affine = mni.load_template(2.0)
        sources = (epi_contrast(maps), maps["brain"])
        self.sources = [ndimage.gaussian_filter(m, 0.35 * epi_mm / 2) for m in sources]
        self.shape = tuple(int(n / epi_mm) for n in (184, 220, 140))
        grid = np.diag([-epi_mm, epi_mm, epi_mm, 1.0])
        grid[:3, 3] = grid[:3, :3] @ -(np.array(self.shape) - 1) / 2
        self.affine = self.pose([0, -18, 10], [8, 2, -3], about=np.zeros(3)) @ grid
        x = np.indices(self.shape)
        self.bias = np.exp(0.5 * np.cos(3 * x[0] / self.shape[0]) + 0.4 * x[2] / self.shape[2])

    @staticmethod
    def pose(shift_mm, turn_deg, about=(0.0, -18.0, 10.0)):
        return affines.rigid_matrix(np.r_[shift_mm, np.deg2rad(turn_deg)], np.asarray(about))

    def image(self, rng, pose, noise=0.03):
        """Return image and brain mask of the head moved by a point map."""
        head, brain = (
            grids.onto(m, self.template_affine, self.shape, self.affine, matrix=np.linalg.inv(pose))
            for m in self.sources
        )
        noise = noise * (rng.normal(size=self.shape) + 1j * rng.normal(size=self.shape))
        return np.abs(head * self.bias + noise).astype(np.float32), brain > 0.5


def make_scene(rng, *, epi_mm=4.0, t1w_mm=4.0, shift_mm=6.0, turn_deg=5.0, noise=0.03, bias=True):
    """Return a Scene: oblique EPI with the slab cut above, receive bias and noise."""
    maps, affine = mni.load_template(2.0)
    t1w, t1w_affine = grids.coarsen(maps["t1"], affine, voxel_mm=t1w_mm)
    wm, brain = (grids.coarsen(maps[n], affine, voxel_mm=t1w_mm)[0] for n in ("wm", "brain"))
    turn = np.deg2rad(rng.uniform(-turn_deg, turn_deg, 3))
    truth = affines.rigid_matrix(np.r_[rng.uniform(-shift_mm, shift_mm, 3), turn], np.zeros(3))
    shape = tuple(int(n / epi_mm) for n in (184, 220, 160))
    oblique = affines.rigid_matrix([0, -18, 10, *np.deg2rad([8, 2, -3])], np.zeros(3))
    grid = np.diag([-epi_mm, epi_mm, epi_mm, 1.0])
    grid[:3, 3] = grid[:3, :3] @ -(np.array(shape) - 1) / 2
    grid = oblique @ grid
    pull = {"matrix": np.linalg.inv(truth)}
    sources = (epi_contrast(maps), maps["brain"])
    smooth = [ndimage.gaussian_filter(m, 0.35 * epi_mm / 2) for m in sources]
    epi, mask = (grids.onto(m, affine, shape, grid, **pull) for m in smooth)
    if bias:
        x = np.indices(shape)
        epi = epi * np.exp(0.35 * np.cos(3 * x[0] / shape[0]) + 0.3 * x[2] / shape[2])
    epi = np.abs(epi + noise * rng.normal(size=shape)).astype(np.float32)
    t1w = np.maximum(t1w + 0.02 * rng.normal(size=t1w.shape), 0).astype(np.float32)
    return Scene(t1w, t1w_affine, brain > 0.5, wm, epi, grid, mask > 0.5, truth)
