"""Sphinx's settings. `make site` stages the sources and calls Sphinx; see build.py."""

import tomllib
from pathlib import Path

# The files beside this one, which build.py, in the same folder, has put on the path.
from finish import finish
from where import BRANCH, repository

DOCS = Path(__file__).resolve().parent
_project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_repository = repository(DOCS)

project = "Seeing PyTorch"
author = "The Seeing PyTorch authors"
project_copyright = f"2026, {author}. Code: BSD-3-Clause; text and pictures: CC BY 4.0"
version = release = _project["version"]
language = "en"

extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = []
nitpicky = True

# The chapters as they are stored: nothing is run.
nb_execution_mode = "off"
nb_execution_raise_on_error = True
myst_enable_extensions = ["colon_fence", "deflist", "html_image"]
myst_heading_anchors = 4
suppress_warnings = []

html_title = project
html_theme = "sphinx_book_theme"
html_static_path = [str(DOCS / "_static")]
html_css_files = ["site.css"]
html_copy_source = True
html_show_sphinx = False
html_permalinks_icon = "#"
copybutton_exclude = ".linenos, .gp, .go"

html_theme_options = {
    "show_navbar_depth": 2,
    "home_page_in_toc": False,
    "use_download_button": True,
    "use_fullscreen_button": True,
    "toc_title": "On this page",
    "navbar_persistent": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if _repository:
    html_theme_options |= {
        "repository_url": f"https://github.com/{_repository}",
        "repository_branch": BRANCH,
        "repository_provider": "github",
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": True,
    }
html_context = {"default_mode": "auto"}
if _repository:
    # A chapter and a helper lie where their pages say, all other pages in docs/.
    html_context |= {
        "edit_page_provider_name": "GitHub",
        "edit_page_url_template": (
            f"https://github.com/{_repository}/edit/{BRANCH}/"
            "{% if file_name.startswith('helpers/') %}"
            "{{ file_name | replace('index.md', '__init__.md') | replace('.md', '.py') }}"
            "{% elif file_name.startswith('notebooks/') %}{{ file_name }}"
            "{% else %}docs/{{ file_name }}{% endif %}"
        ),
    }


def _finish(app, error) -> None:
    if error is None:
        finish(Path(app.outdir), DOCS.parent / "notebooks")


def setup(app) -> None:
    app.connect("build-finished", _finish)
