"""A scan: the pixels of one file in its own units, and what its header says of them; and how they become greys."""

from dataclasses import dataclass, field, replace

import numpy as np

from horngate.pipelines.spec.errors import UserError

LEVELS = 255.0  # the greys that networks are given go from 0 to this
PRESETS = {  # centre and width in Hounsfield units
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "abdomen": (40.0, 400.0),
    "mediastinum": (50.0, 350.0),
}
TAILS = (0.5, 99.5)  # percentiles of a picture's own values that become black and white where nothing else says


@dataclass(frozen=True)
class Window:
    """Which values become which greys (DICOM PS3.3 C.11.2).

    Attributes:
        centre, width: in the scan's units.
        kind: `linear`, `linear_exact` or `sigmoid`.
        table: values of a look-up table in 0…1 instead, the first one for `centre`; or None.
    """

    centre: float
    width: float = 1.0
    kind: str = "linear_exact"
    table: np.ndarray | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return values of any shape as float32 in 0…1."""
        values = np.asarray(values, np.float32)
        if self.table is not None:
            places = np.clip(values - self.centre, 0, len(self.table) - 1).astype(np.int64)
            return self.table[places].astype(np.float32)
        if self.kind == "sigmoid":
            return 1 / (1 + np.exp(-4 * (values - self.centre) / np.float32(self.width)))
        centre, width = (self.centre - 0.5, self.width - 1) if self.kind == "linear" else (self.centre, self.width)
        return np.clip((values - np.float32(centre)) / np.float32(max(width, 1e-6)) + np.float32(0.5), 0, 1)


@dataclass(frozen=True)
class Scan:
    """What one file holds.

    Attributes:
        pixels: `[slices, h, w, channels]` with 1 channel (grey) or 3 (RGB), after rescaling (a CT: in Hounsfield units);
            uint8, uint16 or int16 where the values are such, else float32 (float64 for whole numbers that it would round).
        kind: `dicom`, `nifti`, `picture` or `array`.
        limits: the least and greatest value that its kind of pixels can hold; None where there are none to speak of.
        spacing: mm between slices, between rows, between columns; None where it isn't known.
        affine: float64 `[4, 4]` from (column, row, slice) to mm to the patient's left, back and head (LPS, as
            DICOM has it), or None.
        window: the file's own.
        inverted: whether low values are bright (MONOCHROME1); `greys` turns them round.
        modality, photometric: as the header has them; empty where it has none.
        patient, series: as the header has them. Personal: never to be written anywhere.
        personal: names of header fields that hold personal data.
        burned_in: whether the header says that text is burned into the pixels; None where it doesn't say.
        converted: what was read as something else.
        origin: what is needed to write a mask for it, of the reader that made it.
    """

    pixels: np.ndarray
    kind: str
    limits: tuple[float, float] | None = None
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    affine: np.ndarray | None = None
    window: Window | None = None
    inverted: bool = False
    modality: str = ""
    photometric: str = ""
    patient: str | None = field(default=None, repr=False)
    series: str | None = field(default=None, repr=False)
    personal: tuple[str, ...] = ()
    burned_in: bool | None = None
    converted: tuple[str, ...] = ()
    origin: object = field(default=None, repr=False)

    @property
    def slices(self) -> int:
        return self.pixels.shape[0]

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    @property
    def colour(self) -> bool:
        return self.pixels.shape[3] == 3

    def at(self, slices: slice) -> "Scan":
        """Return the scan of some of its slices."""
        return replace(self, pixels=self.pixels[slices])


def window_named(text: str) -> Window | str:
    """Return the window that `--window` names, or `file` or `none` as they are.

    Raises:
        UserError: neither a name nor centre and width.
    """
    if text in ("file", "none"):
        return text
    if text in PRESETS:
        return Window(*PRESETS[text])
    try:
        centre, width = (float(part) for part in text.split(","))
    except ValueError:
        width = 0.0
    if not width > 0:
        known = ", ".join(("file", "none", *PRESETS))
        raise UserError(f"--window should be one of {known}, or CENTRE,WIDTH such as 40,400. Received: {text}")
    return Window(centre, width)


def greys(scan: Scan, window: Window | str = "file") -> tuple[np.ndarray, str]:
    """Return a scan as a network or a person looks at it, and in a few words how it was made.

    Pixels come as uint8 where they are 8-bit and no window was applied, else as float32, both from 0 to 255, of the same
    shape; low values are dark, whatever the file says.

    Args:
        window: one, `file` for the file's own (where it has none, as `none`), or `none`: the whole range that its pixels can
            have, and where that says nothing (floating-point numbers, 32 bit, rescaled values) from the 0.5th to the 99.5th
            percentile of the scan's own values.
    """
    pixels, own = scan.pixels, window if isinstance(window, Window) else scan.window if window == "file" else None
    if scan.colour or (own is None and pixels.dtype == np.uint8 and scan.limits in (None, (0.0, LEVELS))):
        said = "as they are"
        shown = pixels if pixels.dtype == np.uint8 else _spread(pixels, *(scan.limits or _tails(pixels)))
    elif own is not None:
        said = "by --window" if isinstance(window, Window) else "by the file's own window"
        shown = own(pixels) * np.float32(LEVELS)
    elif scan.limits is not None:
        said, shown = "over the whole range of their bits", _spread(pixels, *scan.limits)
    else:
        said, shown = "over each scan's own range", _spread(pixels, *_tails(pixels))
    if scan.inverted:
        shown = (LEVELS - shown).astype(shown.dtype)
    return shown, said


def _tails(pixels: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(pixels, TAILS)
    return float(low), float(high)


def _spread(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return float32 in 0…255: 0 at `low`, 255 at `high`, cut there."""
    scale = LEVELS / (high - low) if high > low else 0.0
    return np.clip((pixels.astype(np.float32) - np.float32(low)) * np.float32(scale), 0, LEVELS)


def plain(values: np.ndarray) -> np.ndarray:
    """Return numbers in a type that the pixels of a scan have, and the order of bytes of this machine."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype in (np.uint8, np.uint16, np.int16, np.float32):
        return values
    if values.dtype == np.int8:
        return values.astype(np.int16)
    small = values.astype(np.float32)
    exact = values.dtype.kind == "f" or np.array_equal(small, values)
    return small if exact else values.astype(np.float64)
