"""The page to look through noise ceilings: whole in itself, small, and with the right voxels."""

import base64
import io
import re

import browser
import numpy as np
import pytest
from PIL import Image

from mebold.errors import GridMismatchError
from mebold.figures import viewer

SHAPE = (24, 28, 20)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
MASK = np.zeros(SHAPE, bool)
MASK[6:-6, 6:-6, 5:-5] = True


@pytest.fixture
def known(rng):
    return {"underlay": rng.gamma(4, 100, SHAPE) * MASK, "mask": MASK}


def sprites(page: str) -> list[np.ndarray]:
    """Return the pictures inside a page."""
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def test_a_page_needs_nothing_else(known):
    page = viewer.ceiling(np.where(MASK, 20.0, 0), AFFINE, title="ceiling of <sub-01>", **known)
    assert not re.search(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', page)
    assert "<strong>ceiling of &lt;sub-01&gt;</strong>" in page


@pytest.mark.skipif(not browser.found(), reason="no headless browser (see MEBOLD_BROWSER)")
def test_a_browser_draws_it_without_a_network(known, tmp_path):
    path = tmp_path / "viewer.html"
    path.write_text(viewer.ceiling(np.where(MASK, 60.0, 0), AFFINE, **known))
    drawn = """(canvas => { const data = canvas.getContext('2d').getImageData(
      0, 0, canvas.width, canvas.height).data; let n = 0;
      for (let i = 0; i < data.length; i += 4) n += data[i] > 150 && data[i + 2] < 80;
      return n; })(document.getElementById('3Dviewer'))"""
    with browser.Browser(browser.PHONE) as page:
        page.open(path)
        assert page.value(drawn) > 1000  # orange
        assert page.value("document.documentElement.scrollWidth") <= browser.PHONE[0]
        assert page.complaints == []


def test_colours_begin_above_the_threshold(known):
    percent = np.where(MASK, 10.0, 0)
    percent[10:14, 12:16, 8:12] = 60.0

    def coloured(threshold):
        # Anatomy and colour bar hide nothing; the map is transparent where it is not drawn.
        page = viewer.ceiling(percent, AFFINE, threshold=threshold, **known)
        clear = [p[..., 3] for p in sprites(page) if p.ndim == 3 and p.shape[-1] == 4]
        return max(int((alpha > 0).sum()) for alpha in clear if (alpha == 0).any())

    unused = coloured(99.0)  # tiles that fill the picture: nothing passes
    assert coloured(30.0) - unused == 4**3
    assert coloured(5.0) - unused == MASK.sum()
    assert coloured(None) == coloured(5.0)  # where chance is not known


def test_a_large_head_is_shown_in_larger_voxels(known):
    percent = np.where(MASK, 60.0, 0)
    whole = viewer.ceiling(percent, AFFINE, **known)
    coarse = viewer.ceiling(percent, AFFINE, most_voxels=1000, **known)
    assert len(coarse) < len(whole)
    assert "in voxels of" in coarse
    assert "in voxels of" not in whole


def test_other_grids_are_refused(known):
    with pytest.raises(GridMismatchError, match="the anatomy"):
        viewer.ceiling(MASK * 1.0, AFFINE, underlay=known["underlay"][1:], mask=MASK)


def test_the_anatomy_has_a_palette_and_the_map_has_not(known):
    page = viewer.ceiling(np.where(MASK, 60.0, 0), AFFINE, **known)
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    modes = [Image.open(io.BytesIO(base64.b64decode(text))).mode for text in found]
    assert modes.count("P") == 1
    assert modes.count("RGBA") == 2  # map and colour bar: the viewer looks values up in them
