"""Settings of the test run: hypothesis draws the same examples in every run of the same tests."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import settings

from fieldsolve.grids import Circle, Grid, Healpix

mpl.use("Agg")
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")

REAL_EMBEDDINGS = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(params=[Healpix(8), Circle(96)], ids=["healpix", "circle"])
def grid(request: pytest.FixtureRequest) -> Grid:
    return request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260119)


@pytest.fixture
def clip_features() -> Path:
    path = REAL_EMBEDDINGS / "features_clip.npy"
    if not path.exists():
        pytest.skip("the CLIP features are not here")
    return path
