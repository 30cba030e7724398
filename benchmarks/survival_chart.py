"""Draw the chart of workflow/README.md: which responses the threshold of NORDIC lets through.

No simulation: the closed forms of `mebold.nordic.survival` for patches of uniform signal and
noise. Design: a trial every 4 s, each tenth blank, stimuli of 2.5 s, a volume every 1.6 s.

    PYTHONPATH=workflow python benchmarks/survival_chart.py workflow/images/safe_regime.png
"""

from __future__ import annotations

import sys

import numpy as np

from mebold.figures.style import BLUE, GREEN, ORANGE, new_figure, save, style
from mebold.nordic import survival
from mebold.nordic.patches import automatic_kernel
from mebold.nordic.rank import noise_edge
from mebold.singletrial import as_acquired

TR_S, STIMULUS_S, SIDE = 1.6, 2.5, 20
SNR = np.geomspace(5, 200, 9)
LENGTHS, SHARES = (96, 160, 300), (0.03, 0.1, 0.3)
EXPECTED = (1.0, 3.0)


def weakest(snr: float, n: int, share: float, kind: str, *, is_complex: bool) -> float:
    """Percent of the signal of which half survives."""
    shape = (SIDE,) * 3
    kernel = automatic_kernel(shape, n, None)
    noise = np.ones(shape)
    patches = survival.patches_of(
        np.full(shape, snr),
        np.sqrt(1 + is_complex) * noise,
        noise,
        is_complex=is_complex,
        n_volumes=n,
        threshold=noise_edge(int(np.prod(kernel)), n),
        kernel_size=kernel,
        patch_overlap=2,
        compat=False,
        responding=share,
    )
    options = {"label_column": "", "blank": None, "stimulus_duration_s": STIMULUS_S}
    rows, _ = as_acquired.of_run(None, tr=TR_S, n_volumes=n, **options)
    design = survival.design_energy(rows)
    return float(np.median(patches.weakest(design, kind=kind, kept=0.5)))


def main(path: str) -> None:
    """Draw two panels: length of the run, and share of the voxels that respond."""
    with style():
        figure = new_figure(7.2, 3.6)
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        curves = {"Length of the run (10 % respond)": [(n, 0.1) for n in LENGTHS]}
        curves["Share that responds (160 volumes)"] = [(160, share) for share in SHARES]
        for panel, (title, members) in zip(panels, curves.items(), strict=True):
            panel.axhspan(*EXPECTED, color="0.9", lw=0)
            for (n, share), colour in zip(members, (BLUE, ORANGE, GREEN), strict=True):
                label = f"{n} volumes" if "Length" in title else f"{100 * share:g} %"
                for kind, line in (("shared", "-"), ("images", "--")):
                    values = [weakest(snr, n, share, kind, is_complex=True) for snr in SNR]
                    name = label if kind == "shared" else None
                    panel.plot(SNR, values, line, color=colour, label=name)
            magnitude = [weakest(snr, 160, 0.1, "shared", is_complex=False) for snr in SNR]
            panel.plot(SNR, magnitude, ":", color="0.3", label="160, 10 %, magnitude only")
            panel.plot([], [], "--", color="0.3", label="dashed: differences between images")
            panel.set(xscale="log", yscale="log", xlabel="Mean signal / noise per channel")
            panel.set_title(title)
            panel.set_xticks([5, 10, 20, 50, 100, 200], ["5", "10", "20", "50", "100", "200"])
            panel.set_yticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
            panel.minorticks_off()
            panel.legend(frameon=False)
        panels[0].set_ylabel("Weakest response that survives (%)")
        panels[1].text(6, 1.1, "single trials at 7T", color="0.4", fontsize=7)
        figure.tight_layout()
    save(figure, path)


if __name__ == "__main__":
    main(sys.argv[1])
