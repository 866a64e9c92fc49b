from __future__ import annotations

import numpy as np

from tinyunet.data import IGNORE, Loader, Normalize, Toy
from tinyunet.data.augment import Augment
from tinyunet.plot import CLASS_COLOURS, augmentations, outline, paint, plain


def test_outline_is_the_rim_of_each_object():
    labels = np.zeros((6, 9), int)
    labels[1:5, 1:5], labels[1:5, 5:8] = 1, 2
    rim = outline(labels)
    assert (rim[2:4, 2:4] == 0).all() and (rim[2:4, 6] == 0).all()
    assert ((rim > 0).sum(), rim.max()) == (12 + 10, 2)
    assert (rim[rim > 0] == labels[rim > 0]).all()


def test_names_that_matplotlib_cannot_draw():
    assert plain("$x$ \udcff") == r"\$x\$ ?"


def test_the_sheet_shows_what_training_sees():
    augment = Augment(rot90=True, rotate=30, gamma=(0.5, 2))
    loader = Loader(Toy("cells", 3, (32, 32)), 2, normalize=Normalize("zscore"), augment=augment, shuffle=True, seed=4)
    figure = augmentations(loader, samples=2, variants=3)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["as it is", "epoch 1", "epoch 2", "epoch 3", "", "", "", ""] and len(shown) == 8
    original = loader.normalize(loader.dataset[1].image)
    limits = float(original.min()), float(original.max())
    for picture, (image, mask) in zip(
        shown[4:], [(original, loader.dataset[1].mask), *(loader.prepare(1, k) for k in range(3))], strict=True
    ):
        assert np.array_equal(picture, paint(image, outline(mask), CLASS_COLOURS, alpha=1, limits=limits))
    hatched = [bool(axes.collections) for axes in figure.axes]
    ignored = [(loader.prepare(index, k)[1] == IGNORE).any() for index in (0, 1) for k in range(3)]
    assert hatched == [False, *ignored[:3], False, *ignored[3:]] and any(ignored)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nucleus", "border"]
