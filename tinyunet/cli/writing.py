"""What `tinyunet predict` writes of a case: labels, views, probabilities and uncertainty."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_case(options, segmenter, case, scan, labels, p, examined) -> None:
    """Write the results of one case: labels (D, H, W), probabilities (D, classes, H, W), `Prediction` of as many."""
    from .. import plot
    from ..data.write import labels_suffix, write_array, write_labels, write_picture

    out, name = Path(options.out), case.name
    suffix = labels_suffix(case.images[0], len(labels))
    write_labels(out / "labels" / f"{name}{suffix}", labels, segmenter.mask_values, scan.geometry)
    k = int((labels > 0).sum(axis=(1, 2)).argmax())  # the slice that shows most
    image = scan.pixels[:, k]
    write_picture(out / "views" / f"{name}.png", plot.paint(image, labels[k]))
    if options.probabilities:
        write_array(out / "probabilities" / f"{name}.npy", p[0] if len(p) == 1 else p.swapaxes(0, 1))
    if examined:
        maps = np.stack(examined[1:])  # (2, D, H, W)
        write_array(out / "uncertainty" / f"{name}.npy", maps[:, 0] if len(p) == 1 else maps)
        figure = plot.uncertainty(image, labels[k], type(examined)(*(a[k] for a in examined)))
        plot.save_figure(figure, out / "uncertainty" / f"{name}.png")


def predict_large(segmenter, case, rows, options, look, keep) -> set[int]:
    """Segment a large image by rows; return the classes that were found."""
    from tqdm import tqdm

    from .. import plot
    from ..data.sample import DataError
    from ..data.write import labels_suffix, write_picture
    from ..inference.large import segment_rows

    if keep:
        raise DataError(
            f"{rows.path}: is too large ({rows.height} x {rows.width}) to look for objects in it, as --largest and "
            "--smallest do; leave them out"
        )
    out, name = Path(options.out), case.name
    overview = segment_rows(
        segmenter,
        rows,
        out / "labels" / f"{name}{labels_suffix(rows.path, 1)}",
        probabilities=out / "probabilities" / f"{name}.npy" if options.probabilities else None,
        uncertainty=out / "uncertainty" / f"{name}.npy" if options.uncertainty else None,
        progress=lambda tops: tqdm(tops, desc=name, unit="row of tiles", leave=False, disable=None),
        **look,
    )
    write_picture(out / "views" / f"{name}.png", plot.paint(overview.image, overview.labels))
    if overview.prediction:
        figure = plot.uncertainty(overview.image, overview.labels, overview.prediction)
        plot.save_figure(figure, out / "uncertainty" / f"{name}.png")
    return overview.found
