"""How the documentation is built: `make docs`, warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import cloudtune

project = "cloudtune"
author = "The cloudtune authors"
copyright = "The cloudtune authors"
version = release = cloudtune.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"cloudtune {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
napoleon_use_rtype = False

# Types that are not ours have no page here, and no other site is fetched while building. Everything of cloudtune must
# resolve, but for the aliases that autodoc shows by their definition and private names.
nitpick_ignore_regex = [
    # Types of what is not part of the interface: they stand in signatures only.
    (r"py:class", r"cloudtune\.(aws\.clients\.Aws|interruption\.SignalWatch)"),
    (r"py:class", r"cloudtune\.remote\.(launching\.Checks|parcel\.Parcel)"),
    (r"py:.*", r"(?!cloudtune\.).*"),
    (r"py:.*", r"cloudtune\..*\._.*"),
]
