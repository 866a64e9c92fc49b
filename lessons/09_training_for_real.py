# %% [markdown]
# # Training for real
#
# *Lesson 09 · about 75 minutes · before it: 00, painting a mask; 08, walking downhill*
#
# You will be able to
# - divide images into training and test so that the score means something, and find a leak,
# - feed a network in batches, in an order that can be repeated,
# - rotate an image and its mask together, without inventing classes,
# - stop a training run, save it, and go on bit for bit as if nothing had happened,
# - read a training curve.

# %%
import copy
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from tinyunet import UNet, check_gradients
from tinyunet import functional as F
from tinyunet.checkup import examine
from tinyunet.checkup.training import examine_training
from tinyunet.data import IGNORE, Augment, Loader, Normalize, Sample, Subset, Toy
from tinyunet.data.write import write_array
from tinyunet.inference import Segmenter
from tinyunet.metrics import confusion, dice
from tinyunet.optim import Adam, Cosine
from tinyunet.plot import CLASS_COLOURS, augmentations, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import training as checks
from tinyunet.teaching.figures import show_arrays, show_images
from tinyunet.training import Trainer

# %% [markdown]
# Twelve toy patients, six slices each. Neighbouring slices of one patient look alike, as in a real scan. A data set, for this library, is anything with these members.


# %%
class Slices:
    """Twelve toy patients, six slices each; the head moves from slice to slice."""

    class_names, channels, mask_values = ("background", "tumour"), 1, (0, 1)

    def __init__(self):
        rng, toy = np.random.default_rng(0), Toy("tumour", count=12, size=(48, 48))
        self.samples = []
        for p, k in np.ndindex(12, 6):
            moved, patient = np.roll(toy[p].image, k // 2, axis=1), f"p{p + 1:02}"
            noisy = (moved + rng.normal(0, 10, moved.shape)).clip(0, 255)
            image, mask = noisy.astype(np.float32), np.roll(toy[p].mask, k // 2, axis=0)
            self.samples.append(Sample(image, mask, f"{patient}_s{k + 1}", patient))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, k):
        return self.samples[k]


# %%
data = Slices()
patients = [sample.patient for sample in data]
images = np.stack([s.image for s in data]) / 255
masks = np.stack([s.mask for s in data])
some = [data[k] for k in (0, 2, 5, 6, 8, 11)]
show_images({s.name: paint(s.image, s.mask) for s in some}, columns=6)

# %% [markdown]
# ## The leak in one picture
#
# Here is a program that understands nothing of tumours. For a test image it looks up the most similar training image and copies its mask. It is scored on a quarter of the
# slices. On the left the slices were divided at random. On the right whole *patients* were held out. Each dot is one such division.


# %%
def most_similar(train, test):
    """Return for each test image the index of the training image most like it."""
    differences = ((images[test][:, None] - images[train][None]) ** 2).sum((2, 3, 4))
    return np.asarray(train)[differences.argmin(axis=1)]


def score_of_copying(train, test):
    """Return the mean Dice of the copied masks."""
    pairs = zip(masks[most_similar(train, test)], masks[test], strict=True)
    return np.mean([dice(confusion(copy, truth, 2))[1] for copy, truth in pairs])


# %%
copied, everybody = {"by slice": [], "by patient": []}, sorted(set(patients))
for seed in range(8):
    rng = np.random.default_rng(seed)
    order, held = rng.permutation(72), rng.choice(everybody, 3, replace=False)
    copied["by slice"].append(score_of_copying(order[18:], order[:18]))
    out = np.isin(patients, held)
    score = score_of_copying(np.flatnonzero(~out), np.flatnonzero(out))
    copied["by patient"].append(score)
figure, axes = plt.subplots(figsize=(4.5, 3), layout="constrained")
for place, (name, scores) in enumerate(copied.items()):
    beside = place + np.linspace(-0.1, 0.1, 8)
    axes.plot(beside, scores, "o", color=CLASS_COLOURS[place])
    print(f"{name}: mean Dice {np.mean(scores):.2f}")
axes.set(xticks=(0, 1), xticklabels=copied, xlim=(-0.5, 1.5), ylim=(0, 1))
axes.set_ylabel("Dice of a program that copies")
plt.show()

# %% [markdown]
# One program, the same images, and two scores. Which one will a new patient get?
#
# A test set is there to imitate tomorrow's patient (the article asks for an *independent* test set in 3.3). If other slices of the same head are in training, memory looks like understanding. Yagis et al. (2021) gave brain scans *random* labels. Divided by slices, a network reached 96 % accuracy all the same. Divided by subjects it reached 50 %.
#
# Predict: when slices are divided at random, for how many percent of the test slices is the most similar training slice one of the *same patient*? Round to ten.

# %%
same = ...
### BEGIN SOLUTION
same = 90
### END SOLUTION
predict("percent of test slices answered from the same patient", same)

# %%
order = np.random.default_rng(0).permutation(72)
train, test = order[18:], order[:18]
found = most_similar(train, test)
owner = np.array(patients)
percent = 100 * (owner[test] == owner[found]).mean()
reveal("percent of test slices answered from the same patient", percent, 0.08)
show_images(
    {
        f"test: {data[test[0]].name}": images[test[0], 0],
        f"most similar: {data[found[0]].name}": images[found[0], 0],
        "its mask, copied": paint(images[test[0]], masks[found[0]]),
        "truth": paint(images[test[0]], masks[test[0]]),
    }
)

# %% [markdown]
# ### Exercise 1: find the leak
#
# Names look like `p03_s12`: patient, underscore, slice. Return the patients that have slices on both sides.


# %%
def leaked(train_names, test_names):
    """Return a sorted list of the patients that occur in both lists of names."""
    ### BEGIN SOLUTION
    train = {name.split("_")[0] for name in train_names}
    test = {name.split("_")[0] for name in test_names}
    return sorted(train & test)
    ### END SOLUTION


# %%
checks.leaked(leaked)

# %% [markdown]
# ### Exercise 2: divide by patients
#
# Hold out `count` patients, drawn by `np.random.default_rng(seed)`, with all of their slices. `patients[k]` is the patient of slice $k$.


# %%
def split_by_patient(patients, count, seed):
    """Return (indices of the training slices, indices of the held-out slices)."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    held = rng.choice(sorted(set(patients)), count, replace=False)
    out = np.isin(patients, held)
    return np.flatnonzero(~out), np.flatnonzero(out)
    ### END SOLUTION


# %%
checks.split_by_patient(split_by_patient)

# %%
train, held_out = split_by_patient(patients, 3, seed=1)
print(f"{len(train)} slices to train, {len(held_out)} held out, of patients", end=" ")
print(*sorted({patients[k] for k in held_out}))

# %% [markdown]
# Three parts are better than two: **train** changes the weights, **validation** chooses (the epoch, the learning rate), **test** is looked at once, at the end. Whatever was chosen by a score has adapted to it a little.
#
# ## Batches
#
# An **epoch** is one pass over all training images, in a new random order, $N$ at a time. Predict: 54 images, batches of 8. How many optimizer steps has an epoch, if no image is left out?

# %%
steps = ...
### BEGIN SOLUTION
steps = 7
### END SOLUTION
predict("steps in an epoch of 54 images", steps)

# %%
loader = Loader(Subset(data, train), 8, normalize=Normalize(), shuffle=True)
reveal("steps in an epoch of 54 images", len(list(loader.epoch(0))))

# %% [markdown]
# $\lceil 54/8 \rceil$: the last batch has six images.
#
# ### Exercise 3: the order of an epoch
#
# The order must differ from epoch to epoch, and must not depend on what happened before: a run that is taken up in epoch 7 has to see epoch 7. So
# make a fresh generator from both numbers, `np.random.default_rng([seed, epoch])`.


# %%
def batches(count, size, seed, epoch):
    """Return index arrays: 0 ... count-1 in random order, `size` of them at a time."""
    ### BEGIN SOLUTION
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return [order[k : k + size] for k in range(0, count, size)]
    ### END SOLUTION


# %%
checks.batches(batches)

# %% [markdown]
# ## Augmentation: the rotation matrix
#
# Section 3.1 of the article: rotate, flip and scale the training images. A turned head is a head, so each image becomes many. How does one rotate pixels?
#
# Write a place relative to the centre, $i' = i - \frac{H-1}{2}$, $j' = j - \frac{W-1}{2}$. Rows count *downward*, so with distance $r$ and direction $\theta$, counter-clockwise from the right, it is $i' = -r\sin\theta$, $j' = r\cos\theta$. If the picture was turned
# by $\alpha$ counter-clockwise, what lies here now came from direction $\theta - \alpha$. The addition theorems give
#
# $$\begin{pmatrix} p' \\ q' \end{pmatrix} = \begin{pmatrix} \cos\alpha & \sin\alpha \\ -\sin\alpha & \cos\alpha \end{pmatrix} \begin{pmatrix} i' \\ j' \end{pmatrix} \qquad (1)$$
#
# This goes *backward*: from the output pixel $(i,j)$ to the input place $(p,q)$ it looks at. Predict: an image of 5 x 5 is turned by 90 degrees counter-clockwise. At which *column* $q$ does the output pixel $(0,0)$ look?

# %%
column = ...
### BEGIN SOLUTION
column = 4
### END SOLUTION
predict("column that pixel (0, 0) looks at", column)

# %%
numbers = np.arange(1, 26).reshape(5, 5)
turned = np.rot90(numbers)
p, q = np.argwhere(numbers == turned[0, 0])[0]
reveal("column that pixel (0, 0) looks at", q)
marks = {"x": [(p, q)], "turned by 90 degrees": [(0, 0)]}
shown = {"x": numbers, "turned by 90 degrees": turned}
show_arrays(shown, ("input", "output"), marks=marks)

# %% [markdown]
# ### Exercise 4: where does a pixel look?
#
# `i` and `j` may be arrays; NumPy does not mind.


# %%
def look_at(i, j, angle, H, W):
    """Return (p, q) by (1); the angle, counter-clockwise, is in radians."""
    ### BEGIN SOLUTION
    di, dj = i - (H - 1) / 2, j - (W - 1) / 2
    p = (H - 1) / 2 + np.cos(angle) * di + np.sin(angle) * dj
    q = (W - 1) / 2 - np.sin(angle) * di + np.cos(angle) * dj
    return p, q
    ### END SOLUTION


# %%
checks.look_at(look_at)

# %% [markdown]
# Why backward? Going forward, each input pixel is written to where it moves, and some output pixels are never written. They are white below; what lies outside of the image is left empty.

# %%
i, j = np.mgrid[:48, :48]


def whole_places(angle):
    """Return the nearest pixels to where all pixels look, and which of them exist."""
    p, q = (np.rint(a).astype(int) for a in look_at(i, j, angle, 48, 48))
    return p, q, (p >= 0) & (p < 48) & (q >= 0) & (q < 48)


image, forward = images[0, 0], np.full((48, 48), np.nan)
p, q, inside = whole_places(-np.pi / 6)
forward[p[inside], q[inside]] = image[inside]
p, q, inside = whole_places(np.pi / 6)
backward = np.where(inside, image[p.clip(0, 47), q.clip(0, 47)], np.nan)
for name, picture in (("forward", forward), ("backward", backward)):
    empty = np.isnan(picture[10:38, 10:38]).sum()
    print(f"{name}: {empty} pixels in the middle of the turned image get nothing")
forward = np.nan_to_num(forward, nan=1.0)
show_images({"image": image, "forward": forward, "backward": backward}, columns=3)

# %% [markdown]
# ## Masks hold names
#
# $(p,q)$ is rarely whole. For the image, take the mean of the four pixels around it, weighted by nearness (*bilinear*). A mask holds names (lesson 00). Suppose it has only the classes 0 and 2, and is turned bilinearly, then rounded to whole numbers.
# Predict: how many different classes does it have then?

# %%
classes_after = ...
### BEGIN SOLUTION
classes_after = 3
### END SOLUTION
predict("classes of a mask {0, 2} after averaging", classes_after)


# %%
def bilinear(x, p, q):
    """Return x, (H, W), at the places (p, q), which are moved inside."""
    H, W = x.shape
    p, q = p.clip(0, H - 1), q.clip(0, W - 1)
    p0, q0 = np.minimum(p.astype(int), H - 2), np.minimum(q.astype(int), W - 2)
    a, b = p - p0, q - q0
    top = (1 - b) * x[p0, q0] + b * x[p0, q0 + 1]
    return (1 - a) * top + a * ((1 - b) * x[p0 + 1, q0] + b * x[p0 + 1, q0 + 1])


two_classes = 2 * masks[0]
places = look_at(i, j, np.pi / 6, 48, 48)
averaged = np.rint(bilinear(two_classes, *places)).astype(int)
reveal("classes of a mask {0, 2} after averaging", len(np.unique(averaged)))
shown = {"classes 0 and 2": two_classes, "averaged, then rounded": averaged}
show_images(shown, limits=(0, 2), cmap="viridis")

# %% [markdown]
# All around the tumour lies a rim of class 1. If 1 is the kidney, the network is taught that tumours wear kidneys.
#
# ### Exercise 5: the nearest pixel
#
# So a mask takes the value of the *nearest* pixel. Then its set of labels cannot grow. Places outside the image get `IGNORE` ($-1$): nobody has seen what is there, and no loss counts it. A place is inside if its nearest pixel exists,
# that is $-\frac12 \le p < H - \frac12$, and so for $q$.


# %%
def nearest(mask, p, q):
    """Return the labels of mask (H, W) at the float places (p, q); -1 outside."""
    ### BEGIN SOLUTION
    H, W = mask.shape
    p, q = np.floor(p + 0.5).astype(int), np.floor(q + 0.5).astype(int)
    inside = (p >= 0) & (p < H) & (q >= 0) & (q < W)
    return np.where(inside, mask[p.clip(0, H - 1), q.clip(0, W - 1)], IGNORE)
    ### END SOLUTION


# %%
checks.nearest(nearest)

# %%
turned = nearest(two_classes, *places)
print("labels before", np.unique(two_classes), "and after", np.unique(turned))
smooth = bilinear(images[0, 0], *places)
together = paint(smooth[None], turned // 2)
shown = {"image, bilinear": smooth, "mask, nearest": turned, "together": together}
show_images(shown, columns=3)

# %% [markdown]
# ### Exercise 6: one draw for both
#
# Image and mask must move *together*. Draw first, then apply the same to both: mirror left to right (the last axis) with probability one half, then 0 to 3 quarter turns with `np.rot90(..., axes=(-2, -1))`. All chance comes from `rng`.


# %%
def augment(image, mask, rng):
    """Return the image (C, H, W) and the mask (H, W), moved alike."""
    ### BEGIN SOLUTION
    mirror, turns = rng.random() < 0.5, rng.integers(4)
    if mirror:
        image, mask = np.flip(image, -1), np.flip(mask, -1)
    return np.rot90(image, turns, axes=(-2, -1)), np.rot90(mask, turns, axes=(-2, -1))
    ### END SOLUTION


# %%
checks.augment(augment)

# %% [markdown]
# The library's `Augment` puts all moves into one map like (1) and reads the image once. The hatched corners are `IGNORE`. Draw such a sheet before each training run: `tinyunet train` writes it as `augmentation.png`.

# %%
recipe = Augment(rotate=25, scale=(0.8, 1.25), shift=0.1, gamma=(0.7, 1.5))
few = Subset(data, train[::12])
loader = Loader(few, 4, normalize=Normalize(), augment=recipe, shuffle=True)
augmentations(loader, samples=2)

# %% [markdown]
# Only *training* images are augmented. And not every move is allowed: if class 1 is the left kidney and 2 the right one, a mirrored image needs its labels swapped (`--swap 1:2`).
#
# ## Stop and go on
#
# A run of days will be interrupted. What does the next step depend on? This class holds it all.


# %%
class Run:
    """A training run that can be stopped at any step."""

    def __init__(self, seed):
        self.model = UNet(1, 2, base_channels=2, depth=1, seed=seed)
        self.optimizer = Adam(self.model.parameters(), lr=0.02)
        self.rng, self.step, self.losses = np.random.default_rng(seed), 0, []

    @one_thread()  # see lesson 06
    def train(self, steps):
        """Do so many steps on random batches of two images."""
        for _ in range(steps):
            batch = self.rng.choice(len(images), 2, replace=False)
            self.optimizer.lr = 0.02 * Cosine(24)(self.step)
            self.optimizer.zero_grad()
            loss = F.cross_entropy_dice(self.model(images[batch]), masks[batch])
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
            self.step += 1


# %% [markdown]
# ### Exercise 7: exact resume
#
# Write the two halves. There are `state_dict()` and `load_state_dict(...)` on the model (weights, and the running means of batch norm) and on the optimizer (Adam's $m$, $v$ and $t$), and `rng.bit_generator.state`, which can be read and set. The arrays of
# `state_dict()` are the *living* ones, and training goes on changing them: `copy.deepcopy` what you save.
#
# Your functions get any object with the members `model`, `optimizer`, `rng` and `step`.


# %%
def save(run):
    """Return all that the next steps of the run depend on."""
    ### BEGIN SOLUTION
    parts = {"model": run.model.state_dict(), "optimizer": run.optimizer.state_dict()}
    return copy.deepcopy(parts | {"rng": run.rng.bit_generator.state, "step": run.step})
    ### END SOLUTION


def restore(run, saved):
    """Put another run of the same kind into the state that `save` returned."""
    ### BEGIN SOLUTION
    run.model.load_state_dict(saved["model"])
    run.optimizer.load_state_dict(saved["optimizer"])
    run.rng.bit_generator.state, run.step = saved["rng"], saved["step"]
    ### END SOLUTION


# %%
checks.resume((save, restore))

# %% [markdown]
# Most programs save the weights only. Suppose a run is resumed with weights, random numbers and step, but *without* Adam's $m$, $v$ and $t$. Predict: in which step after the resume, counted from 1, does the loss differ for the first time?

# %%
first_difference = ...
### BEGIN SOLUTION
first_difference = 2
### END SOLUTION
predict("first step with another loss, without Adam's state", first_difference)

# %%
whole = Run(seed=0)
whole.train(12)
saved = save(whole)
whole.train(12)
forgotten = {
    "everything": (),
    "without Adam's state": ("optimizer",),
    "without random numbers": ("rng",),
}
after = {}
for name, parts in forgotten.items():
    other = Run(seed=5)
    fresh = save(other)
    restore(other, saved | {part: fresh[part] for part in parts})
    other.train(12)
    after[name] = np.subtract(other.losses, whole.losses[12:])
print("every loss the same, bit for bit:", not after["everything"].any())
first = np.flatnonzero(after["without Adam's state"])[0] + 1
reveal("first step with another loss, without Adam's state", first)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.plot(range(1, 25), whole.losses, ".-", color="#0072B2")
left.axvline(12.5, color="#BBBBBB", linestyle="--")
left.set(xlabel="step", ylabel="loss", title="never stopped")
for name, colour in zip(after, ("#009E73", "#D55E00", "#56B4E9"), strict=True):
    right.plot(range(1, 13), after[name], ".-", color=colour, label=name)
right.set(xlabel="step after the resume", ylabel="loss minus that of the left run")
right.set_title("by what was restored")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# The first loss is computed before the first new step, so it is still the same. Then the run without Adam's state takes a first step of full length in every weight, and is another run from there on. It need not be a worse one. But a result that
# cannot be repeated cannot be examined.
#
# ## Reading the curves
#
# Now the library's `Trainer` does all of this lesson: patients held out, batches, with and without augmentation. Only three patients are trained on, so learning them by heart is easy.


# %%
three, others = Subset(data, range(18)), Subset(data, range(36, 72, 6))


@one_thread()
def train_on_few(augment, epochs=16):
    """Train on three patients, validate on six others; return history and own Dice."""
    model, normalize = UNet(1, 2, base_channels=8, depth=2), Normalize()
    segmenter = Segmenter(model, normalize, data.class_names, data.mask_values)
    trainer = Trainer(
        segmenter,
        Adam(model.parameters(), lr=0.01),
        Loader(three, 6, normalize=normalize, augment=augment, shuffle=True),
        validate=lambda: segmenter.evaluate(others),
        show_progress=False,
    )
    history, scores = trainer.fit(epochs), segmenter.evaluate(three)
    return history, scores.average(scores.mean("dice"))


# %%
histories = {"as they are": train_on_few(None), "augmented": train_on_few(recipe)}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, colour in zip(histories, CLASS_COLOURS, strict=False):
    history, own = histories[name]
    rows = [(row["epoch"], row["loss"], row["dice_mean"]) for row in history]
    epoch, loss, dices = zip(*rows, strict=True)
    print(f"{name}: Dice of its own patients {own:.2f}, of the others {dices[-1]:.2f}")
    left.plot(epoch, loss, ".-", color=colour, label=name)
    right.plot(epoch, dices, ".-", color=colour)
left.set(xlabel="epoch", ylabel="training loss")
right.set(xlabel="epoch", ylabel="Dice of other patients", ylim=(0, 1))
left.legend()
plt.show()

# %% [markdown]
# The first run is nearly perfect on its own three patients and not on others: part of what it learned is those three by heart (*overfitting*). With augmentation no image comes twice. The training loss stays higher, and the gap between its own and other
# patients is smaller. Keep the weights of the best epoch on *validation* patients, not the last ones. More patients help more than either; the article says so in 9.3.
#
# A third remedy works inside the network. **Dropout** (Srivastava et al., 2014) sets each number of a map to 0 with probability $p$ in training, so that nothing can be learned by heart by a few of them. The others are divided by $1 - p$: then the mean stays, and use needs no dropout.

# %%
dropped = F.dropout(np.ones((200, 200)), p=0.2, generator=np.random.default_rng(0)).data
print(f"values {np.unique(dropped)}, mean {dropped.mean():.3f}")
assert np.unique(dropped)[1] == 1 / (1 - 0.2)


def same_each_time(x):
    return F.dropout(x, p=0.2, generator=np.random.default_rng(0))


print(f"its gradient: off by {check_gradients(same_each_time, np.ones((4, 5))):.1e}")

# %% [markdown]
# ## Where it sits in the UNet
#
# Nowhere: nothing in the network knows of epochs or patients. `tinyunet.train` puts it together: `data/split.py`, `data/loader.py` (each sample's chance comes from seed, epoch and index, as yours does),
# `data/augment`, `training/trainer.py`. `tinyunet train --resume FOLDER` is your exercise 7 with a file between.
#
# ## What goes wrong in practice
#
# **The leak.** `tinyunet check FOLDER` looks for it. Here it gets our slices as files, divided slice by slice.


# %%
def write_folder(folder, parts):
    """Write slices as folder/PART/images/NAME.npy and folder/PART/masks/NAME.npy."""
    for part, indices in parts.items():
        images, masks = folder / part / "images", folder / part / "masks"
        for place in (images, masks):
            place.mkdir(parents=True)
        for k in indices:
            name = f"{data[k].name}.npy"
            write_array(images / name, data[k].image[0])
            write_array(masks / name, data[k].mask.astype(np.uint8))


with tempfile.TemporaryDirectory() as place:
    write_folder(Path(place), {"train": order[18:], "test": order[:18]})
    for finding in examine(place).findings:
        remedy = finding.remedy.replace(place, "FOLDER")
        print(f"{finding.severity}: {finding.what}\n    -> {remedy}")

# %% [markdown]
# **A run that cannot learn.** `tinyunet train FOLDER --check` learns a few images by heart first, as in lesson 08, and looks at every layer while it does. Here somebody mistyped the learning rate.

# %%
with tempfile.TemporaryDirectory() as place, one_thread():
    write_folder(Path(place), {"train": train[::4], "test": held_out[::6]})
    settings = {"base_channels": 4, "depth": 1, "patients": "[^_]+"}
    found = examine_training(Path(place), steps=60, lr=5, **settings)
print(found.page().partition("\n\n")[2])

# %% [markdown]
# - **Nothing is found, epoch after epoch.** The trainer gives an alarm after three validations of a single class (`training/alarms.py`).
# - **Augmented test images.** Scores then differ from run to run. Only training images are changed.
# - **The test set, looked at every day.** After twenty looks it is a validation set. The report counts them.
# - **Weights saved, the rest forgotten.** See the curves above.
#
# ## Recap
#
# Divide by patients. Take all chance from numbers that can be repeated. Move image and mask by one draw, and masks by the nearest pixel. Save everything that the next step depends on.
#
# Three questions to take along:
# 1. Two scans of one patient, a year apart. On which sides may they be?
# 2. A mask is turned by 30 degrees and then by -30 degrees, with the nearest pixel. Does it come back? Do its labels?
# 3. Your run is resumed on another computer and gives other last digits. Which parts of exercise 7 can be right all the same?
