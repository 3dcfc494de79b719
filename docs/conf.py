"""The documentation's build: `sphinx-build -W --keep-going -b html docs site` makes all of it, examples and explorer included."""

import sys
from pathlib import Path

import fieldsolve

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extension"))

project, author, release = "fieldsolve", "The fieldsolve developers", fieldsolve.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "root_pages",
    "api_pages",
    "gallery",
    "explorer_page",
    "links",
]
exclude_patterns = ["extension", "pictures"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
bibtex_bibfiles = ["references.bib"]
default_role = "code"
smartquotes = False
nitpicky = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

html_theme = "pydata_sphinx_theme"
html_title = "fieldsolve"
html_static_path: list[str] = []
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
