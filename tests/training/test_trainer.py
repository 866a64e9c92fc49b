from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from tinyunet import NonFiniteError, use_kernels
from tinyunet import functional as F
from tinyunet.data import Augment, Loader, Normalize
from tinyunet.data.sample import Sample
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet
from tinyunet.optim import SGD, Adam, AdamW, Cosine, Poly
from tinyunet.training import Trainer

from .tiny import scene


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


class Discs:
    """Grey images with a bright disc."""

    class_names, channels, mask_values = ("background", "disc"), 1, (0, 255)

    def __init__(self, count: int, first: int = 0):
        self.samples = [scene(first + k) for k in range(count)]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, k):
        image, mask = self.samples[k]
        return Sample(image[None].astype(np.float32), mask.astype(np.int64), f"disc-{k}")


def make(optimizer=Adam, lr=0.02, count=5, model=None, augment=None, epochs=3, validated=True, **options) -> Trainer:
    segmenter = Segmenter(model or UNet(1, 2, 2, 1), Normalize(), Discs.class_names, Discs.mask_values)
    loader = Loader(Discs(count), 2, normalize=segmenter.normalize, augment=augment, shuffle=True)
    validate = (lambda: segmenter.evaluate(Discs(2, first=100))) if validated else None
    optimizer = optimizer(segmenter.model.parameters(), lr)
    return Trainer(segmenter, optimizer, loader, validate=validate, show_progress=False, **options)


def weights(trainer: Trainer) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in trainer.model.state_dict().items()}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype and np.array_equal(array, other[name]), name


def lines(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


# ------------------------------------------------------------------------------------------- learning


def test_one_batch_is_learnt_by_heart():
    trainer = make(lr=0.05, count=2, model=UNet(1, 2, 4, 1), validated=False)
    history = trainer.fit(60)
    assert history[-1]["loss"] < 0.15 * history[0]["loss"]
    scores = trainer.segmenter.evaluate(trainer.loader.dataset)
    assert scores.average(scores.mean("dice")) > 0.97


def test_history_has_a_row_per_epoch():
    seen = []
    trainer = make(schedule=Cosine(9), after_epoch=lambda t: seen.append((t.epoch, t.batch, len(t.history))))
    assert trainer.fit(3) is trainer.history
    assert seen == [(1, 0, 1), (2, 0, 2), (3, 0, 3)] and trainer.optimizer.steps == 9
    for k, row in enumerate(trainer.history):
        assert list(row) == ["epoch", "loss", "lr", "dice_mean", "dice_pooled", "seconds", "alarm"]
        assert row["epoch"] == k + 1 and row["seconds"] > 0 and 0 <= row["dice_mean"] <= 1
        assert row["lr"] == 0.02 * Cosine(9)(3 * k + 2)
    assert list(make(validated=False).fit(1)[0]) == ["epoch", "loss", "lr", "seconds"]


def test_the_loss_of_an_epoch_is_the_mean_over_images():
    """Batches of 2, 2 and 1: a mean over batches would count the last image twice."""
    trainer, losses = make(validated=False), iter([1.0, 2.0, 6.0])
    trainer.step = lambda images, masks: next(losses)
    assert trainer.fit(1)[0]["loss"] == (2 * 1.0 + 2 * 2.0 + 6.0) / 5


def test_the_best_epoch_has_the_highest_dice():
    trainer = make()
    best = []
    for dice in (float("nan"), 0.3, 0.3, 0.7, 0.5, float("nan")):
        trainer.history.append({"dice_mean": dice})
        best.append(trainer.best_so_far())
    assert best == [True, True, False, True, False, False]
    unvalidated = make(validated=False)
    unvalidated.history = [{}, {}]
    assert unvalidated.best_so_far()


def test_an_unpadded_network_learns_from_the_middle_of_the_masks():
    trainer = make(lr=0.05, model=UNet(1, 2, 4, 1, padding="valid"), validated=False, count=2)
    history = trainer.fit(40)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    images, masks = next(trainer.loader.epoch(0))
    logits = trainer.model(images)
    assert logits.shape[2:] == (16, 16)
    middle = masks[:, 8:24, 8:24]
    assert (logits.data.argmax(axis=1) == middle).mean() > 0.9


def test_gradients_are_clipped_before_the_step():
    before = weights(trainer := make(SGD, lr=1.0, clip_norm=1e-3, validated=False))
    trainer.step(*next(trainer.loader.epoch(0)))
    moved = [(p.data - before[name]).ravel() for name, p in trainer.model.named_parameters()]
    assert np.linalg.norm(np.concatenate(moved)) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs_is_an_error(epochs):
    with pytest.raises(ValueError, match=f"epochs must be at least 1, got {epochs}"):
        make().fit(epochs)


# ------------------------------------------------------------------------------------------- NaN


def test_a_nan_weight_is_traced_to_its_layer():
    trainer = make()
    dict(trainer.model.named_parameters())["encoder2.3.weight"].data[0, 0, 1, 1] = np.nan
    before = {name: p.data.copy() for name, p in trainer.model.named_parameters()}
    text = r"loss became nan in step 1: encoder2\.3\.weight is not finite.*: .*layer encoder2\.3.*lower the learning"
    with pytest.raises(NonFiniteError, match=text):
        trainer.fit(1)
    for name, p in trainer.model.named_parameters():
        assert np.array_equal(p.data, before[name], equal_nan=True), name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, on the way to the error
def test_an_infinite_image_is_an_error():
    trainer = make()
    images, masks = next(trainer.loader.epoch(0))
    images[1, 0, 5, 5] = np.inf
    with pytest.raises(NonFiniteError, match=r"encoder1\.0.*check the images"):
        trainer.step(images, masks)


# ------------------------------------------------------------------------------------------- stop and resume


def recomputed(model: UNet) -> UNet:
    model.recompute = True
    return model


RECIPES = {
    "augmented, dropout, cosine": dict(
        optimizer=Adam,
        model=lambda: UNet(1, 2, 2, 2, dropout=0.3),
        augment=Augment(rot90=True, rotate=20, scale=(0.8, 1.2), gamma=(0.7, 1.5)),
        schedule=Cosine(9, warm_up=2),
        clip_norm=1.0,
    ),
    "adamw, group norm": dict(optimizer=AdamW, model=lambda: UNet(1, 2, 2, 1, norm="group"), schedule=Poly(9)),
    "deep, recomputed": dict(
        model=lambda: recomputed(UNet(1, 2, 2, 2, dropout=0.3, deep_supervision=True)), accumulate=2
    ),
    "in parts": dict(model=lambda: UNet(1, 2, 2, 1, dropout=0.3), accumulate=2),
    "momentum": dict(optimizer=lambda p, lr: SGD(p, lr, momentum=0.9, nesterov=True), model=lambda: UNet(1, 2, 2, 1)),
}


def from_recipe(name: str, **more) -> Trainer:
    recipe = dict(RECIPES[name])
    return make(model=recipe.pop("model")(), **recipe, **more)


def test_the_same_seed_gives_the_same_bits():
    name = "augmented, dropout, cosine"
    one, other = from_recipe(name), from_recipe(name)
    assert lines(one.fit(2)) == lines(other.fit(2))
    assert_same(weights(one), weights(other))


def stop_in_loader(trainer: Trainer, batches: int) -> None:
    inner = trainer.loader.epoch

    def epoch(*arguments, **options):
        for batch in inner(*arguments, **options):
            if trainer.optimizer.steps == batches:
                raise KeyboardInterrupt
            yield batch

    trainer.loader.epoch = epoch


def stop_by_signal(trainer: Trainer, batches: int) -> None:
    inner = trainer._forward

    def forward(*arguments):
        if trainer.optimizer.steps == batches - 1:
            os.kill(os.getpid(), signal.SIGINT)  # in the middle of a step, which is finished first
        return inner(*arguments)

    trainer._forward = forward


def stop_in_validation(trainer: Trainer, batches: int) -> None:
    def validate():
        raise KeyboardInterrupt  # a second Ctrl-C

    trainer.validate = validate


@pytest.mark.parametrize(
    "name, stop, batches",
    [
        ("augmented, dropout, cosine", stop_in_loader, 4),
        ("augmented, dropout, cosine", stop_by_signal, 5),
        ("augmented, dropout, cosine", stop_in_validation, 3),
        ("adamw, group norm", stop_by_signal, 3),  # the last batch of an epoch
        ("in parts", stop_in_loader, 4),
        ("deep, recomputed", stop_in_loader, 4),
        ("momentum", stop_by_signal, 7),
    ],
)
def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(name, stop, batches):
    whole = from_recipe(name)
    whole.fit(3)
    stopped, handler = from_recipe(name), signal.getsignal(signal.SIGINT)
    stop(stopped, batches)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(3)
    assert stopped.optimizer.steps == batches and not stopped.in_step
    arrays, progress = stopped.state()
    arrays = {key: array.copy() for key, array in arrays.items()}
    resumed = from_recipe(name)
    resumed.restore(arrays, progress)
    resumed.fit(3)
    assert_same(weights(resumed), weights(whole))
    assert lines(resumed.history) == lines(whole.history)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_signal_stops_within_the_step_and_says_so():
    trainer = make()

    def forward(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal should have stopped this")

    trainer._forward = forward
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(1)
    assert trainer.in_step and trainer.optimizer.steps == 0


def test_training_in_another_thread_leaves_signals_alone():
    trainer, handler = make(validated=False), signal.getsignal(signal.SIGINT)
    failures = []

    def run():
        try:
            with use_kernels("reference"):
                trainer.fit(1)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failures and len(trainer.history) == 1 and signal.getsignal(signal.SIGINT) is handler


def test_state_of_another_network_is_refused():
    arrays, progress = make().state()
    with pytest.raises(KeyError, match="do not belong to this network"):
        make(model=UNet(1, 2, 2, 2)).restore(arrays, progress)


# ------------------------------------------------------------------------------------------- stopping early


def scored(trainer: Trainer, dice) -> Trainer:
    """Let validation find these mean Dice, epoch after epoch."""

    class Fixed:
        class_names, counts = Discs.class_names, np.array([[[9, 1], [1, 9]]])
        first = 1

        def mean(self, metric):
            return dice[trainer.epoch]

        def pooled(self, metric):
            return 0.0

        def average(self, value):
            return float(np.mean(value))

    trainer.validate = Fixed
    return trainer


DICE = [0.2, 0.5, float("nan"), 0.5, 0.4, 0.9, 0.9]


@pytest.mark.parametrize("patience, epochs", [(0, 7), (1, 3), (2, 4), (3, 5), (4, 7)])
def test_patience_counts_epochs_without_a_better_dice(patience, epochs):
    trainer = scored(make(count=2, patience=patience), DICE)
    assert len(trainer.fit(7)) == epochs
    assert len(trainer.fit(7)) == epochs  # and does not begin again


def test_why_training_stopped_is_said(capsys):
    trainer = scored(make(count=2, patience=2), DICE)
    trainer.show_progress = True
    trainer.fit(7)
    assert "stopped after epoch 4: no better validation Dice in 2 epochs" in capsys.readouterr().out


@pytest.mark.parametrize("stopped_after", [1, 2, 3, 4])
def test_resume_keeps_the_count_of_patience(stopped_after):
    whole = scored(make(patience=3), DICE)
    whole.fit(7)
    stopped = scored(make(patience=3), DICE)
    stopped.fit(stopped_after)
    resumed = scored(make(patience=3), DICE)
    resumed.restore(*stopped.state())
    resumed.fit(7)
    assert len(resumed.history) == 5
    assert_same(weights(resumed), weights(whole))


@pytest.mark.parametrize("options", [{"patience": -1}, {"patience": 1, "validated": False}, {"accumulate": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="expected accumulate of at least 1, and patience of at least 0 and only with"):
        make(**options)


# ------------------------------------------------------------------------------------------- accumulation


def gradients_of(batch, accumulate: int, loss=F.cross_entropy, norm="group") -> tuple[dict, float]:
    trainer = make(model=UNet(1, 2, 4, 1, norm=norm).astype(np.float64), accumulate=accumulate, loss=loss)
    trainer.loader.batch_size = len(batch[0])
    value = trainer.step(*(array.astype(np.float64) if array.dtype.kind == "f" else array for array in batch))
    return {name: p.grad for name, p in trainer.model.named_parameters()}, value


def per_image_dice(logits, masks):
    return F.dice_loss(logits, masks, per_image=True)


@pytest.mark.parametrize("accumulate", [2, 3, 6, 7])
@pytest.mark.parametrize("loss", [F.cross_entropy, per_image_dice])
def test_parts_add_up_to_the_gradient_of_the_whole_batch(loss, accumulate):
    """Also where the parts differ in size: 6 images in 4 parts are 2, 2 and 2, a rest of 5 is 2, 2 and 1."""
    for count in (6, 5):
        batch = next(Loader(Discs(count), count, normalize=Normalize()).epoch(0))
        (one, value), (other, same) = gradients_of(batch, 1, loss), gradients_of(batch, accumulate, loss)
        assert same == pytest.approx(value, rel=1e-12)
        for name, gradient in one.items():
            np.testing.assert_allclose(other[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


def test_batch_norm_sees_one_part_at_a_time():
    batch = next(Loader(Discs(4), 4, normalize=Normalize()).epoch(0))
    one, other = (gradients_of(batch, accumulate, norm="batch")[0] for accumulate in (1, 2))
    name = "encoder1.0.weight"
    assert abs(one[name] - other[name]).max() > 1e-3 * abs(one[name]).max()


def test_no_more_images_than_a_part_go_through_the_network():
    trainer, seen = make(count=7, accumulate=3), []
    trainer.loader.batch_size = 6
    inner = trainer._forward
    trainer._forward = lambda images, *maps: seen.append(len(images)) or inner(images, *maps)
    trainer.fit(1)
    assert seen == [2, 2, 2, 1] and trainer.optimizer.steps == 2


def test_a_bad_part_leaves_the_weights_alone():
    trainer = make(accumulate=2)
    images, masks = next(trainer.loader.epoch(0))
    images[1] = np.nan
    before = {name: p.data.copy() for name, p in trainer.model.named_parameters()}
    with pytest.raises(NonFiniteError, match="check the images"):
        trainer.step(images, masks)
    for name, p in trainer.model.named_parameters():
        assert np.array_equal(p.data, before[name]), name
