# %% [markdown]
# # Is it any good?
#
# *Lesson 10 · about 60 minutes · before it: 09, training for real*
#
# You will be able to
# - count right and wrong pixels, and turn the counts into Dice and IoU and back,
# - say which of two means a paper reports, and what it did with empty masks,
# - put an interval around a mean, and say over whom it was drawn,
# - choose a score for the question that a clinic asks, not for the one that is easy to compute.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import UNet
from tinyunet.data import Loader, Normalize, Toy, preset
from tinyunet.inference import Segmenter
from tinyunet.metrics import (
    Scores,
    bootstrap_interval,
    bootstrap_means,
    surface_distances,
    surface_of,
)
from tinyunet.morphology import connected_components
from tinyunet.optim import Adam, Cosine
from tinyunet.plot import EXTRA, INPUT, KERNEL, MISSED, OUTPUT, RIGHT, overlays, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import evaluation as checks
from tinyunet.teaching.figures import show_arrays, show_images
from tinyunet.training import Trainer

# %% [markdown]
# ## The question in one picture
#
# A toy brain with seven small lesions, and what three programs might find. Green is right, blue is missed, red is
# made up. The first draws every lesion a little too small. The second overlooks two lesions. The third invents one.

# %%
sample = Toy("lesion", count=6, size=(96, 96))[5]
truth = sample.mask == 1
lesions, _ = connected_components(truth)
small, missing, invented = truth.copy(), truth.copy(), truth.copy()
for k in range(1, lesions.max() + 1):
    pixels = np.argwhere(lesions == k)  # from top to bottom
    lowest = pixels[-round(len(pixels) / 5) :]  # a fifth: 16 pixels in all
    small[tuple(lowest.T)] = False
sizes = np.bincount(lesions.ravel())
for size in (7, 9):  # 16 pixels
    missing[lesions == np.flatnonzero(sizes == size)[0]] = False
invented[26:31, 60:64] = True  # 20 pixels
programs = {"too small": small, "two missed": missing, "one made up": invented}
middle, shown = slice(18, 82), {}
for name, p in programs.items():
    errors = 1 * (p & truth) + 2 * (p & ~truth) + 3 * (truth & ~p)
    picture = paint(sample.image, errors, (RIGHT, EXTRA, MISSED), alpha=0.9)
    shown[name] = picture[middle, middle]
show_images(shown, columns=3)

# %% [markdown]
# All three have the same Dice, $8/9 = 0.889$, as you will soon compute. Are they equally good?
#
# The article (3.3) asks for an independent test set, for Dice and IoU, and for a look at the pictures. All three are
# right. It gives no formulas, and it does not say which number to report when there are many images. That is where
# results differ.
#
# ## Four counts
#
# Take one class. Let $t_{i,j}$ be 1 where pixel $(i,j)$ truly has it, else 0, and $p_{i,j}$ likewise where it is
# predicted.
#
# $$TP = \sum_{i,j} p_{i,j}\,t_{i,j}, \qquad FP = \sum_{i,j} p_{i,j}\,(1 - t_{i,j}), \qquad FN = \sum_{i,j} (1 - p_{i,j})\,t_{i,j} \qquad (1)$$
#
# True positives are found, false positives made up, false negatives missed. Count them by hand:

# %%
t = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])
p = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])
show_arrays({"truth t": t, "prediction p": p}, ("input", "output"))

# %% [markdown]
# $TP = 4$, $FP = 3$, $FN = 2$. The other 11 pixels are true negatives.
#
# ### Exercise 1: count
#
# Masks come as arrays of 0 and 1. Mind that those from a file have 8 bits without a sign, where $0 - 1 = 255$.


# %%
def count(prediction, truth):
    """Return (TP, FP, FN) by (1); both masks hold 0 and 1, as bool or any integers."""
    ### BEGIN SOLUTION
    p, t = prediction == 1, truth == 1
    return (p & t).sum(), (p & ~t).sum(), (~p & t).sum()
    ### END SOLUTION


# %%
checks.count(count)

# %% [markdown]
# ## Dice and IoU
#
# Both compare what is right with what is wrong. Neither looks at true negatives: there are always plenty of them.
#
# $$D = \frac{2\,TP}{2\,TP + FP + FN}, \qquad J = \frac{TP}{TP + FP + FN} \qquad (2)$$
#
# $D$ is Dice (1945), $J$ is IoU, also called Jaccard's index (1912). In the picture above, $D = 8/13$ and $J = 4/9$.
#
# If nothing is there and nothing is predicted, both are 0/0. That needs a decision, so give it a name: the policy
# `"skip"` returns `np.nan` (no score), `"one"` calls it right, `"zero"` calls it wrong.
#
# ### Exercise 2: Dice with a policy


# %%
def dice(tp, fp, fn, empty):
    """Return D by (2); for 0/0 np.nan, 1, 0 where empty is "skip", "one", "zero"."""
    ### BEGIN SOLUTION
    if tp + fp + fn == 0:
        return {"skip": np.nan, "one": 1.0, "zero": 0.0}[empty]
    return 2 * tp / (2 * tp + fp + fn)
    ### END SOLUTION


# %%
checks.dice(dice)

# %% [markdown]
# Now the three programs:

# %%
for name, prediction in programs.items():
    tp, fp, fn = count(prediction, truth)
    print(f"{name}: TP {tp}, FP {fp}, FN {fn}, Dice {dice(tp, fp, fn, 'skip'):.3f}")

# %% [markdown]
# ## One number in two dresses
#
# Write $E = FP + FN$. Divide numerator and denominator of $D$ by $TP + E$:
#
# $$D = \frac{2\,TP/(TP + E)}{(2\,TP + E)/(TP + E)} = \frac{2J}{1 + J} \qquad (3)$$
#
# since $(2\,TP + E)/(TP + E) = TP/(TP+E) + 1$. So for one image Dice and IoU say the same thing. One paper reports a
# Dice of 0.80, another an IoU of 0.70. Predict: what is the Dice of the second? Two digits will do.

# %%
second = ...
### BEGIN SOLUTION
second = 0.82
### END SOLUTION
predict("Dice for an IoU of 0.70", second)

# %%
reveal("Dice for an IoU of 0.70", 2 * 0.7 / (1 + 0.7), tolerance=0.01)

# %% [markdown]
# ### Exercise 3: the other way
#
# Solve (3) for $J$.


# %%
def iou_from_dice(D):
    """Return the IoU that belongs to a Dice of D."""
    ### BEGIN SOLUTION
    return D / (2 - D)
    ### END SOLUTION


# %%
checks.iou_from_dice(iou_from_dice)

# %% [markdown]
# ## A network to judge
#
# From here on we judge a real network: trained for some seconds on 48 toy heads, and tested on 24 heads of *other
# patients*.

# %%
train = Toy("tumour", count=48, size=(64, 64))
test = Toy("tumour", count=24, size=(64, 64), seed=1)
model, normalize = UNet(1, 2, base_channels=6, depth=3, seed=0), Normalize("minmax")
segmenter = Segmenter(model, normalize, train.class_names, train.mask_values)
batches = Loader(train, 6, normalize=normalize, augment=preset("light"), shuffle=True)
trainer = Trainer(
    segmenter,
    Adam(model.parameters(), 1e-2),
    batches,
    schedule=Cosine(8 * len(batches)),
    show_progress=False,
)
with one_thread():  # see lesson 06
    trainer.fit(8)
found = [segmenter.predict(sample.image) for sample in test]
counts = np.array([count(p, s.mask) for p, s in zip(found, test, strict=True)])
scores = np.array([dice(*row, "skip") for row in counts])

# %% [markdown]
# First the pictures: the worst, the middle and the best of the 24.

# %%
order = scores.argsort()
rows = []
for k in order[[0, 12, 23]]:
    rows.append((f"Dice {scores[k]:.2f}", test[k].image, test[k].mask, found[k]))
overlays(rows, test.class_names)

# %% [markdown]
# Each image is a point on the curve (3). It bends, so a *mean* of IoUs does not turn into the mean of the Dice
# scores.

# %%
ious = np.array([iou_from_dice(D) for D in scores])
curve = np.linspace(0, 1, 50)
figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
axes.plot(curve, 2 * curve / (1 + curve), color="#555555", label="D = 2J / (1 + J)")
axes.plot(curve, curve, ":", color="#999999", label="D = J")
axes.plot(ious, scores, "o", color=OUTPUT, ms=4, label="test images")
axes.set(xlabel="IoU", ylabel="Dice")
axes.legend()
plt.show()
mean, turned = ious.mean(), 2 * ious.mean() / (1 + ious.mean())
print(f"mean Dice {scores.mean():.4f}; mean IoU {mean:.4f}, by (3) {turned:.4f}")

# %% [markdown]
# ## Many images, one number
#
# There are two ways, and papers call both "the Dice". **Pooled**: add up the counts of all images, then use (2) once.
# **Mean**: use (2) for each image, then take the mean.
#
# Two patients. The first has a tumour of 2450 pixels, and every one is found. The second has one of 100 pixels, and
# all of it is missed. Predict both numbers, to two digits.

# %%
two_patients = np.array([[2450, 0, 0], [0, 0, 100]])  # TP, FP, FN
pooled_guess, mean_guess = ..., ...
### BEGIN SOLUTION
pooled_guess, mean_guess = 0.98, 0.5
### END SOLUTION
predict("pooled Dice of the two patients", pooled_guess)
predict("mean Dice of the two patients", mean_guess)

# %% [markdown]
# ### Exercise 4: pooled and mean
#
# Use your `dice` with the policy `"skip"`. An image without a score takes no part in the mean.


# %%
def pooled_and_mean(counts):
    """Return (pooled Dice, mean Dice); counts is (images, 3), TP, FP, FN of each."""
    ### BEGIN SOLUTION
    each = [dice(*row, "skip") for row in counts]
    return dice(*counts.sum(axis=0), "skip"), np.nanmean(each)
    ### END SOLUTION


# %%
checks.pooled_and_mean(pooled_and_mean)

# %%
pooled, mean = pooled_and_mean(two_patients)
reveal("pooled Dice of the two patients", pooled, tolerance=0.005)
reveal("mean Dice of the two patients", mean, tolerance=0.005)

# %% [markdown]
# Half of the patients were failed, and the pooled score is 0.98. Pooling gives every *pixel* the same say, so large
# objects rule. The mean gives every *image* the same say. Our network, too, is worse at small ones:

# %%
area = counts[:, 0] + counts[:, 2]
pooled, mean = pooled_and_mean(counts)
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(area, scores, "o", color=OUTPUT)
axes.axhline(pooled, color=KERNEL, label=f"pooled {pooled:.3f}")
axes.axhline(mean, color=INPUT, label=f"mean {mean:.3f}")
axes.set(xlabel="pixels of the tumour", ylabel="Dice of the image")
axes.legend()
plt.show()

# %% [markdown]
# There is a reason besides the network: the rim of a small object holds a larger share of its pixels. A rim that is
# off by half a pixel costs it more.
#
# ## Empty masks
#
# Most slices of a volume show no tumour. We imitate that and cut each test image into a left and a right half. The
# predictions stay what they are; only the policy changes. Predict: which of "skip", "one" and "zero" gives the
# highest mean Dice over the 48 halves?

# %%
highest = ...
### BEGIN SOLUTION
highest = "one"
### END SOLUTION
predict("the policy with the highest mean", highest)

# %%
halves = [
    count(p[:, part], s.mask[:, part])
    for p, s in zip(found, test, strict=True)
    for part in (slice(0, 32), slice(32, 64))
]
by_policy = {}
for empty in ("skip", "one", "zero"):
    by_policy[empty] = np.nanmean([dice(*row, empty) for row in halves])
reveal("the policy with the highest mean", max(by_policy, key=by_policy.get))
figure, axes = plt.subplots(figsize=(5, 2.2), layout="constrained")
means, colours = list(by_policy.values()), (INPUT, OUTPUT, EXTRA)
bars = axes.barh(list(by_policy), means, color=colours)
axes.bar_label(bars, fmt="%.2f", padding=3)
axes.set(xlim=(0, 1), xlabel="mean Dice of the same predictions")
axes.invert_yaxis()
plt.show()
empty = sum(sum(row) == 0 for row in halves)
print(f"{empty} of {len(halves)} halves hold no tumour and none is predicted")

# %% [markdown]
# One word, often left out of a report, moved the result by 0.25. tinyunet skips by default, and prints how many
# it skipped. A tumour that is *made up* in an empty half is not 0/0: there $FP > 0$, and the score is 0.
#
# ## How sure is that mean?
#
# With 24 other patients the mean would have been another. How much would it change? We have no other patients, but we
# can imitate them (Efron, 1979): draw 24 scores from ours *with replacement*, so that some come twice and some never,
# and take the mean. Do that a thousand times. The middle 95 % of those means is the **bootstrap interval**.
#
# ### Exercise 5: bootstrap
#
# `rng.choice(values, size)` draws with replacement. `np.quantile(means, [a, b])` gives two ends; which $a$ and $b$
# leave 95 % between them?


# %%
def bootstrap(values, resamples, rng):
    """Return (low, high), between which 95 % of the means of `resamples` draws lie."""
    ### BEGIN SOLUTION
    means = [rng.choice(values, len(values)).mean() for _ in range(resamples)]
    return tuple(np.quantile(means, [0.025, 0.975]))
    ### END SOLUTION


# %%
checks.bootstrap(bootstrap)

# %% [markdown]
# Now a temptation. Mirror every test image left to right, top to bottom, and both ways. That makes 96 images from 24
# patients. Predict: how wide is the interval over the 96, in percent of that over the 24? Within a quarter counts.

# %%
percent = ...
### BEGIN SOLUTION
percent = 60
### END SOLUTION
predict("width over the mirrored images, in percent", percent)

# %%
mirrored, patient = [], []
for k, sample in enumerate(test):
    for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        prediction = segmenter.predict(sample.image[:, ::a, ::b])
        mirrored.append(dice(*count(prediction, sample.mask[::a, ::b]), "skip"))
        patient.append(k)
own, mirrored = scores[:, None], np.array(mirrored)[:, None]
draws = {
    "24 images": bootstrap_means(own)[:, 0],
    "96 images": bootstrap_means(mirrored)[:, 0],
    "96 images, patients drawn whole": bootstrap_means(mirrored, patient)[:, 0],
}
ends = {name: bootstrap_interval(means) for name, means in draws.items()}
widths = {name: high - low for name, (low, high) in ends.items()}
percent = 100 * widths["96 images"] / widths["24 images"]
reveal("width over the mirrored images, in percent", percent, tolerance=0.25)

# %%
figure, panels = plt.subplots(3, 1, figsize=(6, 4), layout="constrained", sharex=True)
for axes, name, colour in zip(panels, draws, (INPUT, EXTRA, OUTPUT), strict=True):
    axes.hist(draws[name], bins=40, color=colour, alpha=0.6)
    axes.plot(ends[name], (0, 0), "|-", color="black", lw=3, ms=14)
    axes.set(yticks=[], title=f"{name}: {ends[name][0]:.3f} to {ends[name][1]:.3f}")
panels[2].set_xlabel("mean Dice of a draw")
plt.show()

# %% [markdown]
# Each picture shows how often the draws had which mean; the black bar is the interval. For the mirrored images it
# shrank, and no new patient was seen. Slices of one volume deceive in the same way. What must be drawn
# is what varies: whole patients. Then the interval is as wide as before. `Scores.add(..., group=patient)` tells the
# library who is who.
#
# ## What pixels do not count
#
# Back to the lesions. The counts of a mask do not know *where* its wrong pixels lie. Distances do. Take the surface
# pixels of both masks (those with a neighbour outside), and for each the distance to the nearest surface pixel of the
# other mask. Here it is for the surface of the truth, as coloured squares; grey is what the program painted:

# %%
figure, panels = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for axes, (name, prediction) in zip(panels, programs.items(), strict=True):
    surface = np.argwhere(surface_of(truth))
    far = surface_distances(prediction, truth).to_prediction
    axes.imshow(prediction, cmap="gray_r", vmax=4)
    style = {"s": 14, "marker": "s", "cmap": "plasma", "vmin": 0, "vmax": 8}
    shown = axes.scatter(surface[:, 1], surface[:, 0], c=far, **style)
    axes.set(xticks=[], yticks=[], xlim=(18, 82), ylim=(82, 18))
    axes.set_title(f"{name}: at most {far.max():.1f}")
figure.colorbar(shown, ax=panels, label="pixels to the predicted surface")
plt.show()

# %% [markdown]
# The largest distance of all (Hausdorff's) is at the mercy of one pixel. So one takes, in each direction, the one that
# 95 % of the distances do not exceed, and of both directions the larger. With $A$ and $B$ for the surface pixels of the
# two masks, $|a - b|$ for the distance of two pixels, and $\operatorname{q}_{95}$ for that 95th percentile:
#
# $$HD_{95} = \max\left(\operatorname{q}_{95}\{d(a, B) : a \in A\},\ \operatorname{q}_{95}\{d(b, A) : b \in B\}\right), \qquad d(a, B) = \min_{b \in B} |a - b| \qquad (4)$$
#
# The picture above shows one direction only. It sees what was missed, and not what was made up.
#
# ### Exercise 6: HD95 in millimetres
#
# Points come as rows and columns. A pixel may be 3 mm high and 0.5 mm wide: multiply by `spacing` before you measure.
# `np.percentile(d, 95)` is $\operatorname{q}_{95}$.


# %%
def hd95(A, B, spacing):
    """Return (4) in mm; A and B are (points, 2), spacing is mm per row and column."""
    ### BEGIN SOLUTION
    A, B = A * np.asarray(spacing), B * np.asarray(spacing)
    distances = np.linalg.norm(A[:, None] - B[None], axis=2)
    return max(np.percentile(distances.min(axis=side), 95) for side in (1, 0))
    ### END SOLUTION


# %%
checks.hd95(hd95)

# %% [markdown]
# Five scores of the three programs. The three new ones are explained below.

# %%
names = ("dice", "precision", "recall", "object_f1")
print(f"{'':12}", *(f"{name:>10}" for name in (*names, "hd95")))
surface = np.argwhere(surface_of(truth))
for program, prediction in programs.items():
    table = Scores(["background", "lesion"], detailed=True)
    table.add(prediction, truth)
    row = [table.mean(name)[1] for name in names]
    row.append(hd95(np.argwhere(surface_of(prediction)), surface, (1, 1)))
    print(f"{program:12}", *(f"{score:10.3f}" for score in row))

# %% [markdown]
# Precision is $TP/(TP+FP)$, the share of the painted pixels that is right. Recall is $TP/(TP+FN)$, the share of the
# true pixels that was found. Object F1 is Dice over *objects* instead of pixels: a predicted and a true object are a
# pair if their IoU is above 1/2.
#
# Five scores, one Dice. The scores disagree because they answer different questions.
#
# ### Exercise 7: three questions from a clinic
#
# Article 6 names uses: tumours, organs, lesions. Choose one of `"dice"`, `"precision"`, `"recall"`, `"hd95"`,
# `"object_f1"` for each.
#
# 1. *Follow-up of lesions.* How many are new since last year, how many are gone? A lesion of 7 pixels counts as much
#   as one of 21.
# 2. *A tumour is to be irradiated*, with a margin of 5 mm around the drawn edge. Does the true edge lie inside the
#   margin, but for rare pixels?
# 3. *First pass of a screening.* A doctor will look at all that is painted, and at nothing else. What share of the
#   disease gets looked at?

# %%
chosen = ...
### BEGIN SOLUTION
chosen = "object_f1", "hd95", "recall"
### END SOLUTION

# %%
checks.right_metric(chosen)

# %% [markdown]
# Report several and say why these. Maier-Hein et al. (Metrics reloaded, 2024) wrote a guide for the choice.
#
# ## Where it sits in the UNet
#
# Behind it. The network gives scores, `argmax` makes classes, and a count of classes does not change when a weight
# changes a little: its gradient is 0 almost everywhere. So training minimises a *soft* Dice of probabilities (lesson
# 07), and the hard one here is for judging. Use the same policy for empty masks in both.
#
# ## What goes wrong in practice
#
# - **The test set chooses.** Whoever tries ten settings and reports the best test score reports luck as well. Choose
#   by validation, test once. `tinyunet evaluate` notes each use of a test set in the run's folder and warns at the
#   second.
# - **The background in the average.** It is large and easy. Our network's Dice for it is printed below; averaged in,
#   it flatters. tinyunet leaves it out.
# - **"Dice 0.85"** without pooled or mean, policy, unit and interval. `tinyunet evaluate RUN` prints them all and
#   writes `report.html`, worst images first, with these colours and with patterns for those who cannot tell them
#   apart.
# - **Distances in pixels** compared with distances in mm. The library takes the spacing from the file and names the
#   unit.

# %%
whole = Scores(test.class_names, detailed=True)
for k, sample in enumerate(test):
    whole.add(found[k], sample.mask, name=sample.name, group=k)
print(whole.table())

# %% [markdown]
# ## Recap
#
# Dice and IoU are one number in two dresses. From many images one can make a pooled score or a mean, and empty masks
# need a policy. A mean wants an interval, drawn over patients. Counts do not know where errors lie; distances and
# objects do.
#
# Three questions to take along:
# 1. A program paints the whole image. What are its recall and its precision, and what is its Dice if the tumour is 5
#   % of the image?
# 2. Can the mean Dice be above the pooled one? Make two images for it.
# 3. Two networks have mean Dice 0.85 and 0.86, each with an interval of $\pm 0.02$ on the same 24 patients. What
#   would you bootstrap to compare them?
