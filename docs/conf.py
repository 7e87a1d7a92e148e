"""Sphinx configuration of the documentation site."""

import os
import sys
from pathlib import Path

import wgan_jax

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "wgan_jax"
author = "The wgan_jax authors"
copyright = author
version = release = wgan_jax.__version__

extensions = [
    "myst_nb",  # with myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    # Of this folder:
    "api",
    "directives",
    "repository_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]

# Notebooks are shown with their stored outputs.
nb_execution_mode = "off"
# Equations between dollars, which GitHub shows, too.
myst_enable_extensions = ["dollarmath"]
# Links to headings, as on GitHub: ``methods.md#training``.
myst_heading_anchors = 4

# Types are in the docstrings. References to other packages would need their
# inventories, and so a network.
nitpicky = False
add_module_names = False
autoclass_content = "both"  # the arguments may be described by __init__
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 70
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style"), "Reference"]

html_theme = "furo"
html_title = f"wgan_jax {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_js_files = [("accessibility.js", {"type": "module"})]
html_copy_source = False
html_show_sphinx = False
# What sites show that link to a page. ``social_card.py`` draws the picture.
myst_html_meta = {
    "description": "Wasserstein GANs and their baselines in JAX and Flax",
    "property=og:type": "website",
    "property=og:site_name": project,
    "name=twitter:card": "summary_large_image",
}
# GitHub's builds link each page to its source, and know the address of the site,
# which the picture's address begins with.
if repository := os.environ.get("GITHUB_REPOSITORY"):
    owner, name = repository.split("/")
    html_baseurl = f"https://{owner.lower()}.github.io/{name}/"
    myst_html_meta["property=og:image"] = f"{html_baseurl}_static/social-card.png"
    html_theme_options = {
        "source_repository": f"https://github.com/{repository}",
        "source_branch": "main",
        "source_directory": "docs/",
    }
# A prompt is not copied.
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True
