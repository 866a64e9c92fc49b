"""How Sphinx builds this site: `python -m sphinx -W -n docs docs/_build/html`, from the root of the repository."""

import hashlib
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "extensions"), str(DOCS.parent)]
# Lessons run in Jupyter kernels, which must find this checkout too.
os.environ["PYTHONPATH"] = os.pathsep.join([str(DOCS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])

import tinyunet  # noqa: E402

project, author = "tinyunet", "the tinyunet authors"
version = release = tinyunet.__version__
copyright = "the tinyunet authors, MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "tinyunet_docs"]
exclude_patterns = ["_build", "extensions", "**.ipynb_checkpoints"]

# Everything the pages need is in the site; nothing is fetched, neither now nor by the reader's browser.
html_theme = "furo"
html_title = "tinyunet"
html_static_path = ["static"]
html_css_files = ["tinyunet.css"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = False
templates_path = []
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

# Lessons are executed once for each state of the library and kept in docs/_build; an error in a cell stops the build.
# TINYUNET_DOCS_EXECUTE=off leaves the figures out, for those who work on other pages.
files = sorted(path for path in (DOCS.parent / "tinyunet").rglob("*") if path.suffix in (".py", ".cu", ".cuh"))
state = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
nb_execution_mode = os.environ.get("TINYUNET_DOCS_EXECUTE", "cache")
nb_execution_cache_path = str(DOCS / "_build" / f"executed-{state}")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}

# Docstrings say the types in words ("(N, C, H, W) float array"), better than annotations could.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring, napoleon_google_docstring = True, False
napoleon_use_param = napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*"), ("py:exc", ".*"), ("py:class", ".*")]
