"""Masks of pictures: where they lie. A mask is never listed as an input."""

import os
from collections import defaultdict
from pathlib import Path

from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.folders import walk
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError

GROUND_TRUTH = "ground_truth"  # the folder of masks in the layout of MVTec AD, whose masks end in `_mask`
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", ".pgm", ".ppm", ".webp")
SUFFIXES += (".nii", ".nii.gz", ".npy")


class Masks:
    """The masks of the pictures below a folder.

    They lie in a folder of their own (`--masks`, or a folder of the pictures' that is named as one of `usual`), in the same
    sub-folders as the pictures with or without the split's, or flat; or in such a folder beside that of the pictures, in
    that of each split; or beside the pictures, told apart by their ending.

    Args:
        root: the folder that the pictures lie in.
        folder: `--masks`: the folder of the masks, or None.
        ending: `--mask-suffix`: what follows the picture's stem in the mask's name, such as `_mask` or `.png`; or None.
        usual: names of folders that hold masks.

    Raises:
        UserError: a folder that isn't there, or masks beside pictures without an ending.
    """

    def __init__(self, root: Path, folder: str | None, ending: str | None, usual: tuple[str, ...] = (GROUND_TRUTH,)):
        if folder is not None and not Path(folder).is_dir():
            raise UserError(f"--masks should be a folder. Received: {folder}")
        if folder is not None and Path(folder).resolve() == root.resolve():
            if not ending:
                raise UserError("masks that lie beside their pictures are told apart by --mask-suffix; give it")
            folder = None
        there = [root / name for name in usual if (root / name).is_dir()]
        self.folder = Path(folder) if folder is not None else there[0] if len(there) == 1 else None
        self.ending = ending or ("_mask" if folder is None and self.folder == root / GROUND_TRUTH else "")
        self.named = usual if self.folder is None and not ending and self._in_each(root, usual) else ()
        self.root, self.beside = self.folder or root, self.folder is None and bool(ending)
        self.inside = None if self.folder is None else os.path.relpath(self.folder, root)
        self._found: dict[str, list[str]] | None = None
        self._taken: set[str] = set()

    def is_mask(self, path: str) -> bool:
        """Whether a file is a mask and no picture; `path` is relative to the pictures' folder."""
        if self.beside:
            return self._stem(path) is not None
        if self.named:
            return any(part in self.named for part in path.split(os.sep)[:-1])  # noqa: PTH206
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
        for stem in self._stems(_parted(path)[0].split(os.sep)):  # noqa: PTH206 - names that are no UTF-8 stay as they are
            files = self._found.get(stem, [])
            if len(files) > 1:
                raise UserError(
                    f"{files[0]} and {files[1]} could both be the mask of {path}; give --mask-suffix .png or so"
                )
            if files:
                self._taken.add(stem)
                return files[0]
        return None

    @property
    def left(self) -> int:
        """How many masks no picture asked for so far."""
        return 0 if self._found is None else len(self._found) - len(self._taken)

    def _stems(self, parts: list[str]) -> list[str]:
        """Return the stems by which the masks of a picture are looked up, in order."""
        tails = [parts[first:] for first in range(len(parts) if self.folder is not None else 1)]
        without = [[*parts[:place], *parts[place + 1 :]] for place in reversed(range(len(parts) - 1))]
        tried = without if self.named else tails
        return [os.sep.join(one) for one in tried]  # noqa: PTH118

    @staticmethod
    def _in_each(root: Path, usual: tuple[str, ...]) -> bool:
        """Whether folders of masks lie in the folders below: in that of each split."""
        return any((folder / name).is_dir() for folder in root.iterdir() if folder.is_dir() for name in usual)

    def _listed(self) -> dict[str, list[str]]:
        """Return the masks by the stem of their picture, relative to their folder."""
        found = defaultdict(list)
        suffixes = (self.ending,) if "." in self.ending else SUFFIXES
        for path in walk(self.root, suffixes, Listing()):
            stem = self._stem(path) if not self.named or self.is_mask(path) else None
            if stem is not None and self.named:
                kept = [part for part in stem.split(os.sep) if part not in self.named]  # noqa: PTH206
                stem = os.sep.join(kept)  # noqa: PTH118
            if stem is not None:
                found[stem].append(os.path.join(self.root, path))  # noqa: PTH118
        return found

    def _stem(self, path: str) -> str | None:
        """Return what stands before a mask's ending, or None for a file that is none."""
        if "." in self.ending:
            return path.removesuffix(self.ending) if path.endswith(self.ending) else None
        stem, suffix = _parted(path)
        if suffix.lower() not in SUFFIXES or not stem.endswith(self.ending):
            return None
        return stem.removesuffix(self.ending) if self.ending else stem


def masks_of(card: Data, root: Path, labelled: bool = True) -> Masks | None:
    """Return the masks of the pictures in a folder; None for a task without masks, or where none are to be found.

    Args:
        labelled: whether the masks are wanted; else they are only kept out, and needn't be there any more.
    """
    if "mask" not in card.rows.roles:
        return None
    gone = not labelled and card.masks is not None and not Path(card.masks).is_dir()
    masks = Masks(root, None if gone else card.masks, card.mask_suffix, getattr(card, "mask_folders", (GROUND_TRUTH,)))
    return masks if masks.folder is not None or masks.beside or masks.named else None


def _parted(path: str) -> tuple[str, str]:
    """Return the stem and the suffix of a file; `.nii.gz` is one suffix."""
    if path.lower().endswith(".nii.gz"):
        return path[: -len(".nii.gz")], path[-len(".nii.gz") :]
    return os.path.splitext(path)  # noqa: PTH122
