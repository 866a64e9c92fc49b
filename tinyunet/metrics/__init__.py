"""How good is a predicted mask? Counts of pixels, distances of boundaries, objects found, and how sure a mean is.

- `counts`: Dice, IoU, precision and recall, which are ratios of pixel counts.
- `surface`: HD95, surface Dice and average surface distance, in mm or pixels: how far apart the boundaries run.
- `objects`: how many objects there are, and how many were found one by one.
- `bootstrap`: how much a mean over images would change with other images.
- `scores`: the table image x class of all of them, and its named aggregates; `output` writes it.
- `measure`: predict every image of a data set, slices of a volume together, and score it.

A score is 0/0 where a class is absent and (rightly) not predicted. What that means is a policy with a name: "skip"
leaves the case out of means and counts it, "one" calls it right, "zero" calls it wrong.
"""

from tinyunet.metrics.bootstrap import bootstrap_interval, bootstrap_means
from tinyunet.metrics.counts import METRICS, confusion, dice, iou, precision, recall
from tinyunet.metrics.measure import measure
from tinyunet.metrics.objects import ObjectCounts, count_objects, object_f1
from tinyunet.metrics.scores import Scores
from tinyunet.metrics.surface import (
    SurfaceDistances,
    SurfaceMeasures,
    average_surface_distance,
    hd95,
    surface_dice,
    surface_distances,
    surface_of,
)

__all__ = [
    "METRICS",
    "ObjectCounts",
    "Scores",
    "SurfaceDistances",
    "SurfaceMeasures",
    "average_surface_distance",
    "bootstrap_interval",
    "bootstrap_means",
    "confusion",
    "count_objects",
    "dice",
    "hd95",
    "iou",
    "measure",
    "object_f1",
    "precision",
    "recall",
    "surface_dice",
    "surface_distances",
    "surface_of",
]
