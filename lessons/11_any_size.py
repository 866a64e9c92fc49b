# %% [markdown]
# # Any size, any scanner
#
# *Lesson 11 · about 60 minutes · before it: 06, the U; 10, is it any good?*
#
# You will be able to
# - say how far a UNet looks, from its depth alone, and prove it by poisoning a pixel,
# - cut an image that is too large into tiles, and join them without a seam,
# - forecast how much memory a training step takes, within 20 %,
# - average over mirror images, and say what another scanner changes.

# %%
import tracemalloc

import matplotlib.pyplot as plt
import numpy as np

from tinyunet import UNet, no_grad
from tinyunet import functional as F
from tinyunet.data import Loader, Normalize, Toy, preset
from tinyunet.inference import Segmenter
from tinyunet.metrics import Scores
from tinyunet.optim import Adam, Cosine
from tinyunet.plot import CLASS_COLOURS, EXTRA, INPUT, KERNEL, OUTPUT, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import tiles as checks
from tinyunet.teaching.figures import show_images
from tinyunet.training import Trainer
from tinyunet.training.forecast import bytes_of_step

# %% [markdown]
# ## The question in one picture
#
# A small UNet learns to find nuclei (orange) and their borders (blue) in toy images of 64 x 64 pixels. Then it gets a
# strip of a slide, 64 x 384. Once it sees the strip whole, once in six tiles of 64 x 64, as if the memory did not
# hold more.

# %%
train = Toy("cells", count=32, size=(64, 64))
model, normalize = UNet(1, 3, base_channels=8, depth=2, seed=0), Normalize("minmax")
segmenter = Segmenter(model, normalize, train.class_names, train.mask_values)
batches = Loader(train, 4, normalize=normalize, augment=preset("light"), shuffle=True)
trainer = Trainer(
    segmenter,
    Adam(model.parameters(), 1e-2),
    batches,
    schedule=Cosine(8 * len(batches)),
    show_progress=False,
)
with one_thread():  # see lesson 06
    trainer.fit(8)


def run(x):
    """Return the probabilities (N, classes, H, W) of normalised images (N, C, H, W)."""
    with no_grad(), model.evaluating():
        return F.softmax(model(x)).numpy()


# %%
strip = Toy("cells", count=1, size=(64, 384), seed=51)[0]
x = normalize(strip.image)[None]
whole = run(x)
apart = np.concatenate([run(x[..., k : k + 64]) for k in range(0, 384, 64)], axis=3)


def show_strips(strips):
    size = (9, 1.75 * len(strips))
    figure, panels = plt.subplots(len(strips), 1, figsize=size, layout="constrained")
    for axes, (title, picture) in zip(panels, strips.items(), strict=True):
        axes.imshow(picture, cmap="magma", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    plt.show()


def painted(y, image=strip.image):
    return paint(image, y[0].argmax(0), CLASS_COLOURS)


shown = {"whole": painted(whole), "six tiles, side by side": painted(apart)}
shown["largest difference of a probability"] = np.abs(apart - whole)[0].max(0)
show_strips(shown)

# %% [markdown]
# In the third strip black is 0 and pale yellow is 1. The two agree, except along the cuts. There a nucleus breaks in two or gets a border that is not there. What has the
# cut taken away, how far does the damage reach, and can one avoid all of it?
#
# The article's question 9.1 is about sizes: how does a UNet treat images of different sizes? It answers: change the
# number of layers. Lesson 06 showed that this is not needed, as no weight depends on the size. But layers do matter
# here, for another reason: they decide how far a pixel looks.
#
# ## How far does it look?
#
# Poison one pixel: put NaN ("not a number") in it. Every sum with a NaN in it is NaN. So every output that looks at
# this pixel, and no other, is NaN afterwards. Those are pale below.

# %%
poisoned = x.copy()
poisoned[0, 0, 32, 200] = np.nan
with no_grad(), model.evaluating():
    reached = np.isnan(model(poisoned).numpy()[0, 0])
unpainted = paint(strip.image, 0 * strip.mask)
show_strips({"the image": unpainted, "poisoned by pixel (32, 200)": reached})

# %% [markdown]
# Half of this square's width is what we need: the **margin** $m$, how far beyond its own place an output pixel looks.
# It can be computed. $D$ is the depth, the number of poolings; one of them lies between level $k$ and level $k+1$.
#
# - At level 1, the full size, a 3 x 3 convolution looks 1 pixel each way. At level $k$ the maps are $2^{k-1}$ times
#   coarser, so it looks $2^{k-1}$ pixels of the image each way.
# - On its way down and up a pixel passes four convolutions at each of the levels 1 to $D$, and two at the bottom,
#   level $D+1$.
# - Poolings and transposed convolutions with $k = s = 2$ (lesson 05) look only into blocks of $2^D$ pixels. But a pixel may be the first of its
#   block and look to the last: up to $2^D - 1$ more.
#
# Predict: what is $m$ for our network, with $D = 2$? Add up with a pencil.

# %%
far = ...
### BEGIN SOLUTION
far = 23
### END SOLUTION
predict("margin at depth 2", far)

# %%
spread = []
for column in range(200, 204):  # the four places in a block
    poisoned = x.copy()
    poisoned[0, 0, 32, column] = np.nan
    with no_grad(), model.evaluating():
        reached = np.isnan(model(poisoned).numpy()).any(axis=(0, 1, 2))
    columns = np.flatnonzero(reached)
    spread += [column - columns[0], columns[-1] - column]
print("reach to the left and right from each place:", *map(int, spread))
reveal("margin at depth 2", max(spread))

# %% [markdown]
# ### Exercise 1: the margin


# %%
def margin(depth):
    """Return how many pixels an output pixel of a padded UNet looks each way."""
    ### BEGIN SOLUTION
    convolutions = sum(4 * 2 ** (k - 1) for k in range(1, depth + 1)) + 2 * 2**depth
    return convolutions + 2**depth - 1
    ### END SOLUTION


# %%
checks.margin(margin)

# %%
print("depth 1 to 5:", [margin(depth) for depth in range(1, 6)])

# %% [markdown]
# So this is how the number of layers and the size of images are related. The sum is $7\cdot 2^D - 5$: each level more
# doubles what a tile must overlap.
#
# ## Where to cut
#
# Beside a cut, the outermost $m$ values of a tile are not to be trusted: zeros were padded where the image goes on.
# So neighbouring tiles must overlap by at least $2m$. Then every pixel is $m$ away from the cuts in at least one
# tile.
#
# A second condition: tiles must begin at multiples of $2^D$. Otherwise the poolings form other blocks than in the
# whole image, and the results differ a little everywhere.
#
# ### Exercise 2: the beginnings
#
# Go on by `tile - overlap`, rounded *down* to a multiple of `step` $= 2^D$. The last tile ends where the image ends,
# and so overlaps more. `size` and `tile` are multiples of `step`. If one tile holds the image, there is one.


# %%
def tile_starts(size, tile, overlap, step):
    """Return the list of the first columns of all tiles, in order, none twice."""
    ### BEGIN SOLUTION
    if tile >= size:
        return [0]
    stride = (tile - overlap) // step * step
    return [*range(0, size - tile, stride), size - tile]
    ### END SOLUTION


# %%
checks.tile_starts(tile_starts)

# %% [markdown]
# Predict: how many tiles of 128 columns does the strip of 384 need, with $m = 23$?

# %%
tiles_needed = ...
### BEGIN SOLUTION
tiles_needed = 5
### END SOLUTION
predict("tiles of 128 for 384 columns", tiles_needed)

# %%
starts = tile_starts(384, 128, 2 * margin(2), 4)
reveal("tiles of 128 for 384 columns", len(starts))
figure, axes = plt.subplots(figsize=(9, 2), layout="constrained")
for row, start in enumerate(starts):
    axes.broken_barh([(start, 128)], (row, 0.8), color=INPUT, alpha=0.25)
    first, last = start + (23 if start else 0), start + 128 - (23 if start < 256 else 0)
    axes.broken_barh([(first, last - first)], (row, 0.8), color=OUTPUT)
axes.set(xlim=(0, 384), yticks=[], xlabel="column (green: can be trusted, pale: not)")
axes.invert_yaxis()
plt.show()

# %% [markdown]
# ## Joining
#
# Let tile $t$ give $y_t$ and count with a weight $w_t \ge 0$. At each pixel, over the tiles that cover it,
#
# $$y = \frac{\sum_t w_t\, y_t}{\sum_t w_t} \qquad (1)$$
#
# The weights decide everything. Two kinds:
#
# - **Trusted:** 0 for the outermost $m$ values beside a cut, 1 elsewhere. The edge of the *image* is no cut: the
#   whole image was padded there, too.
# - **Gaussian** (nnU-Net: Isensee et al., 2021), for tiles of $L$ columns that overlap too little: $w_i =
#   \exp\left(-\tfrac12 \left(\frac{i - (L-1)/2}{L/8}\right)^2\right)$ for $i = 0 \dots L-1$. Errors remain, but seams
#   fade.
#
# ### Exercise 3, 4 and 5: join, and the weights


# %%
def join(outputs, starts, width, weights):
    """Return (1) as (N, K, H, width).

    For each start there is an output (N, K, H, L) and an array of weights (L,).
    """
    ### BEGIN SOLUTION
    total, weight = np.zeros((*outputs[0].shape[:3], width)), np.zeros(width)
    for y, start, w in zip(outputs, starts, weights, strict=True):
        total[..., start : start + len(w)] += w * y
        weight[start : start + len(w)] += w
    return total / weight
    ### END SOLUTION


# %%
def trusted(length, margin, cut_before, cut_after):
    """Return (length,) weights 1 and 0, for a tile that was cut on one side or both."""
    w = np.ones(length)
    ### BEGIN SOLUTION
    if cut_before:
        w[:margin] = 0
    if cut_after:
        w[length - margin :] = 0
    ### END SOLUTION
    return w


def gaussian(length):
    """Return (length,) weights of a Gaussian around the middle."""
    ### BEGIN SOLUTION
    i = np.arange(length)
    return np.exp(-0.5 * ((i - (length - 1) / 2) / (length / 8)) ** 2)
    ### END SOLUTION


# %%
checks.join(join)
checks.trusted(trusted)
checks.gaussian(gaussian)

# %% [markdown]
# Now the strip again, with tiles of 64 columns and four ways to join them. For each way: how far is the worst
# probability in each column from that of the whole strip?


# %%
def by_tiles(overlap, weights_of):
    starts = tile_starts(384, 64, overlap, 4)
    outputs = [run(x[..., start : start + 64]) for start in starts]
    return join(outputs, starts, 384, [weights_of(start) for start in starts])


def trusted_at(start):
    return trusted(64, margin(2), cut_before=start > 0, cut_after=start < 320)


ways = {
    "no overlap": by_tiles(0, lambda start: np.ones(64)),
    "half, plain mean": by_tiles(32, lambda start: np.ones(64)),
    "half, Gaussian": by_tiles(32, lambda start: gaussian(64)),
    "two margins, trusted": by_tiles(2 * margin(2), trusted_at),
}

# %%
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
for (name, y), colour in zip(ways.items(), (EXTRA, KERNEL, INPUT, OUTPUT), strict=True):
    off = np.abs(y - whole).max(axis=(0, 1, 2))
    axes.semilogy(np.maximum(off, 1e-9), color=colour, label=name)
    changed = (y.argmax(1) != whole.argmax(1)).sum()
    print(f"{name}: {changed} pixels change class, off by {off.max():.1e}")
axes.set(xlabel="column", ylabel="largest difference", xlim=(0, 383), ylim=(1e-9, 2))
figure.legend(loc="outside upper center", ncols=4, fontsize=8)
plt.show()

# %% [markdown]
# With two margins (green, all along the bottom) the tiles *are* the whole image, but for rounding. It costs: here each pixel is computed four
# times. With tiles of 512 it would be hardly more than once. `tinyunet predict --tile 512` does all this in both
# directions, and a file that is larger than the memory is read and written in strips.
#
# ## Why tile at all: bytes
#
# In a forward pass maps come and go. In training they stay: backward needs them. Count the maps of a level, for
# blocks of convolution, normalisation and ReLU:
#
# - A normalisation keeps what it was given, a convolution too. So each convolution of a block leaves two maps behind:
#   its own output and the ReLU's. An encoder block leaves 4, a decoder block 4.
# - Joining with the skip makes 2 more.
#
# That is 10 at each of the levels 1 to $D$, and 4 at the bottom. A map of level $k$ has $N \cdot B\,2^{k-1} \cdot
# \frac{H}{2^{k-1}} \cdot \frac{W}{2^{k-1}}$ numbers of 4 bytes, for $N$ images and $B$ *base channels*, those of level
# 1. The rest is small.
#
# Predict: at depth 3, what percentage of it all belongs to level 1?

# %%
share = ...
### BEGIN SOLUTION
share = 56
### END SOLUTION
predict("percent of the memory at level 1", share)

# %% [markdown]
# ### Exercise 6: forecast


# %%
def training_bytes(base, depth, N, H, W):
    """Return the bytes of all maps that a training step keeps, by the rule above."""
    ### BEGIN SOLUTION
    total = 0
    for k, maps in enumerate([10] * depth + [4]):
        total += 4 * maps * N * base * 2**k * (H / 2**k) * (W / 2**k)
    return total
    ### END SOLUTION


# %%
checks.training_bytes(training_bytes)

# %%
level_1 = 4 * 10 * 2 * 16 * 64 * 64  # 10 maps, N = 2, base 16
percent = 100 * level_1 / training_bytes(16, 3, 2, 64, 64)
reveal("percent of the memory at level 1", percent, tolerance=0.05)


# %%
def measure(base, depth, N, side):
    """Return NumPy's peak in a training step and the library's forecast, in bytes."""
    model, images = UNet(1, 2, base, depth), np.zeros((N, 1, side, side), np.float32)
    tracemalloc.start()
    F.cross_entropy(model(images), np.zeros((N, side, side), int)).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, bytes_of_step(model, F.cross_entropy, (N, side, side))


cases = [(8, 2, 2, 64), (16, 2, 2, 64), (8, 3, 4, 64), (16, 2, 1, 128), (8, 4, 1, 128)]
peaks, theirs = np.array([measure(*case) for case in cases]).T
ours = np.array([training_bytes(*case, case[-1]) for case in cases])
print("your forecast / measured:", (ours / peaks).round(2))
print("the library's / measured:", (theirs / peaks).round(2))

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
place = np.arange(len(cases))
for shift, values, colour, name in (
    (-0.27, peaks, "#999999", "measured"),
    (0, ours, KERNEL, "yours"),
    (0.27, theirs, OUTPUT, "library's"),
):
    axes.bar(place + shift, values / 2**20, 0.25, color=colour, label=name)
labels = [f"base {b}\ndepth {d}\n{N} x {s} x {s}" for b, d, N, s in cases]
axes.set_xticks(place, labels, fontsize=8)
axes.set_ylabel("MiB")
axes.legend()
plt.show()

# %% [markdown]
# A sum of five lines, and it is right within 20 %. The library adds weights, gradients on their way, and who lives
# when. Every `tinyunet train` prints its forecast before the first step.
#
# The article (9.3) advises to adjust depth and kernels. Your formula says what that costs: one level more hardly any
# memory ($20 - 16/2^D$ maps of level 1 in all), but four times the weights and twice the margin.
#
# ## Looking several times
#
# A nucleus is a nucleus in the mirror. Training showed the network mirror images, so one may ask it about the image,
# its mirror images left to right, top to bottom and both, *mirror the answers back*, and take the mean: **test-time
# augmentation**.
#
# ### Exercise 7: four looks
#
# The last two axes are rows and columns: `x[..., ::-1]` mirrors left to right.


# %%
def four_looks(network, x):
    """Return the mean answer to four mirror images of x (N, C, H, W), mirrored back."""
    ### BEGIN SOLUTION
    total = 0
    for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        mirrored = np.ascontiguousarray(x[..., ::a, ::b])
        total = total + network(mirrored)[..., ::a, ::b]
    return total / 4
    ### END SOLUTION


# %%
checks.four_looks(four_looks)

# %%
test = Toy("cells", count=16, size=(64, 64), seed=1)
images = np.stack([normalize(sample.image) for sample in test])
answers = {"one look": run(images), "four looks": four_looks(run, images)}
for name, p in answers.items():
    scores = Scores(test.class_names)
    for labels_found, sample in zip(p.argmax(1), test, strict=True):
        scores.add(labels_found, sample.mask)
    _, nucleus, border = scores.mean()
    print(f"{name}: mean Dice of nucleus {nucleus:.3f}, of border {border:.3f}")
shown = {"the image": images[0, 0]}
shown |= {f"{name}: P(border)": p[0, 2] for name, p in answers.items()}
difference = np.abs(answers["one look"] - answers["four looks"])
show_images(shown | {"where they differ": difference[0, 2]}, limits=(0, 1))

# %% [markdown]
# Four times the time, for a little more. Where the looks differ, the network is unsure; lesson 13 makes a map of it.
#
# ## Any scanner?
#
# The network takes any *number* of pixels. It does not take any *size* of a pixel. It learnt nuclei that are some 12
# pixels wide. Below, the same kind of nuclei from finer scanners: 128 x 128 and 256 x 256 pixels show what 64 x 64
# showed. Predict the object F1 (lesson 10) with pixels four times as fine, given that it is 0.75 at the trained size.
# Within 0.15 or so counts.

# %%
at_256 = ...
### BEGIN SOLUTION
at_256 = 0.45
### END SOLUTION
predict("object F1 with pixels four times as fine", at_256)


# %%
def object_f1(side, resample):
    scores = Scores(["background", "nucleus"], detailed=True)
    for sample in Toy("cells", count=8, size=(side, side), seed=1):
        k = side // 64 if resample else 1
        squares = sample.image.reshape(1, side // k, k, side // k, k)
        image = squares.mean(axis=(2, 4))  # k x k pixels become one
        found = (segmenter.predict(image) == 1).astype(int).repeat(k, 0).repeat(k, 1)
        scores.add(found, (sample.mask == 1).astype(int))
    return scores.mean("object_f1")[1]


finer = (64, 128, 256)
as_it_comes = [object_f1(side, resample=False) for side in finer]
resampled = [object_f1(side, resample=True) for side in finer]
reveal("object F1 with pixels four times as fine", as_it_comes[2], tolerance=0.35)

# %%
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(finer, as_it_comes, "o-", color=EXTRA, label="as it comes")
axes.plot(finer, resampled, "o-", color=OUTPUT, label="resampled first")
axes.set(xlabel="pixels across the same field of view", ylabel="object F1 of nuclei")
axes.set(ylim=(0, 1), xticks=finer)
axes.legend()
plt.show()

# %% [markdown]
# Averaged down to the pixels that the network was trained with, the finer images are nearly as good as its own. Files
# say how large their pixels are; the library keeps that as the `spacing` of a sample and measures distances with it,
# but it does *not* resample: do it before, for training and use alike.
#
# ## What goes wrong in practice
#
# **Each tile normalised by itself.** Then black is something else in every tile. Below is a strip whose right half is
# empty but for noise. Normalise first, then cut.

# %%
half = strip.image.copy()
half[..., 192:] = np.random.default_rng(0).normal(14, 14, (1, 64, 192)).clip(0)
tiles = [half[..., k : k + 64] for k in range(0, 384, 64)]
first = run(normalize(half)[None])
each = np.concatenate([run(normalize(tile)[None]) for tile in tiles], axis=3)
both = {"normalised, then cut": first, "each tile normalised": each}
show_strips({name: painted(y, half) for name, y in both.items()})
for name, y in both.items():
    found = np.count_nonzero(y[0].argmax(0)[:, 192:])
    print(f"{name}: {found} pixels found in the empty half")

# %% [markdown]
# - **Too little overlap** for the depth. At depth 4 the margin is 107, and tiles of 256 have little left. `tinyunet
#   predict` says so and blends with Gaussians.
# - **Networks that see everything.** Group normalisation takes its mean over the image, so no overlap makes tiles
#   exact. The library knows it, and says it.
# - **Objects larger than the margin.** A tile is exact, and still the network may need more context than it was built
#   to see.
# - **Another scanner.** Files of scanners say how large a pixel is. SimpleITK, which the article names in section 7,
#   reads it; the library cuts volumes by it, measures surfaces in millimetres and writes masks that lie over the scan.
# - **Out of memory** in training: `--recompute`, smaller batches with `--accumulate`, or crops with `--size`. Depth
#   is not the culprit, as you have seen.
#
# ## Recap
#
# A pixel of a UNet of depth $D$ looks $7 \cdot 2^D - 5$ pixels far. Tiles that overlap by twice that, begin at
# multiples of $2^D$, and drop what lies beside a cut give what the whole image gives. Memory belongs to the first
# level. The number of pixels is free; their size is not.
#
# Three questions to take along:
# 1. The paper's unpadded network turns 572 into 388. How far does it look, and why do its tiles need no weights?
# 2. Which tile length makes each pixel be computed at most twice (in one direction), at depth 4?
# 3. Four looks take the mean of probabilities. What would a vote of four labels lose?
