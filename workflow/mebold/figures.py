"""Every figure of the project in one place; each function returns a matplotlib ``Figure``.

Figures belong to no global state of matplotlib. Scripts write them with :func:`save`.
"""

from mebold.figures_ceiling import noise_ceiling, visual_roi
from mebold.figures_compare import variant_comparison, variant_metrics
from mebold.figures_field import changing_field
from mebold.figures_geometry import distortion, registration, unwarping
from mebold.figures_maps import (
    model_maps,
    segmentation,
    t2star,
    tsnr,
)
from mebold.figures_nordic import nordic_qc
from mebold.figures_runs import beta_carpet, component_curve, motion_traces
from mebold.figures_style import figure_bytes, save

__all__ = [
    "beta_carpet",
    "changing_field",
    "component_curve",
    "distortion",
    "figure_bytes",
    "model_maps",
    "motion_traces",
    "noise_ceiling",
    "nordic_qc",
    "registration",
    "save",
    "segmentation",
    "t2star",
    "tsnr",
    "unwarping",
    "variant_comparison",
    "variant_metrics",
    "visual_roi",
]
