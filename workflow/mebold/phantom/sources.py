"""Air in the head as a source of field: spheres in a uniform field along z.

Outside a sphere of radius a whose susceptibility differs by chi from that of its surroundings,
the field along B0 changes by chi / 3 (a / r)^3 (3 cos^2(theta) - 1) B0 (Schenck 1996): positive
above and below, negative around. Inside there is no signal, and the change is taken as zero.
"""

from dataclasses import dataclass

import numpy as np

#: Hz of a 7 T scanner for a susceptibility of 1/3: proton frequency x (air - water) / 3.
_SURFACE_HZ = 297.219e6 * 9.4e-6 / 3
#: MNI mm and radius: sphenoid sinus and ethmoid cells below the orbitofrontal cortex, ear canals
#: and mastoid cells beside the inferior temporal lobe.
AIR_SPACES = (
    ((0.0, 28.0, -56.0), 12.5),
    ((0.0, 52.0, -50.0), 9.0),
    ((-76.0, -18.0, -44.0), 10.0),
    ((76.0, -18.0, -44.0), 10.0),
)


@dataclass(frozen=True)
class Sphere:
    """A sphere of air.

    Attributes
    ----------
    centre : (3,) array
        Head frame, mm.
    radius_mm : float
    """

    centre: np.ndarray
    radius_mm: float

    def field_hz(self, points: np.ndarray) -> np.ndarray:
        """Return the change of field (N,) in Hz at head points (N, 3); B0 is along z."""
        offset = points - self.centre
        squared = np.maximum((offset**2).sum(axis=1), self.radius_mm**2)
        outside = (offset**2).sum(axis=1) >= self.radius_mm**2
        shape = (self.radius_mm**2 / squared) ** 1.5 * (3 * offset[:, 2] ** 2 / squared - 1)
        return np.where(outside, _SURFACE_HZ * shape, 0.0)

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Return which head points (N, 3) lie in the air, as (N,) bool."""
        return ((points - self.centre) ** 2).sum(axis=1) < self.radius_mm**2
