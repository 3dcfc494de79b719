"""Settings of the test run: hypothesis draws the same examples in every run of the same tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader",
)  # fmt: skip


def first_of(*names: str) -> str | None:
    return next((path for path in map(shutil.which, names) if path is not None), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that logs its console and its requests."""
    program, driver = first_of("chromium", "chromium-browser", "google-chrome"), first_of("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium or its driver is not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    yield made
    made.quit()
