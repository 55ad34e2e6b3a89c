"""Medical images into masks: which class each pixel is."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines import presets, progress
from horngate.pipelines.base import Pipeline as Base
from horngate.pipelines.data.checks import SHOWN, Finding
from horngate.pipelines.errors import Unreadable, UserError
from horngate.pipelines.files import read_json
from horngate.pipelines.measure import segmentation
from horngate.pipelines.measure.segmentation import Cases
from horngate.pipelines.medical.answering_masks import Answering
from horngate.pipelines.medical.class_maps import Classes, counted, fitting, read_mask
from horngate.pipelines.medical.looks import thumbnail_of
from horngate.pipelines.medical.reading import SUFFIXES
from horngate.pipelines.medical.scan import window_named
from horngate.pipelines.medical.views import View
from horngate.pipelines.medical.volumes import Volume, volume_of
from horngate.pipelines.page import segmentation as drawn
from horngate.pipelines.page.plot import Plot, Shown
from horngate.pipelines.pictures.looks import LUMA
from horngate.pipelines.report import Report
from horngate.pipelines.run import Run

if TYPE_CHECKING:
    import keras

    from horngate.models.segmenting import Segmenter

COARSEST, LARGEST = 32, 256  # pixels: a tile's side is a multiple of the first, and at most the second unless asked for
MARGIN = 8  # a tile's margin is its side over this
"""
