"""Masks of pictures: where they lie. A mask is never listed as an input."""

import os
from collections import defaultdict
from pathlib import Path

from horngate.pipelines.card import Data
from horngate.pipelines.data.folders import walk
from horngate.pipelines.data.sources import Listing
from horngate.pipelines.errors import UserError

GROUND_TRUTH = "ground_truth"  # the folder of masks in the layout of MVTec AD, whose masks end in `_mask`
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".pgm", ".ppm", ".webp")


class Masks:
    """The masks of the pictures below a folder.

    They lie in a folder of their own (`--masks`, or `ground_truth` of the pictures' folder), in the same sub-folders as the
    pictures with or without the split's, or flat; or beside the pictures, told apart by their ending.

    Args:
        root: the folder that the pictures lie in.
        folder: `--masks`: the folder of the masks, or None.
        ending: `--mask-suffix`: what follows the picture's stem in the mask's name, such as `_mask` or `.png`; or None.

    Raises:
        UserError: a folder that isn't there, or masks beside pictures without an ending.
    """

    def __init__(self, root: Path, folder: str | None, ending: str | None):
        usual = root / GROUND_TRUTH
        if folder is not None and not Path(folder).is_dir():
            raise UserError(f"--masks should be a folder. Received: {folder}")
        if folder is not None and Path(folder).resolve() == root.resolve():
            if not ending:
                raise UserError("masks that lie beside their pictures are told apart by --mask-suffix; give it")
            folder = None
        self.folder = Path(folder) if folder is not None else usual if usual.is_dir() else None
        self.ending = ending or ("_mask" if folder is None and self.folder is not None else "")
        self.root, self.beside = self.folder or root, self.folder is None and bool(ending)
        self.inside = None if self.folder is None else os.path.relpath(self.folder, root)
        self._found: dict[str, list[str]] | None = None

    def is_mask(self, path: str) -> bool:
        """Whether a file is a mask and no picture; `path` is relative to the pictures' folder."""
        if self.beside:
            return self._stem(path) is not None
        return self.inside is not None and path.startswith(self.inside + os.sep)

    def of(self, path: str) -> str | None:
        """Return the path of a picture's mask, or None where it has none.

        Args:
            path: of the picture, relative to its folder.

        Raises:
            UserError: several files could be the mask.
        """
        if self._found is None:
            self._found = self._listed()
        parts = os.path.splitext(path)[0].split(os.sep)  # noqa: PTH122, PTH206 - names that are no UTF-8 stay as they are
        tried = range(len(parts)) if self.folder is not None else (0,)
        for first in tried:
            files = self._found.get(os.sep.join(parts[first:]), [])  # noqa: PTH118
            if len(files) > 1:
                raise UserError(
                    f"{files[0]} and {files[1]} could both be the mask of {path}; give --mask-suffix .png or so"
                )
            if files:
                return files[0]
        return None

    def _listed(self) -> dict[str, list[str]]:
        """Return the masks by the stem of their picture, relative to their folder."""
        found = defaultdict(list)
        suffixes = (self.ending,) if "." in self.ending else SUFFIXES
        for path in walk(self.root, suffixes, Listing()):
            stem = self._stem(path)
            if stem is not None:
                found[stem].append(os.path.join(self.root, path))  # noqa: PTH118
        return found

    def _stem(self, path: str) -> str | None:
        """Return what stands before a mask's ending, or None for a file that is none."""
        if "." in self.ending:
            return path.removesuffix(self.ending) if path.endswith(self.ending) else None
        stem, suffix = os.path.splitext(path)  # noqa: PTH122
        if suffix.lower() not in SUFFIXES or not stem.endswith(self.ending):
            return None
        return stem.removesuffix(self.ending) if self.ending else stem


def masks_of(card: Data, root: Path, labelled: bool = True) -> Masks | None:
    """Return the masks of the pictures in a folder; None for a task without masks, or where none are to be found.

    Args:
        labelled: whether the masks are wanted; else they are only kept out, and needn't be there any more.
    """
    if "mask" not in card.roles:
        return None
    gone = not labelled and card.masks is not None and not Path(card.masks).is_dir()
    masks = Masks(root, None if gone else card.masks, card.mask_suffix)
    return masks if masks.folder is not None or masks.beside else None
