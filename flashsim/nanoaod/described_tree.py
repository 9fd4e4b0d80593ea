"""Trees with NanoAOD's titles of branches and types of counters: uproot has no interface for either."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import uproot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

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
    counter_dtype: np.dtype,
) -> Any:
    """Make an empty tree, as uproot's ``mktree``, with a title for each branch and counters of a type.

    This reaches into the description that uproot keeps of a tree, before it is written for the first time.
    Leaf titles, from which ROOT reads the lengths, stay. Should an uproot release rename the parts used here,
    the tree is made as uproot does it, with counters ``Int_t`` and no titles, and a warning says so once.

    Parameters
    ----------
    file
        Writable file or directory of uproot.
    name, types, title, counter_name
        As for ``mktree``.
    titles
        Title by branch, counters too; other branches keep uproot's.
    counter_dtype
        Type of the counters: ``int32`` or ``uint32``, which ROOT calls ``Int_t`` and ``UInt_t``.

    Returns
    -------
    uproot.WritableTree
    """
    try:
        described = _described(file, titles, counter_dtype)
    except AttributeError as error:
        _warn(error)
        return file.mktree(name, types, title=title, counter_name=counter_name)
    file._cascading.add_tree = described  # noqa: SLF001
    try:
        return file.mktree(name, types, title=title, counter_name=counter_name)
    finally:
        del file._cascading.add_tree  # noqa: SLF001


def _described(file: Any, titles: Mapping[str, str], counter_dtype: np.dtype) -> Callable[..., Any]:
    """Give what takes the place of ``add_tree`` of a directory: it writes trees so described."""
    directory = file._cascading  # noqa: SLF001
    tree_class, segments = uproot.writing._cascadetree.Tree, directory._freesegments  # noqa: SLF001
    letter = uproot.writing._cascadetree._dtype_to_char[counter_dtype.newbyteorder(">")]  # noqa: SLF001
    as_uproot = directory.add_tree

    def add_tree(sink: Any, name: str, title: str, types: Any, *options: Any) -> Any:
        try:
            tree = tree_class(directory, name, title, types, segments, *options)
            for datum in tree._branch_data:  # noqa: SLF001
                if datum["kind"] == "counter":
                    # The letter, the leaf's sign and the baskets follow from the dtype when they are written.
                    datum["dtype"] = counter_dtype.newbyteorder(">")
                    datum["fTitle"] = f"{datum['fName']}/{letter}"
                if datum["kind"] != "record":
                    datum["fTitle"] = titles.get(datum["fName"], datum["fTitle"])
        except (AttributeError, KeyError, TypeError) as error:
            _warn(error)
            return as_uproot(sink, name, title, types, *options)
        tree.write_anew(sink)
        return tree

    return add_tree


_warned = False


def _warn(error: Exception) -> None:
    global _warned  # noqa: PLW0603
    if not _warned:
        _log.warning(
            "branch titles are not written, and counters as Int_t in any version of NanoAOD: uproot %s keeps "
            "them elsewhere (%r)",
            uproot.__version__,
            error,
        )
        _warned = True
