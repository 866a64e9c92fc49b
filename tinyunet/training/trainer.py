"""The training loop: batches in, weights and history out; every step can be stopped, saved and taken up again.

On a GPU nothing in a step waits for it: Python prepares the next batches while the GPU computes. Losses stay there and
are read together, at most twice a second and at the end of the epoch. So a loss that is not finite comes to light some
steps late; from it on, the GPU itself leaves the weights as they were.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from .. import functional as F
from ..autograd import Tensor
from ..backend import is_array, to_device
from ..data.loader import Loader
from ..inference import Segmenter
from ..metrics import Scores
from ..optim import Optimizer, clip_gradients
from .alarms import alarm_after, is_one_class
from .failures import advising_on_memory, explain_loss
from .interrupt import stop_after_step
from .supervision import supervise

READ_EVERY = 0.5
"""Least seconds between two readings of losses that are on a GPU."""


class Trainer:
    """Fit a network to batches, on the device where the network is.

    Parameters
    ----------
    segmenter : Segmenter
        Its model is trained in place.
    optimizer : Optimizer
        Over the model's parameters.
    loader : Loader
        Training batches.
    loss : callable
        (logits, masks) -> Tensor with one number; also given the pixel weights, if the loader has any.
    schedule : callable, optional
        Step -> factor of the optimizer's learning rate.
    clip_norm : float, optional
        Largest length of all gradients together.
    accumulate : int
        Parts in which a batch goes through the network, one after another, before the weights change: the memory of a
        small batch and the step of a large one. For losses that are means over images, or over pixels of which each
        image has as many, it is the step of the whole batch but for rounding, as their gradients add up:

            g = sum_k N_k / N g_k          (part k has N_k of the N images)

        Not so in batch normalisation, which takes mean and variance over each part, and updates its running ones with
        each; `norm="group"` looks at single images and stays the same.
    validate : callable, optional
        () -> Scores, called after every epoch.
    patience : int
        Stop after so many epochs without a better mean validation Dice; 0 never.
    after_epoch : callable, optional
        Called with the Trainer after every epoch, for saving; `best_so_far` tells whether the epoch was the best.
    show_progress : bool
        Draw a bar and print a line per epoch.

    Attributes
    ----------
    history : list of dict
        One row per epoch: epoch, loss, lr, seconds; if validated, dice_mean, dice_pooled, and an alarm or "".
    epoch, batch : int
        Position: the next batch to train on.
    in_step : bool
        Whether a step was broken off in its middle: weights and position then do not belong together.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        optimizer: Optimizer,
        loader: Loader,
        *,
        loss: Callable[[Tensor, np.ndarray], Tensor] = F.cross_entropy_dice,
        schedule: Callable[[int], float] | None = None,
        clip_norm: float | None = None,
        accumulate: int = 1,
        validate: Callable[[], Scores] | None = None,
        patience: int = 0,
        after_epoch: Callable[[Trainer], None] | None = None,
        show_progress: bool = True,
    ):
        if accumulate < 1 or patience < 0 or (patience and not validate):
            raise ValueError(
                "expected accumulate of at least 1, and patience of at least 0 and only with validate, "
                f"got accumulate={accumulate}, patience={patience}, validate={validate}"
            )
        self.segmenter, self.model, self.optimizer, self.loader = segmenter, segmenter.model, optimizer, loader
        self.loss, self.schedule, self.clip_norm = loss, schedule or (lambda step: 1.0), clip_norm
        self.accumulate, self.patience = accumulate, patience
        self.validate, self.after_epoch, self.show_progress = validate, after_epoch, show_progress
        self.base_lr = optimizer.lr
        self.history: list[dict] = []
        self.epoch = self.batch = 0
        self.loss_sum, self.images_seen, self.seconds = 0.0, 0, 0.0
        self.in_step = False
        self.one_class = 0  # validations up to now in which nearly all was called one class
        self._unread: list[tuple] = []  # (loss, batch) of the last steps
        self._last_reading = 0.0
        self._sound = np.bool_(True)  # on a GPU: whether all losses since the last error were finite

    def fit(self, epochs: int) -> list[dict]:
        """Train until `epochs` epochs are complete, or patience is at its end, and return the history.

        Ctrl-C lets the running step finish and raises KeyboardInterrupt; the position and all state are then
        consistent and can be saved. A second Ctrl-C stops at once; if `in_step` is true, they are not consistent.

        Raises
        ------
        ValueError
            If `epochs` is below 1.
        NonFiniteError
            If the loss is NaN or infinite, naming the first operation that made it so.
        """
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        self.model.train()
        with stop_after_step() as stop:
            while self.epoch < epochs and not self.out_of_patience():
                self._run_epoch(epochs, stop)
                if self.after_epoch:
                    self.after_epoch(self)
                stop()
        if self.out_of_patience():
            self._say(
                f"stopped after epoch {self.epoch}: no better validation Dice in {self.epochs_since_best()} epochs"
            )
        return self.history

    def _say(self, text: str) -> None:
        if text and self.show_progress:
            tqdm.write(text)

    def _run_epoch(self, epochs: int, stop: Callable[[], None]) -> None:
        start = time.perf_counter() - self.seconds
        title = f"epoch {self.epoch + 1}/{epochs}"
        hidden = None if self.show_progress else True  # None: hidden where there is no terminal
        bar = tqdm(total=len(self.loader), initial=self.batch, desc=title, unit="batch", leave=False, disable=hidden)
        with bar:
            for batch in self.loader.epoch(self.epoch, first_batch=self.batch):
                self.in_step = True
                self._unread.append((self.step(*batch), batch))
                self.batch += 1
                self.in_step = False
                self.seconds = time.perf_counter() - start
                if self._reading_is_due():
                    self._read_losses()
                    bar.set_postfix(loss=f"{self.loss_sum / self.images_seen:.4f}", refresh=False)
                bar.update()
                stop()
            self._read_losses()
            lr = self.base_lr * self.schedule(self.optimizer.steps - 1)  # of the last step, even if resumed after it
            row = {"epoch": self.epoch + 1, "loss": self.loss_sum / self.images_seen, "lr": lr}
            if self.validate:
                bar.set_description(f"{title}, validating")
                scores = self.validate()
                for name in ("mean", "pooled"):
                    row[f"dice_{name}"] = scores.average(getattr(scores, name)("dice"))
                self.one_class = self.one_class + 1 if is_one_class(scores) else 0
        row["seconds"] = time.perf_counter() - start
        self.history.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.images_seen, self.seconds = 0.0, 0, 0.0
        validated = f"   validation Dice {row['dice_mean']:.4f}" if self.validate else ""
        self._say(f"{title}   loss {row['loss']:.4f}{validated}   {row['seconds']:.1f} s")
        if self.validate:
            last = self.epoch >= epochs or self.out_of_patience()
            row["alarm"] = alarm_after(scores, self.history, self.one_class, last)
            self._say(row["alarm"] and f"alarm: {row['alarm']}")

    def step(self, images: np.ndarray, masks: np.ndarray, *weights: np.ndarray):
        """Do one optimizer step and return the loss before it.

        Parameters
        ----------
        images : (N, C, H, W) float array
        masks : (N, H, W) int array
        weights : (N, H, W) float array, optional
            Of the pixels.

        Returns
        -------
        float
            On a GPU an array with 0 axes; to read it is to wait for the GPU. If it is NaN or infinite, neither this
            step nor a later one changes the weights, and `fit` raises the error below when it reads it.

        Raises
        ------
        NonFiniteError
            If the loss is NaN or infinite; the weights are then unchanged.
        MemoryError
            If there is too little memory, with what to change.
        """
        parts = self._parts((images, masks, *weights))
        with advising_on_memory(self.model, parts[0][0].shape):
            self.optimizer.zero_grad()
            total = 0.0
            for part in parts:
                loss, share = self._forward(*part), len(part[0]) / len(images)
                if on_gpu := loss.device != "cpu":
                    self._sound = np.logical_and(np.isfinite(loss.data), to_device(self._sound, loss.device))
                elif not np.isfinite(loss.item()):
                    self.explain(part, loss.item())
                loss.backward(np.full_like(loss.data, share))
                total = total + share * (loss.data if on_gpu else loss.item())
            if self.clip_norm:
                clip_gradients(self.optimizer.parameters, self.clip_norm)
            self.optimizer.lr = self.base_lr * self.schedule(self.optimizer.steps)
            self.optimizer.step(when=self._sound if on_gpu else None)
        return total

    def _parts(self, batch: tuple) -> list[tuple]:
        size = -(-max(self.loader.batch_size, len(batch[0])) // self.accumulate)
        return [tuple(array[k : k + size] for array in batch) for k in range(0, len(batch[0]), size)]

    def _reading_is_due(self) -> bool:
        on_gpu = is_array(self._unread[-1][0])
        return not on_gpu or time.perf_counter() - self._last_reading > READ_EVERY

    def _read_losses(self) -> None:
        """Add the losses not yet read to the epoch's; at one that is not finite, go back to before it and explain."""
        losses = to_device(np.stack([loss for loss, _ in self._unread]), "cpu").tolist() if self._unread else []
        unread, self._unread = self._unread, []
        for k, (loss, (_, batch)) in enumerate(zip(losses, unread, strict=True)):
            if not np.isfinite(loss):
                self.batch -= len(unread) - k
                self.optimizer.steps -= len(unread) - k
                self._sound = np.bool_(True)
                self.explain(batch, loss)
            self.loss_sum += loss * len(batch[0])
            self.images_seen += len(batch[0])
        self._last_reading = time.perf_counter()

    def _forward(self, images, *maps) -> Tensor:
        return supervise(self.loss, self.model(images), *maps)

    def explain(self, batch: tuple, loss: float) -> None:
        """Raise the NonFiniteError that says where the loss of a batch became NaN or infinite."""
        explain_loss(loss, self.optimizer.steps + 1, self.model, self._forward, self._parts(batch))

    def best_so_far(self) -> bool:
        """Tell whether the last epoch has the best mean validation Dice; always true without validation."""
        return self.epochs_since_best() == 0

    def epochs_since_best(self) -> int:
        """Count the epochs after the one with the best mean validation Dice; it follows from the history alone."""
        if not self.validate or not self.history:
            return 0
        values = [-1.0 if np.isnan(row["dice_mean"]) else row["dice_mean"] for row in self.history]
        return len(values) - 1 - values.index(max(values))

    def out_of_patience(self) -> bool:
        """Tell whether training should stop early."""
        return bool(self.patience) and self.epochs_since_best() >= self.patience

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """Return arrays and JSON types from which `restore` continues, bit for bit on a device of the same kind."""
        self._read_losses()
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays |= {f"optimizer.{name}": array for name, array in self.optimizer.state_dict().items()}
        names = ("epoch", "batch", "loss_sum", "images_seen", "seconds", "history", "one_class")
        progress = {name: getattr(self, name) for name in names}
        return arrays, progress | {"rng": self.model.rng.bit_generator.state}

    def restore(self, arrays: dict[str, np.ndarray], progress: dict) -> None:
        """Continue from what `state` returned."""
        parts: dict[str, dict] = {"model": {}, "optimizer": {}}
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = array
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        progress = dict(progress)
        self.model.rng.bit_generator.state = progress.pop("rng")
        progress.pop("alarms", None)  # in checkpoints from before the history held them
        self._sound = np.bool_(True)
        for name, value in progress.items():
            setattr(self, name, value)
