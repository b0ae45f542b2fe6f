"""Sphinx settings: Markdown by MyST, the theme furo, and nothing that needs the network."""

project = "Jiyuan Algorithm Center"
author = "the Jiyuan authors"
copyright = "the Jiyuan authors, Apache-2.0"
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Jiyuan 绩元算法中心"
html_show_sphinx = False
html_copy_source = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# Two pages may have the same heading; each has its own anchors.
suppress_warnings = ["myst.duplicate_def"]
