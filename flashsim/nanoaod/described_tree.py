"""Trees whose branches have the titles that document them: uproot itself has no interface for those."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import uproot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["make_tree"]

_log = logging.getLogger(__name__)


def make_tree(
    file: Any,
    name: str,
    types: Mapping[str, Any],
    *,
    title: str,
    counter_name: Callable[[str], str],
    titles: Mapping[str, str],
) -> Any:
    """Make an empty tree, as uproot's ``mktree``, with a title for each branch.

    This reaches into the description that uproot keeps of a tree, before it is written for the first time.
    Leaf titles, from which ROOT reads the types, stay. Should an uproot release rename the parts used here,
    the tree is made without titles, and a warning says so once.

    Parameters
    ----------
    file
        Writable file or directory of uproot.
    name, types, title, counter_name
        As for ``mktree``.
    titles
        Title by branch, counters too; other branches keep uproot's.

    Returns
    -------
    uproot.WritableTree
    """
    try:
        with_titles = _with_titles(file, titles)
    except AttributeError as error:
        _warn(error)
        return file.mktree(name, types, title=title, counter_name=counter_name)
    file._cascading.add_tree = with_titles  # noqa: SLF001
    try:
        return file.mktree(name, types, title=title, counter_name=counter_name)
    finally:
        del file._cascading.add_tree  # noqa: SLF001


def _with_titles(file: Any, titles: Mapping[str, str]) -> Callable[..., Any]:
    """Give what takes the place of ``add_tree`` of a directory: it writes each tree with these titles."""
    directory = file._cascading  # noqa: SLF001
    tree_class, segments = uproot.writing._cascadetree.Tree, directory._freesegments  # noqa: SLF001
    without_titles = directory.add_tree

    def add_tree(sink: Any, name: str, title: str, types: Any, *options: Any) -> Any:
        try:
            tree = tree_class(directory, name, title, types, segments, *options)
            for datum in tree._branch_data:  # noqa: SLF001
                if datum["kind"] != "record":
                    datum["fTitle"] = titles.get(datum["fName"], datum["fTitle"])
        except (AttributeError, KeyError, TypeError) as error:
            _warn(error)
            return without_titles(sink, name, title, types, *options)
        tree.write_anew(sink)
        return tree

    return add_tree


_warned = False


def _warn(error: Exception) -> None:
    global _warned  # noqa: PLW0603
    if not _warned:
        _log.warning(
            "branch titles are not written: uproot %s keeps them elsewhere (%r)", uproot.__version__, error
        )
        _warned = True
