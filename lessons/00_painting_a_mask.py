# %% [markdown]
# # Painting a mask: what segmentation is
#
# *Lesson 00 · about 40 minutes · before it: nothing; some Python and NumPy*
#
# You will be able to
# - say what goes into a segmentation and what comes out, number by number,
# - explain why no single brightness separates a tumour from the rest,
# - bring an image into $[0, 1]$, into $[-1, 1]$ or to mean 0, and back, without dividing by zero,
# - say why a mask is never scaled.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet.data.normalize import Normalize
from tinyunet.data.toy import Toy
from tinyunet.plot import paint
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import normalization as checks
from tinyunet.teaching.figures import show_arrays, show_images

# %% [markdown]
# ## The task in one picture
#
# The article names three uses: tumours, organs, lesions. Here is one drawn example of each. Above is what a scanner gives.
# Below, somebody has painted what matters. How does one get from above to below?

# %%
uses = ("tumour", "organ", "lesion")
samples = {kind: Toy(kind, count=4, size=(96, 96))[1] for kind in uses}
above = {kind: paint(s.image, np.zeros_like(s.mask)) for kind, s in samples.items()}
below = {f"{kind}, painted": paint(s.image, s.mask) for kind, s in samples.items()}
show_images(above | below, columns=3)

# %% [markdown]
# The three are *toy images*: made by formulas, in this library, without any patient. Because image and mask come from the same
# drawing, the mask is right to the pixel. No real mask is.
#
# A person paints such a mask by hand, line by line. That is the article's "traditional method": slow, costly, and two
# people do not draw the same line. Joskowicz et al. (2019) measured for CT how far apart experts are.
#
# ## What a mask is
#
# An image is a table of brightnesses $x_{i,j}$, row $i$ and column $j$, both counted from 0. A **mask** is a second table of the same size. Its
# entry $m_{i,j}$ is the *number of a class*: 0 for background, 1 for tumour. With more classes it goes on: 2, 3, ...
# Segmentation is a function from the first table to the second. Here is a corner of each, at the rim of the tumour:

# %%
tumour = samples["tumour"]
i, j = np.argwhere(tumour.mask == 1)[0]
patch = slice(i - 2, i + 4), slice(j - 3, j + 4)
corner = {"image": tumour.image[0][patch], "mask": tumour.mask[patch]}
show_arrays(corner, ("input", "output"))

# %% [markdown]
# The numbers on the left are *measured*. One can add them, halve them, take their mean. The numbers on the right are *names*. Class 2 is
# not twice class 1.
#
# ### Exercise 1: how much of each class?
#
# The first question to ask of a new mask. Return one share between 0 and 1 for each class $0, 1, \dots, K-1$. A class that is absent
# has the share 0.


# %%
def class_shares(mask, classes):
    """Return `classes` numbers as an array: the share of the pixels with each class."""
    ### BEGIN SOLUTION
    return np.array([(mask == k).mean() for k in range(classes)])
    ### END SOLUTION


# %%
checks.class_shares(class_shares)

# %% [markdown]
# ## Predict
#
# A lazy program says "background" for every pixel of the lesion image above, without looking at it. What percentage of the pixels does it get
# right? Guess from the picture, to a whole number.

# %%
percent_right = ...
### BEGIN SOLUTION
percent_right = 99
### END SOLUTION
predict("percent right when nothing is painted", percent_right)

# %%
background, spots = class_shares(samples["lesion"].mask, 2)
reveal("percent right when nothing is painted", 100 * background, tolerance=0.005)
print(f"the lesions are {100 * spots:.1f} % of the image, and all of them are missed")

# %% [markdown]
# Keep this in mind whenever somebody reports "accuracy". Lesson 10 has better scores.
#
# ## Why not a threshold?
#
# The tumour is bright. So paint every pixel that is brighter than some number $t$. Which $t$ makes the fewest wrong
# pixels? There are only 257 to try. Before you see the result: at the best $t$, what share of the *tumour's* pixels is painted? Guess a
# percentage.

# %%
percent_found = ...
### BEGIN SOLUTION
percent_found = 0
### END SOLUTION
predict("percent of the tumour painted at the best threshold", percent_found)

# %%
scan, truth = tumour.image[0], tumour.mask == 1
wrong = [np.count_nonzero((scan > t) != truth) for t in range(-1, 256)]
best = int(np.argmin(wrong)) - 1
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
style = {"bins": 32, "range": (0, 256), "density": True, "alpha": 0.6}
left.hist(scan[truth], color="#E69F00", label="tumour", **style)
left.hist(scan[~truth], color="#0072B2", label="all else", **style)
left.set(xlabel="brightness", ylabel="share per brightness", title="the two classes")
left.legend()
right.plot(range(-1, 256), wrong, color="#555555")
right.axhline(truth.sum(), color="#D55E00", linestyle="--", label="paint nothing")
right.set(xlabel="threshold t", ylabel="wrong pixels", ylim=(0, 4000))
right.set_title(f"fewest at t = {best}")
right.legend()
plt.show()
others = (~truth).sum() / truth.sum()
print(f"for each pixel of the tumour there are {others:.0f} others")
found = round(100 * (scan[truth] > best).mean())
reveal("percent of the tumour painted at the best threshold", found)

# %% [markdown]
# The best threshold of all is the one that paints nothing. In the left picture each class has area 1. But the other pixels are
# far more, and among them are scalp and cortex, as bright as the tumour. Here are two lower thresholds:

# %%
shown = {"truth": paint(tumour.image, tumour.mask)}
for t in (150, 180):
    shown[f"brighter than {t}"] = paint(tumour.image, (scan > t).astype(int))
show_images(shown, columns=3)

# %% [markdown]
# What tells the tumour from the scalp is not brightness. It is place, shape, texture, and what lies around. A UNet is a function that can use all
# these, with some millions of numbers in it that are *learned* from painted examples. The article calls this end-to-end: image in, mask out, no step
# by hand between. That much is right by construction. Its other two claims, high accuracy and robustness to noise, are
# claims. Lessons 10 and 13 make experiments of them.
#
# ## The formula: one straight line
#
# Scanners disagree on what is bright. One writes 0 to 255, another 0 to 4095, a CT writes -1000 for air. A network multiplies these
# numbers by weights, so it should meet them in one range. The article asks for $[0, 1]$ or $[-1, 1]$ and gives no formula. Here is one. We look for
# a straight line $y = \alpha x + \beta$ that sends the smallest value of the image to $a$ and the largest to $b$:
#
# $$\alpha\, x_{\min} + \beta = a, \qquad \alpha\, x_{\max} + \beta = b .$$
#
# Subtract the first from the second: $\alpha = (b - a) / (x_{\max} - x_{\min})$. Put it back into the first:
#
# $$y_{i,j} = a + (b - a)\,\frac{x_{i,j} - x_{\min}}{x_{\max} - x_{\min}} \qquad (1)$$
#
# That is **min-max scaling**. By hand, to $[0, 1]$ and to $[-1, 1]$. Two numbers are left out. What are they?

# %%
x = np.array([[10, 20, 30], [10, 50, 40], [25, 35, 50]], float)
unit = (x - 10) / 40
both = {"[0, 1]": unit.copy(), "[-1, 1]": 2 * unit - 1}
for y in both.values():
    y[0, 2] = np.nan
show_arrays(
    {"x": x} | both,
    ("input", "output", "output"),
    marks={name: [(0, 2)] for name in ("x", *both)},
)

# %%
in_unit, in_symmetric = ..., ...
### BEGIN SOLUTION
in_unit, in_symmetric = 0.5, 0
### END SOLUTION
predict("30 in [0, 1]", in_unit)
predict("30 in [-1, 1]", in_symmetric)

# %%
reveal("30 in [0, 1]", unit[0, 2])
reveal("30 in [-1, 1]", 2 * unit[0, 2] - 1)

# %% [markdown]
# ### Exercise 2: min-max scaling
#
# Write (1). A **constant** image has $x_{\max} = x_{\min}$, and (1) would divide 0 by 0. Return $a$ everywhere then. It happens: the first slices of a scan
# often show nothing. Mind also that an image from a file may hold 8-bit integers, which end at 255.


# %%
def minmax(x, a, b):
    """Return x scaled by (1), a new array with smallest value a and largest b."""
    ### BEGIN SOLUTION
    lowest, highest = x.min(), x.max()
    if lowest == highest:
        return np.full(x.shape, float(a))
    return a + (b - a) * ((x - lowest) / (highest - lowest))
    ### END SOLUTION


# %%
checks.minmax(minmax)

# %% [markdown]
# ### Exercise 3: and back
#
# Solve (1) for $x$. Now `lowest` and `highest` must be given: the scaled image has forgotten them. Store them if you will want the
# brightnesses again.


# %%
def undo_minmax(y, a, b, lowest, highest):
    """Return the x that became y = minmax(x, a, b); lowest and highest are of x."""
    ### BEGIN SOLUTION
    return lowest + (y - a) * (highest - lowest) / (b - a)
    ### END SOLUTION


# %%
checks.undo_minmax(undo_minmax)

# %% [markdown]
# ## Mean 0, standard deviation 1
#
# Min-max looks at two pixels only, the darkest and the brightest. The **z-score** looks at all $P = H \cdot W$ of them:
#
# $$\mu = \frac{1}{P}\sum_{i,j} x_{i,j}, \qquad \sigma = \sqrt{\frac{1}{P}\sum_{i,j} (x_{i,j} - \mu)^2}, \qquad z_{i,j} = \frac{x_{i,j} - \mu}{\sigma} \qquad (2)$$
#
# Why is the mean of $z$ zero? Because the deviations $x_{i,j} - \mu$ add up to $P\mu - P\mu = 0$. Why is its standard deviation 1? Because
# all deviations were divided by the standard deviation. A constant image has $\sigma = 0$; return zeros then.
#
# ### Exercise 4: the z-score


# %%
def zscore(x):
    """Return x scaled by (2), as a new array; zeros for a constant image."""
    ### BEGIN SOLUTION
    deviation = x.std()
    return np.zeros(x.shape) if deviation == 0 else (x - x.mean()) / deviation
    ### END SOLUTION


# %%
checks.zscore(zscore)

# %% [markdown]
# All three are straight lines. So the histogram keeps its shape, and only the numbers below it change.

# %%
scaled = {
    "as it came": scan,
    "minmax to [0, 1]": minmax(scan, 0, 1),
    "minmax to [-1, 1]": minmax(scan, -1, 1),
    "zscore": zscore(scan),
}
figure, panels = plt.subplots(
    1, 4, figsize=(10, 2.3), layout="constrained", sharey=True
)
for axes, (title, values) in zip(panels, scaled.items(), strict=True):
    axes.hist(values.ravel(), bins=32, color="#0072B2")
    axes.set_title(title, fontsize=9)
panels[0].set_ylabel("pixels")
plt.show()

# %% [markdown]
# ## Why masks are never scaled
#
# A mask holds names. What does (1) do to names? Below are two masks of toy cells: 0 background, 1 nucleus, 2 the border of a nucleus. In the second one
# nobody painted a border.

# %%
painted = Toy("cells", count=1, size=(48, 48))[0].mask
without_border = np.where(painted == 2, 1, painted)
two_masks = {"A": painted, "B": without_border}
shown = {f"mask {name}": mask for name, mask in two_masks.items()}
shown |= {f"{name} scaled": minmax(mask, 0, 1) for name, mask in two_masks.items()}
show_images(shown, limits=(0, 2), cmap="viridis")

# %%
for name, mask in two_masks.items():
    now = minmax(mask, 0, 1)
    print(f"mask {name}: classes {np.unique(mask)} become {np.unique(now)},", end=" ")
    print(f"a nucleus {now[mask == 1].max()}")

# %% [markdown]
# Class 1 has become 0.5 in one mask and 1 in the other, and 1 stands for two classes. Nobody can repair that afterwards, because the scaling depends on what else is in
# the mask. A file may hold 0 and 255 instead of 0 and 1: then *rename* 255 to 1, in all masks alike. The library does that when it reads a folder, and prints it.
#
# ### Exercise 5: prepare a sample
#
# Image and mask go to the network together. Scale the image to $[0, 1]$ as float32. Return the mask as integers (`np.int64`), with its values as they are.


# %%
def prepare(image, mask):
    """Return (image in [0, 1] as float32, mask of the same classes as int64)."""
    ### BEGIN SOLUTION
    return minmax(image, 0, 1).astype(np.float32), mask.astype(np.int64)
    ### END SOLUTION


# %%
checks.prepare(prepare)

# %% [markdown]
# ## Where it sits in the UNet
#
# Before it: each image is scaled once, then the network sees it. But the choice reaches inside. A convolution pads images with zeros. After min-max to $[0, 1]$
# a zero is the darkest value of the image, here the black around the head. What is it after scaling to $[-1, 1]$? Say which brightness, of 0 to 255, a zero stands for.

# %%
brightness = ...
### BEGIN SOLUTION
brightness = 127.5
### END SOLUTION
predict("brightness of a zero in [-1, 1]", brightness)

# %%
grey = undo_minmax(np.float64(0), -1, 1, scan.min(), scan.max())
reveal("brightness of a zero in [-1, 1]", grey)
framed = {
    f"{name}, then padded": np.pad(scaled[name], 12)
    for name in ("minmax to [0, 1]", "minmax to [-1, 1]", "zscore")
}
show_images(framed, columns=3)

# %% [markdown]
# The padding is a grey frame around the head, an edge that no patient has. A network learns to live with it. It must then be used with the same scaling
# as in training, which is why tinyunet stores the scaling in every checkpoint.
#
# ## What goes wrong in practice
#
# **One hot pixel.** A metal clip or a defect makes one pixel ten times as bright as all others.

# %%
hot = scan.copy()
hot[5, 5] = 2550
kinds = {
    "minmax": Normalize("minmax"),
    "zscore": Normalize("zscore"),
    "window 0 to 255": Normalize("window", low=0, high=255),
}
shown = {}
for name, normalize in kinds.items():
    before, after = normalize(scan[None])[0], normalize(hot[None])[0]
    means = f"was {before[truth].mean():.2f} and is {after[truth].mean():.2f}"
    print(f"{name}: the tumour's mean {means}")
    shown[name] = (after - before.min()) / np.ptp(before)
show_images(shown, columns=3, limits=(0, 1))

# %% [markdown]
# Black and white are what they were before the pixel broke. Min-max presses the whole head into a tenth of the range. The z-score suffers less. A fixed **window** $y = (x - low) / (high - low)$, cut off
# at 0 and 1, does not notice. For CT it is the usual choice, since its numbers have a meaning (Hounsfield, 1973). `tinyunet train --normalize` offers all four.
#
# - **Integer files.** Numbers of 8 bits end at 255 and begin again at 0: $2 \cdot 200$ is 144. Divide before you multiply, or convert to float first.
# - **Scaling with the numbers of the whole data set** when scanners differ, or with those of the *test* images, which then help to choose.
# - **Masks saved as JPEG.** The file invents values beside the true ones. `tinyunet check FOLDER` finds such masks, stray values, constant images, and images of
#   different scales in one folder, and says what mends each.
#
# ## Recap
#
# Segmentation gives every pixel the number of a class. Images are measured and may be scaled by a straight line. Masks are names and stay as they are.
#
# Three questions to take along:
# 1. You have `minmax(x, -1, 1)` and nothing else. How do you get `minmax(x, 0, 1)`, and why can you not get `x`?
# 2. Two images of one scanner show the same tissue, one with a bright bone in it. Which scaling gives that tissue the same number in both?
# 3. A program is right in 99 % of all pixels. Which other number do you ask for?
