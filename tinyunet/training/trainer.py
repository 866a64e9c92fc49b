"""The training loop: batches in, weights and history out; every step can be stopped, saved and taken up again.

On a GPU nothing in a step waits for it: Python prepares the next batches while the GPU computes. Losses stay there and
are read together, at most twice a second and at the end of the epoch. So a loss that is not finite comes to light some
steps late; from it on, the GPU itself leaves the weights as they were.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from .. import functional as F
from ..autograd import NonFiniteError, Tensor
from ..backend import is_array, memory_of, to_device
from ..data.loader import Loader
from ..inference import Segmenter
from ..metrics import Scores
from ..optim import Optimizer, clip_gradients
from ..settings import debug

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
        (logits, masks) -> Tensor with one number.
    schedule : callable, optional
        Step -> factor of the optimizer's learning rate.
    clip_norm : float, optional
        Largest length of all gradients together.
    validate : callable, optional
        () -> Scores, called after every epoch.
    after_epoch : callable, optional
        Called with the Trainer after every epoch, for saving; `best_so_far` tells whether the epoch was the best.
    show_progress : bool
        Draw a bar and print a line per epoch.

    Attributes
    ----------
    history : list of dict
        One row per epoch: epoch, loss, lr, seconds, and dice_mean and dice_pooled if validated.
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
        validate: Callable[[], Scores] | None = None,
        after_epoch: Callable[[Trainer], None] | None = None,
        show_progress: bool = True,
    ):
        self.segmenter, self.model, self.optimizer, self.loader = segmenter, segmenter.model, optimizer, loader
        self.loss, self.schedule, self.clip_norm = loss, schedule or (lambda step: 1.0), clip_norm
        self.validate, self.after_epoch, self.show_progress = validate, after_epoch, show_progress
        self.base_lr = optimizer.lr
        self.history: list[dict] = []
        self.epoch = self.batch = 0
        self.loss_sum, self.images_seen, self.seconds = 0.0, 0, 0.0
        self.in_step = False
        self._unread: list[tuple] = []  # (loss, images, masks) of the last steps
        self._last_reading = 0.0
        self._sound = np.bool_(True)  # on a GPU: whether all losses since the last error were finite

    def fit(self, epochs: int) -> list[dict]:
        """Train until `epochs` epochs are complete, and return the history.

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
        with _stop_after_step() as stop:
            while self.epoch < epochs:
                self._run_epoch(epochs, stop)
                if self.after_epoch:
                    self.after_epoch(self)
                stop()
        return self.history

    def _run_epoch(self, epochs: int, stop: Callable[[], None]) -> None:
        start = time.perf_counter() - self.seconds
        title = f"epoch {self.epoch + 1}/{epochs}"
        hidden = None if self.show_progress else True  # None: hidden where there is no terminal
        bar = tqdm(total=len(self.loader), initial=self.batch, desc=title, unit="batch", leave=False, disable=hidden)
        with bar:
            for images, masks in self.loader.epoch(self.epoch, first_batch=self.batch):
                self.in_step = True
                self._unread.append((self.step(images, masks), images, masks))
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
        row["seconds"] = time.perf_counter() - start
        self.history.append(row)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.images_seen, self.seconds = 0.0, 0, 0.0
        if self.show_progress:
            validated = f"   validation Dice {row['dice_mean']:.4f}" if self.validate else ""
            tqdm.write(f"{title}   loss {row['loss']:.4f}{validated}   {row['seconds']:.1f} s")

    def step(self, images: np.ndarray, masks: np.ndarray):
        """Do one optimizer step and return the loss before it.

        Parameters
        ----------
        images : (N, C, H, W) float array
        masks : (N, H, W) int array

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
        with self._advising_on_memory(images):
            loss = self._forward(images, masks)
            if on_gpu := loss.device != "cpu":
                self._sound = np.logical_and(np.isfinite(loss.data), to_device(self._sound, loss.device))
            elif not np.isfinite(loss.item()):
                self._explain(images, masks, loss.item())
            self.optimizer.zero_grad()
            loss.backward()
            if self.clip_norm:
                clip_gradients(self.optimizer.parameters, self.clip_norm)
            self.optimizer.lr = self.base_lr * self.schedule(self.optimizer.steps)
            self.optimizer.step(when=self._sound if on_gpu else None)
        return loss.data if on_gpu else loss.item()

    def _reading_is_due(self) -> bool:
        on_gpu = is_array(self._unread[-1][0])
        return not on_gpu or time.perf_counter() - self._last_reading > READ_EVERY

    def _read_losses(self) -> None:
        """Add the losses not yet read to the epoch's; at one that is not finite, go back to before it and explain."""
        losses = to_device(np.stack([loss for loss, _, _ in self._unread]), "cpu").tolist() if self._unread else []
        unread, self._unread = self._unread, []
        for k, (loss, (_, images, masks)) in enumerate(zip(losses, unread, strict=True)):
            if not np.isfinite(loss):
                self.batch -= len(unread) - k
                self.optimizer.steps -= len(unread) - k
                self._sound = np.bool_(True)
                self._explain(images, masks, loss)
            self.loss_sum += loss * len(images)
            self.images_seen += len(images)
        self._last_reading = time.perf_counter()

    @contextmanager
    def _advising_on_memory(self, images) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            device, (N, _, H, W) = self.model.device, images.shape
            memory = memory_of(device)
            free = f"; of {memory[1] / 2**30:.1f} GiB on {device!r} {memory[0] / 2**30:.1f} are free" if memory else ""
            raise MemoryError(
                f"{error}{free}. This step takes {N} images of {H} x {W} through a network with base_channels="
                f"{self.model.arguments['base_channels']}: lower one of batch_size, size and base_channels"
            ) from error

    def _forward(self, images, masks) -> Tensor:
        logits = self.model(images)
        cut = masks.shape[1] - logits.shape[2], masks.shape[2] - logits.shape[3]
        top, left = cut[0] // 2, cut[1] // 2  # an unpadded network answers for the middle of the image
        return self.loss(logits, masks[:, top : top + logits.shape[2], left : left + logits.shape[3]])

    def _explain(self, images, masks, loss: float) -> None:
        """Run the batch again with every operation watched, and raise the error that names the first bad one."""
        what = f"the loss became {loss} in step {self.optimizer.steps + 1}"
        advice = "lower the learning rate, clip gradients (clip_norm=1.0), or check the images"
        try:
            with debug(2):
                self._forward(images, masks)
        except NonFiniteError as error:
            raise NonFiniteError(f"{what}: {error}; {advice}") from None
        raise NonFiniteError(f"{what}; {advice}")

    def best_so_far(self) -> bool:
        """Tell whether the last epoch has the best mean validation Dice; always true without validation."""
        if not self.validate:
            return True
        values = [-1.0 if np.isnan(row["dice_mean"]) else row["dice_mean"] for row in self.history]
        return values[-1] > max(values[:-1], default=-2.0)

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """Return arrays and JSON types from which `restore` continues, bit for bit on a device of the same kind."""
        self._read_losses()
        arrays = {f"model.{name}": array for name, array in self.model.state_dict().items()}
        arrays |= {f"optimizer.{name}": array for name, array in self.optimizer.state_dict().items()}
        names = ("epoch", "batch", "loss_sum", "images_seen", "seconds", "history")
        return arrays, {name: getattr(self, name) for name in names} | {"rng": self.model.rng.bit_generator.state}

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
        for name, value in progress.items():
            setattr(self, name, value)


class _stop_after_step:
    """Within the block the first Ctrl-C is remembered, and raised when the yielded function is called."""

    def __enter__(self) -> Callable[[], None]:
        self.asked = False
        # Signals reach the main thread only; elsewhere Ctrl-C is not ours to handle.
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._remember)
        return self._check

    def _remember(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def _check(self) -> None:
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, *exception) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
