"""The index that needs no libraries for its first rows is that of the libraries."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from pachon.core.healpix import PromptIndex, spatial_index


def test_the_first_rows_and_the_rest_have_the_pixels_of_the_libraries() -> None:
    random = np.random.default_rng(3)
    ra, dec = random.uniform(0, 360, 20_000), np.degrees(np.arcsin(random.uniform(-1, 1, 20_000)))
    ra, dec = np.concatenate([ra, [0, 360, 45, 90, 180]]), np.concatenate([dec, [0, 0, 90, -90, 41.8]])
    index = PromptIndex(rows=len(ra))

    first, rest = index(ra, dec), index(ra, dec)
    assert np.array_equal(rest, spatial_index(ra, dec))
    assert np.array_equal(first >> 2, rest >> 2)


def test_the_first_rows_load_no_library() -> None:
    script = (
        "import sys, numpy as np; from pachon.core.healpix import PromptIndex; "
        "PromptIndex()(np.zeros(5), np.zeros(5)); print('cdshealpix' in sys.modules, 'astropy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "False"]
