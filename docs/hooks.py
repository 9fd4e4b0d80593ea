"""What mkdocs does besides: pages that stand elsewhere in the repository, and links between all of them.

A page says where it links to as seen in the repository; here links are turned into those of the site, where
``docs/`` is the root and everything else keeps its path.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = ["on_files", "on_page_markdown"]

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "environment.yml",
    "benchmarks/README.md",
    "examples/README.md",
    "flashsim/models/*.md",
    "generation/pileup/*.yaml",
    "reference/corrections/*.json",
    *(
        f"{stage}/{pattern}"
        for stage in ("preprocessing", "training", "generation", "analysis", "reference")
        for pattern in ("README.md", "*.yaml", "*.cmnd", "*.py", "*.ipynb", "*.sh", "*.sub")
    ),
)
"""Files of the repository outside of docs/ that the site has."""


def _site_path(path: str) -> str:
    """Tell where a file of the repository stands on the site."""
    return {"README.md": "index.md"}.get(path, path.removeprefix("docs/"))


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the files from outside of docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            place = _site_path(path.relative_to(ROOT).as_posix())
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn the repository's relative links into the site's."""
    source = Path(str(page.file.abs_src_path)).relative_to(ROOT).parent.as_posix()
    here = posixpath.dirname(page.file.src_uri)

    def turn(found: re.Match[str]) -> str:
        target, _, anchor = found["target"].partition("#")
        if "://" in target or not target:
            return found[0]
        inside = posixpath.normpath(posixpath.join(source, target))
        place = posixpath.relpath(_site_path(inside), here or ".")
        return f"]({place}{'#' if anchor else ''}{anchor})"

    return re.sub(r"\]\((?P<target>[^)\s]+)\)", turn, markdown)
