# %% [markdown]
# # What to minimise: cross-entropy, Dice, both
#
# *Lesson 07 · about 60 minutes · before it: 06, the U*
#
# You will be able to
# - compute cross-entropy and soft Dice from a network's scores, without overflow,
# - derive both gradients and say which pixels they pull at,
# - see why a network can learn to find nothing, and what helps against it.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Tensor, UNet, check_gradients, no_grad
from tinyunet import functional as F
from tinyunet.data.borders import border_map, objects_of
from tinyunet.data.toy import Toy
from tinyunet.metrics import confusion, dice
from tinyunet.optim import Adam
from tinyunet.plot import CLASS_COLOURS, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import losses as checks
from tinyunet.teaching.figures import show_images

# %% [markdown]
# ## The question in one picture
#
# A scan with small lesions, the lesions as an expert drew them, and a prediction that finds none of them.

# %%
sample = max(Toy("lesion", count=16, seed=1), key=lambda s: (s.mask == 1).sum())
scan, truth = sample.image / 255, sample.mask
nothing = np.zeros_like(truth)
print(f"pixels that 'finds nothing' has right: {(nothing == truth).mean():.1%}")
print(f"Dice of 'finds nothing': {dice(confusion(nothing, truth, 2))[1]:.2f}")
painted = {"truth": paint(scan, truth), "finds nothing": paint(scan, nothing)}
show_images({"scan": scan[0], **painted}, columns=3)

# %% [markdown]
# Counted in pixels the third picture is nearly perfect. For a doctor it is worthless. Training makes one number small,
# the **loss**. If that number resembles the first line above, a network has little reason to look for lesions. Which
# number shall it be?
#
# ## From scores to probabilities
#
# A network gives every pixel one score $z_c$ per class. Softmax makes probabilities of them:
#
# $$p_c = \frac{e^{z_c}}{\sum_k e^{z_k}} \qquad (1)$$
#
# The article names cross-entropy (section 3.2) without its formula. It is the mean of $-\log p_t$ over all pixels, where
# $t$ is the true class of the pixel:
#
# $$L_{CE} = \frac1M \sum_{m=1}^{M} -\log p_{t_m,\,m} = \frac1M \sum_m \Big( \log \sum_k e^{z_{k,m}} - z_{t_m,\,m} \Big) \qquad (2)$$
#
# **By hand.** Scores 2 and 0, true class 0: $p_0 = e^2 / (e^2 + 1) = 0.88$, so the loss is $-\log 0.88 = 0.13$. If class 1 was true, it is
# $-\log 0.12 = 2.13$. Being sure and wrong is expensive, and there is no upper end:

# %%
p = np.linspace(0.001, 1, 400)
figure, axes = plt.subplots(figsize=(4.5, 2.8), layout="constrained")
axes.plot(p, -np.log(p), color="#0072B2")
axes.set(xlabel="probability of the true class", ylabel="loss of the pixel")
axes.grid(alpha=0.3)
plt.show()

# %% [markdown]
# Predict: a fresh network knows nothing and says 50 % for each of two classes everywhere. What is its loss, to two
# digits? And the loss of a network with four classes that says 25 % for each?

# %%
two, four = ..., ...
### BEGIN SOLUTION
two, four = 0.69, 1.39
### END SOLUTION
predict("loss of knowing nothing, 2 classes", two)
predict("loss of knowing nothing, 4 classes", four)

# %%
target = np.zeros((1, 8, 8), int)
for C in (2, 4):
    loss = F.cross_entropy(np.zeros((1, C, 8, 8)), target).item()
    reveal(f"loss of knowing nothing, {C} classes", loss, tolerance=0.02)

# %% [markdown]
# It is $\log 2$ and $\log 4$. Remember the first: a training run whose loss starts far above 0.69 has a bug, or wild weights.
#
# ### Exercise 1: the logarithm that does not overflow
#
# `np.exp(1000)` is infinite, and scores of 1000 do occur in a run that has gone astray. Subtract the largest score first. That changes nothing,
# since it cancels:
#
# $$\log \sum_k e^{z_k} = a + \log \sum_k e^{z_k - a}, \qquad a = \max_k z_k \qquad (3)$$


# %%
def log_softmax(z):
    """Return log p by (1) and (3); z is (C, M): C classes, M pixels."""
    ### BEGIN SOLUTION
    a = z.max(axis=0)
    return z - (a + np.log(np.exp(z - a).sum(axis=0)))
    ### END SOLUTION


# %%
checks.log_softmax(log_softmax)

# %% [markdown]
# ### Exercise 2: cross-entropy
#
# `t` holds the true class of each pixel. `logp[t, np.arange(M)]` picks one number of each column.


# %%
def cross_entropy(z, t):
    """Return the mean loss, formula (2); z is (C, M), t is (M,)."""
    ### BEGIN SOLUTION
    return -log_softmax(z)[t, np.arange(len(t))].mean()
    ### END SOLUTION


# %%
checks.cross_entropy(cross_entropy)

# %% [markdown]
# ## Its gradient
#
# Take one pixel. In (2) the score $z_t$ of the true class stands alone with a minus sign, and every score stands in the logarithm of the sum. The
# derivative of that logarithm in $z_c$ is $e^{z_c} / \sum_k e^{z_k} = p_c$. So
#
# $$\frac{\partial L_{CE}}{\partial z_c} = \frac1M \big( p_c - [c = t] \big) \qquad (4)$$
#
# where $[c = t]$ is 1 for the true class and 0 for the others. *Probability minus truth*: hardly any gradient in the sciences is simpler. It is never
# larger than 1/M, and it fades as a pixel becomes right.
#
# ### Exercise 3: the gradient of cross-entropy


# %%
def cross_entropy_gradient(z, t):
    """Return the gradient in z, (C, M), formula (4)."""
    ### BEGIN SOLUTION
    gradient = np.exp(log_softmax(z))
    gradient[t, np.arange(len(t))] -= 1
    return gradient / len(t)
    ### END SOLUTION


# %%
checks.cross_entropy_gradient(cross_entropy_gradient)

# %% [markdown]
# ## Dice
#
# Dice compares two sets: twice their intersection, over the sum of their sizes. It is 1 if they are equal and 0 if they are disjoint, and
# pixels that are background in both do not appear in it at all. To have a derivative, sets become sums of the probability $p_m$ of
# foreground, with $y_m = 1$ in the lesion and 0 elsewhere:
#
# $$L_D = 1 - \frac{N}{D}, \qquad N = 2\sum_m p_m y_m + \varepsilon, \qquad D = \sum_m p_m + \sum_m y_m + \varepsilon \qquad (5)$$
#
# $\varepsilon$ stands once above and once below. It keeps 0/0 away: on an image without lesion and without prediction the loss is $1 - \varepsilon/\varepsilon = 0$.
# The library has $\varepsilon = 1$, which is one pixel.
#
# ### Exercise 4: soft Dice


# %%
def dice_loss(p, y, eps=1.0):
    """Return (5); p are probabilities of foreground, y is 0 or 1, both (M,)."""
    ### BEGIN SOLUTION
    return 1 - (2 * (p * y).sum() + eps) / (p.sum() + y.sum() + eps)
    ### END SOLUTION


# %%
checks.dice_loss(dice_loss)

# %% [markdown]
# Predict: a lesion of 40 pixels in an image of 4096. A network says $p = 0.5$ everywhere. What is the Dice loss, to two digits? Count $N$ and $D$
# without $\varepsilon$.

# %%
unsure = ...
### BEGIN SOLUTION
unsure = 0.98
### END SOLUTION
predict("Dice loss of saying 0.5 everywhere", unsure)

# %%
y = np.zeros(4096)
y[:40] = 1
loss = dice_loss(np.full(4096, 0.5), y)
reveal("Dice loss of saying 0.5 everywhere", loss, tolerance=0.005)

# %% [markdown]
# ### Exercise 5: its gradient
#
# $N$ changes by $2y_m$ and $D$ by 1 when $p_m$ changes by 1. The quotient rule gives
#
# $$\frac{\partial L_D}{\partial p_m} = -\frac{2\,y_m D - N}{D^2} \qquad (6)$$
#
# Two values only: one for all pixels of the lesion, one for all others.


# %%
def dice_gradient(p, y, eps=1.0):
    """Return the gradient of (5) in p, (M,), formula (6)."""
    ### BEGIN SOLUTION
    N, D = 2 * (p * y).sum() + eps, p.sum() + y.sum() + eps
    return -(2 * y * D - N) / D**2
    ### END SOLUTION


# %%
checks.dice_gradient(dice_gradient)

# %% [markdown]
# ## Which pixels pull?
#
# Three masks, with 50 %, 10 % and 1 % foreground, and a network that says 0.5 everywhere. The pictures show the gradient in the foreground
# score, from the library's ops: green pulls the score up, red pushes it down. Below each stands the share of all
# the pull that is the foreground's.
#
# Predict it for cross-entropy and 1 % of foreground, in percent.

# %%
share_of_pull = ...
### BEGIN SOLUTION
share_of_pull = 1
### END SOLUTION
predict("percent of cross-entropy's pull in 1 % foreground", share_of_pull)

# %%
i, j = np.mgrid[:64, :64]
radii = [np.sqrt(share * 4096 / np.pi) for share in (0.5, 0.1, 0.01)]
masks = [(np.hypot(i - 32, j - 32) < radius).astype(int) for radius in radii]
losses = {"cross-entropy": F.cross_entropy, "Dice": F.dice_loss}
shares = {name: [] for name in losses}
figure, panels = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for row, (name, loss) in zip(panels, losses.items(), strict=True):
    for axes, mask in zip(row, masks, strict=True):
        z = Tensor(np.zeros((1, 2, 64, 64)), requires_grad=True)
        loss(z, mask[None]).backward()
        pull = -z.grad[0, 1]
        most, share = np.abs(pull).max(), np.abs(pull)[mask == 1].sum()
        share /= np.abs(pull).sum()
        shares[name].append(100 * share)
        axes.imshow(pull, cmap="PiYG", vmin=-most, vmax=most)
        axes.set_title(f"{name}, {mask.mean():.0%} foreground", fontsize=9)
        axes.set_xlabel(f"{share:.0%} of the pull", fontsize=9)
        axes.set(xticks=[], yticks=[])
plt.show()
share = shares["cross-entropy"][2]
reveal("percent of cross-entropy's pull in 1 % foreground", share, tolerance=0.1)

# %% [markdown]
# With cross-entropy every pixel pulls alike, so 99 % of the pull says "background". With Dice the few pixels of the lesion pull about as
# much as all the others together. That is what the article means in 9.2: *Dice for imbalanced, cross-entropy for balanced
# classes.* It is half of the truth. The other half needs an experiment.
#
# ## Two checks
#
# Finite differences first, of the library's ops. Then your gradients against the tape.

# %%
rng = np.random.default_rng(0)
z, t = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
for op in (F.softmax, F.log_softmax):
    print(f"{op.__name__:20} off by {check_gradients(op, z):.1e}")
for loss in (F.cross_entropy, F.dice_loss, F.cross_entropy_dice):
    off = check_gradients(lambda z, loss=loss: loss(z, t), z)
    print(f"{loss.__name__:20} off by {off:.1e}")
flat = Tensor(z[:1], requires_grad=True)
F.cross_entropy(flat, t[:1]).backward()
mine = cross_entropy_gradient(z[0].reshape(3, 20), t[0].ravel())
off = np.abs(mine - flat.grad.reshape(3, 20)).max()
print(f"yours against the tape: off by {off:.1e}")

# %% [markdown]
# ## Two classes, one score
#
# With two classes (1) depends on the difference $d = z_1 - z_0$ alone: divide above and below by $e^{z_1}$.
#
# $$p_1 = \frac{e^{z_1}}{e^{z_0} + e^{z_1}} = \frac{1}{1 + e^{-d}}$$
#
# This function of $d$ is called **sigmoid**. So a network for one class of objects may give a single score per pixel, $d$ itself, and cross-entropy of it is called *binary*. It is the same loss:

# %%
two, truth = rng.normal(size=(1, 2, 4, 5)), rng.integers(0, 2, (1, 4, 5))
d = two[:, 1:] - two[:, :1]
np.testing.assert_allclose(F.sigmoid(d).data, F.softmax(two).data[:, 1:])
print(f"one score:  {F.binary_cross_entropy(d, truth).item():.6f}")
print(f"two scores: {F.cross_entropy(two, truth).item():.6f}")
for op in (F.sigmoid, lambda d: F.binary_cross_entropy(d, truth)):
    print(f"gradient off by {check_gradients(op, d):.1e}")

# %% [markdown]
# ## Six runs
#
# A small experiment: noise, and in it two bright spots of ten pixels, which is 1.3 % of the picture. A small UNet trains on 100
# batches, with each of three losses; once as it is, and once with normalised layers (lesson 08). Start and batches are the same. (`one_thread` is explained in lesson 06.)


# %%
def spots(count, seed):
    rng, (i, j) = np.random.default_rng(seed), np.mgrid[:40, :40]
    masks = np.zeros((count, 40, 40), int)
    for mask in masks:
        for row, column in rng.uniform(4, 36, (2, 2)):
            mask[np.hypot(i - row, j - column) < 1.8] = 1
    images = rng.normal(0, 0.15, (count, 1, 40, 40)) + 0.5 * masks[:, None]
    return images.astype(np.float32), masks


@one_thread()
def run(loss, norm, steps=100):
    model = UNet(1, 2, base_channels=8, depth=1, norm=norm)
    rng, course = np.random.default_rng(0), []
    optimizer = Adam(model.parameters(), lr=2e-3)
    for step in range(1, steps + 1):
        batch = rng.choice(len(images), 8, replace=False)
        loss(model(images[batch]), masks_of[batch]).backward()
        optimizer.step()
        if step % 10 == 0:
            with no_grad(), model.evaluating():
                p = F.softmax(model(new_images)).data[:, 1]
            course.append(dice(confusion(p > 0.5, new_masks, 2))[1])
    return course, p


# %%
(images, masks_of), (new_images, new_masks) = spots(64, seed=0), spots(32, seed=1)
losses["both"] = F.cross_entropy_dice
runs = {}
for norm in (None, "group"):
    runs |= {(name, norm): run(loss, norm) for name, loss in losses.items()}
show_images({"picture": new_images[0, 0], "truth": new_masks[0]})

# %% [markdown]
# Before you look: without normalisation only one of the three losses found any spot within its 100 batches. Write "cross-entropy", "Dice" or
# "both".

# %%
finder = ...
### BEGIN SOLUTION
finder = "Dice"
### END SOLUTION
predict("the one loss that finds something", finder)

# %%
best = max(losses, key=lambda name: max(runs[name, None][0]))
reveal("the one loss that finds something", best)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
titles = {None: "without normalisation", "group": "with it"}
for axes, (norm, title) in zip(panels, titles.items(), strict=True):
    for name, colour in zip(losses, CLASS_COLOURS, strict=False):
        course, _ = runs[name, norm]
        axes.plot(range(10, 101, 10), course, ".-", color=colour, label=name)
    axes.set(xlabel="batches", title=title)
    axes.grid(alpha=0.3)
panels[0].set_ylabel("Dice of new pictures")
panels[1].legend()
plt.show()

# %% [markdown]
# On the left, cross-entropy obeys the 99 % and finds nothing; added to Dice, it still has the upper hand. Dice finds the spots
# at once and loses them again: where one batch holds a handful of such pixels, its gradient jumps. On the right all three
# find them. Cross-entropy dips now and then; Dice needs longer to begin with; their sum has neither fault.
#
# So the loss is one thing among several, and "Dice for imbalanced classes" is half of an answer. One more difference shows in what the
# networks with normalisation are sure of.

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
style = {"bins": 30, "range": (0, 1), "histtype": "step", "linewidth": 1.8, "log": True}
for name, colour in zip(losses, CLASS_COLOURS, strict=False):
    axes.hist(runs[name, "group"][1][new_masks == 0], color=colour, label=name, **style)
axes.set(xlabel="probability of a spot", ylabel="background pixels")
axes.legend()
plt.show()

# %%
maps = {name: runs[name, "group"][1][0] for name in losses}
show_images({"picture": new_images[0, 0], "truth": new_masks[0], **maps}, columns=5)

# %% [markdown]
# Trained with cross-entropy alone, the network hardly gives any background pixel more than one half. With Dice in the loss, alone or in
# the sum, probabilities are pushed to both ends, and some background pixels are taken for a spot with full confidence. Dice never asks
# whether 0.7 is right seven times in ten; cross-entropy does. Do not read the probabilities of a network that was trained with Dice
# as probabilities. And where an image has no foreground at all, Dice has nothing to say: the library leaves that class of
# that image out (`empty="skip"`).
#
# nnU-Net trains with the sum (Isensee et al., 2021), and it is the default here, together with normalisation.
#
# ## Weights
#
# Cross-entropy can be helped in another way: let rare classes weigh more. "Balanced" weights make all classes weigh alike in sum,
#
# $$w_c = \frac{\sum_k n_k}{C\,n_c} \qquad (7)$$
#
# with $n_c$ pixels of class $c$, and 0 for a class that does not occur.
#
# ### Exercise 6: balanced weights


# %%
def balanced_weights(mask, C):
    """Return one weight per class, (C,), by (7); mask is an array of class indices."""
    ### BEGIN SOLUTION
    n = np.bincount(mask.ravel(), minlength=C)
    return np.where(n > 0, n.sum() / (C * np.maximum(n, 1)), 0.0)
    ### END SOLUTION


# %%
checks.balanced_weights(balanced_weights)

# %% [markdown]
# Weights can differ from pixel to pixel too. The U-Net paper (Ronneberger et al., 2015, equation 2) made the narrow gaps between cells weigh
# up to ten times more, because a gap of one missed pixel joins two cells:
#
# $$w(m) = w_c + 10 \exp\!\Big( -\frac{(d_1 + d_2)^2}{2\cdot 5^2} \Big)$$
#
# with the distances $d_1$ and $d_2$ to the nearest and the second nearest cell.

# %%
cells = Toy("cells", count=1, size=(96, 96))[0]
objects = objects_of(cells._replace(mask=(cells.mask == 1).astype(int)))
shown = {"cells": cells.image[0], "objects": paint(cells.image, objects)}
show_images(shown | {"weight": border_map(objects, 10.0, 5.0)}, columns=3)

# %% [markdown]
# ## Where it sits in the UNet
#
# At the very end. The scores leave the last 1 x 1 convolution, the loss turns them and the mask into one number, and `backward()` begins with
# formula (4), or with (6) and the softmax behind it. All gradients of the network are multiples of these.
#
# ## What goes wrong in practice
#
# - **Softmax twice.** The losses here take scores. If your network ends with a softmax, the loss flattens and training crawls.
# - **Loss falls, Dice stays 0.** The left picture above. `tinyunet check` says how large the classes are; `tinyunet train` warns when a run predicts one class only. Try `--loss ce+dice`,
#   `--class-weights balanced`, or `--size` to train on crops.
# - **$2(I+\varepsilon)/(U+\varepsilon)$** instead of (5) is 2 on empty images. Write $\varepsilon$ once above and once below.
# - **Touching objects** melt into one: `--border-weight 10`.
# - **Unlabelled pixels** counted as background teach the network to find less. Give them the ignore label: their gradient is exactly 0 (lesson 12).
#
# ## Recap
#
# Cross-entropy counts pixels, Dice counts overlap. The gradient of the first is probability minus truth. The second pulls at small things as
# hard as at large ones, and is silent or noisy where there is next to nothing. Their sum is a good first choice, and no loss replaces looking.
#
# Three questions to take along:
# 1. Why does adding the same number to all scores of a pixel change nothing?
# 2. A class covers 0.1 % of the pixels. What is its balanced weight with two classes, and what will one wrong label in it do?
# 3. Dice of the whole batch or the mean of each image's: which one lets a single large lesion hide ten small ones?
