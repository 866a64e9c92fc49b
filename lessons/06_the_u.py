# %% [markdown]
# # The U: read the article's network, watch it fail, repair it
#
# *Lesson 06 · about 60 minutes · before it: 04, pooling; 05, going back up*
#
# You will be able to
# - follow the size of a map through a network, and find from an error where it went wrong,
# - write the forward pass of a UNet, and say which weights a change touches,
# - run one network on images of any size, with and without padding,
# - show by an experiment what the skips are for.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Module, ShapeError, UNet, check_adjoint, no_grad
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.glass import draw_graph
from tinyunet.nn import Conv2d, MaxPool2d, ReLU, Sequential
from tinyunet.nn.module import watching
from tinyunet.optim import Adam
from tinyunet.plot import EXTRA, INPUT, KERNEL, MISSED, OUTPUT, RIGHT, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import network as checks
from tinyunet.teaching.figures import show_images

# %% [markdown]
# ## The question in one picture
#
# Lesson 04 went down by pooling, lesson 05 came back up. Here is the mask of the vessels in a toy retina, pooled one,
# two and three times by averaging, and enlarged again to its full size each time.

# %%
retina = Toy("vessels", count=1, size=(64, 64))[0]
mask = retina.mask.astype(float)
trips = {"the scan": retina.image[0] / 255, "its mask": mask}
for times in (1, 2, 3):
    scale = 2**times
    small = F.avg_pool2d(mask[None, None], scale)
    large = F.upsample_nearest2d(small, scale=scale)
    trips[f"{times} down, {times} up"] = large.data[0, 0]
show_images(trips, columns=5, limits=(0, 1))

# %% [markdown]
# A network must go down to see wide, and on the way it loses what it must draw. How can it have both?
#
# The answer has the shape of a U. The article says it in section 2.1: an *encoder* of convolutions and poolings goes
# down, a *decoder* goes up again, and a *concatenation* joins maps of both. (A **map** is what a layer gives out:
# channels, height, width.) That is right. Section 5 then gives a program. Read it as you would read a colleague's: line
# by line, with a size in mind. (Its comments are translated.)
#
# ```python
# import torch
# import torch.nn as nn
#
# class UNet(nn.Module):
#     def __init__(self, in_channels, out_channels):
#         super(UNet, self).__init__()
#
#         # encoder
#         self.encoder1 = self.conv_block(in_channels, 64)
#         self.encoder2 = self.conv_block(64, 128)
#         self.encoder3 = self.conv_block(128, 256)
#         self.encoder4 = self.conv_block(256, 512)
#
#         # decoder
#         self.decoder4 = self.conv_block(512 + 256, 256)
#         self.decoder3 = self.conv_block(256 + 128, 128)
#         self.decoder2 = self.conv_block(128 + 64, 64)
#         self.decoder1 = nn.Conv2d(64, out_channels, kernel_size=1)
#
#     def conv_block(self, in_channels, out_channels):
#         return nn.Sequential(
#             nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
#             nn.ReLU(),
#             nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1),
#             nn.ReLU(),
#             nn.MaxPool2d(2)
#         )
#
#     def forward(self, x):
#         # encoder
#         enc1 = self.encoder1(x)
#         enc2 = self.encoder2(enc1)
#         enc3 = self.encoder3(enc2)
#         enc4 = self.encoder4(enc3)
#
#         # decoder
#         dec4 = self.decoder4(torch.cat([enc4, enc3], dim=1))
#         dec3 = self.decoder3(torch.cat([dec4, enc2], dim=1))
#         dec2 = self.decoder2(torch.cat([dec3, enc1], dim=1))
#         dec1 = self.decoder1(dec2)
#
#         return dec1
# ```
#
# ## Follow one number
#
# Only one number matters here: the height. A 3 x 3 convolution with padding 1 keeps it, ReLU keeps it, `MaxPool2d(2)`
# makes $\lfloor H/2 \rfloor$ of it (lesson 04). `torch.cat` along `dim=1` stacks channels, and needs equal heights and
# widths. So does our `F.concat`.
#
# ### Exercise 1: the encoder's heights
#
# Each `conv_block` ends with a pooling. Which heights have `enc1` to `enc4` for an image with $H$ rows?


# %%
def encoder_heights(H):
    """Return the heights of enc1, enc2, enc3, enc4 in the listing, as a list."""
    ### BEGIN SOLUTION
    return [H // 2, H // 4, H // 8, H // 16]
    ### END SOLUTION


# %%
checks.encoder_heights(encoder_heights)

# %% [markdown]
# The decoder's first line joins `enc4` with `enc3`. Predict, with your function or by thinking: for how many of the
# sizes from 1 to 64 does the listing run to its end?

# %%
running = ...
### BEGIN SOLUTION
running = 0
### END SOLUTION
predict("sizes from 1 to 64 for which the listing runs", running)

# %% [markdown]
# Now the experiment. This is the listing with the layers of this library, name by name. The number of channels `w` is
# an argument, since heights do not depend on it.

# %%
rng = np.random.default_rng(0)


def conv_block(C, O):
    first = Conv2d(C, O, 3, padding=1, rng=rng)
    second = Conv2d(O, O, 3, padding=1, rng=rng)
    return Sequential(first, ReLU(), second, ReLU(), MaxPool2d(2))


# %%
class Listing(Module):
    def __init__(self, in_channels, out_channels, w=64):
        self.encoder1 = conv_block(in_channels, w)
        self.encoder2 = conv_block(w, 2 * w)
        self.encoder3 = conv_block(2 * w, 4 * w)
        self.encoder4 = conv_block(4 * w, 8 * w)
        self.decoder4 = conv_block(8 * w + 4 * w, 4 * w)
        self.decoder3 = conv_block(4 * w + 2 * w, 2 * w)
        self.decoder2 = conv_block(2 * w + w, w)
        self.decoder1 = Conv2d(w, out_channels, 1, rng=rng)

    def forward(self, x):
        enc1 = self.encoder1(x)
        enc2 = self.encoder2(enc1)
        enc3 = self.encoder3(enc2)
        enc4 = self.encoder4(enc3)
        dec4 = self.decoder4(F.concat([enc4, enc3]))
        dec3 = self.decoder3(F.concat([dec4, enc2]))
        dec2 = self.decoder2(F.concat([dec3, enc1]))
        return self.decoder1(dec2)


# %% [markdown]
# `watching` calls a function after every layer, so that we see how far it came before it stopped.


# %%
def try_it(network, size):
    """Run a network; return its finished blocks with their heights, and the error."""
    blocks = []

    def note(name, layer, y):
        if name and "." not in name:  # a block, not a layer inside it
            blocks.append((name, y.shape[2]))

    try:
        with no_grad(), watching(note):
            network(np.zeros((1, 1, size, size), np.float32))
    except ShapeError as error:
        return blocks, str(error)
    return blocks, ""


narrow = Listing(1, 1, w=2)
tried = {size: try_it(narrow, size) for size in range(1, 65)}
ran_through = sum(not error for _, error in tried.values())
reveal("sizes from 1 to 64 for which the listing runs", ran_through)
for size in (8, 16, 64):
    print(f"{size}: {tried[size][0]}\n    {tried[size][1]}")

# %%
figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
steps = [f"encoder{level}" for level in (1, 2, 3, 4)]
steps += [f"cat before decoder{level}" for level in (4, 3, 2)] + ["the end"]
reached = np.array([len(blocks) for blocks, _ in tried.values()])
colours = [MISSED if r < 4 else EXTRA for r in reached]
axes.bar(list(tried), reached + 0.5, bottom=-0.5, color=colours)
axes.axhline(7, color=OUTPUT, lw=2)
axes.set(xlabel="height and width of the image", xlim=(0, 65), ylim=(-0.5, 7.3))
axes.set_yticks(range(8), steps)
why = "blue: nothing left to pool; red: heights differ"
axes.set_title(f"where the article's listing stops ({why})", fontsize=10)
plt.show()

# %% [markdown]
# No image is small enough or large enough. Below 16 pixels a pooling has nothing left. From 16 on the first join fails,
# because `enc4` has half the height of `enc3`, whatever the size: $\lfloor H/16 \rfloor$ is never $\lfloor H/8 \rfloor$
# unless both are 0.
#
# It is an easy mistake to make and to overlook: `__init__` runs, the layers have sensible channels, nothing complains
# until a picture goes in. So a habit: **run every network once, on zeros, in the minute in which it was written.**
#
# ## What is wrong
#
# Three things. Section 2.1 of the article has the first and the third right: there only the encoder pools, and the
# decoder enlarges.
#
# 1. `conv_block` contains the pooling, so `encoder4` pools too and **the decoder pools**. Only the way from one encoder
#    level to the next should.
# 2. The maps that are joined are taken **after** the pooling, when their detail is gone.
# 3. **Nothing enlarges**.
#
# Do we need all three repairs? With three switches there are eight networks. Here all eight try an image of 64 x 64.

# %%
# One channel in and one out; the blocks of the library's UNet end without a pooling.
net = UNet(1, 1, base_channels=2, depth=3, up="nearest", norm=None)


def attempt(x, pool_between, skip_before, enlarge):
    skips = []
    for level in (1, 2, 3, 4):
        before = x = getattr(net, f"encoder{level}")(x)
        if level < 4 or not pool_between:
            x = F.max_pool2d(x, 2)
        skips.append(before if skip_before else x)
    for level in (4, 3, 2):
        x = F.upsample_nearest2d(x, scale=2) if enlarge else x
        x = getattr(net, f"decoder{level}")(F.concat([x, skips[level - 2]]))
        x = x if pool_between else F.max_pool2d(x, 2)
    return net.decoder1(x)


# %%
black = np.zeros((1, 1, 64, 64), np.float32)
print("pools between levels   skip before pooling   enlarges")
for switches in np.ndindex(2, 2, 2):
    try:
        H, W = attempt(black, *switches).shape[2:]
        outcome = f"runs, {H} x {W}"
    except ShapeError as error:
        outcome = "stops, " + str(error).split("got ")[1].split(";")[0]
    print("".join(f"{'yes' if on else 'no':22}" for on in switches), outcome)

# %% [markdown]
# Only the last one runs. With one or two of the repairs the error moves to another line, or changes its numbers.
#
# ### Exercise 2: the repaired forward pass
#
# Write it without loops, as the listing does. `net.encoder1` to `net.encoder4` and `net.decoder4` to `net.decoder2` are
# blocks *without* pooling, `net.decoder1` is the last convolution. You need `F.max_pool2d(x, 2)`,
# `F.upsample_nearest2d(x, scale=2)` and `F.concat([deep, skip])`, in that order, as in the listing.


# %%
def repaired(net, x):
    """Return the scores of a network with the article's blocks; 8 divides H and W."""
    ### BEGIN SOLUTION
    enc1 = net.encoder1(x)
    enc2 = net.encoder2(F.max_pool2d(enc1, 2))
    enc3 = net.encoder3(F.max_pool2d(enc2, 2))
    enc4 = net.encoder4(F.max_pool2d(enc3, 2))
    dec4 = net.decoder4(F.concat([F.upsample_nearest2d(enc4, scale=2), enc3]))
    dec3 = net.decoder3(F.concat([F.upsample_nearest2d(dec4, scale=2), enc2]))
    dec2 = net.decoder2(F.concat([F.upsample_nearest2d(dec3, scale=2), enc1]))
    return net.decoder1(dec2)
    ### END SOLUTION


# %%
checks.repaired(repaired)

# %% [markdown]
# ## What the repair keeps
#
# The library's `UNet.article()` is this repair. A *state dict* lists all parameters of a network: name -> array.
# Predict: how many of the listing's 7.8 million parameters have another name, another shape, or are missing in it?

# %%
changed = ...
### BEGIN SOLUTION
changed = 0
### END SOLUTION
predict("parameters changed by the repair", changed)

# %%
listing, whole = Listing(1, 1), UNet.article(1, 1)
state, new = listing.state_dict(), whole.state_dict()
before = {(name, array.shape) for name, array in state.items()}
after = {(name, array.shape) for name, array in new.items()}
reveal("parameters changed by the repair", len(before ^ after))
whole.load_state_dict(state)
scan = Toy("tumour", count=1, size=(64, 64))[0].image[None] / 255
with no_grad():
    same = np.abs(repaired(whole, scan).data - whole(scan).data).max()
print(f"parameters: {listing.parameter_count():,}, then {whole.parameter_count():,},")
print(f"in the same order: {list(state) == list(new)}")
print("with the listing's weights, yours and UNet.article() differ by", same)


# %%
def draw_heights(axes, blocks, joins, title):
    for n, (name, height) in enumerate(blocks):
        colour, low = INPUT if name[0] == "e" else OUTPUT, -height / 2
        axes.bar(n, height, bottom=low, width=0.55, color=colour)
        axes.text(n, low - 2, f"{name}\n{height}", ha="center", va="top", fontsize=8)
    for a, b in joins:
        left, right, top = blocks[a][1], blocks[b][1], blocks[min(a, b)][1] / 2 + 4
        sign, colour = ("=", OUTPUT) if left == right else ("≠", EXTRA)
        arrow = {"arrowstyle": "->", "color": colour, "lw": 2}
        axes.annotate("", (b, top), (a, top), arrowprops=arrow)
        middle = (a + b) / 2
        axes.text(middle, top + 1, f"{left} {sign} {right}", ha="center", color=colour)
    axes.set(xlim=(-0.6, len(blocks) - 0.4), ylim=(-48, 46))
    axes.set_title(title, fontsize=10)
    axes.axis("off")


# %%
grid = {"width_ratios": (2, 3), "sharey": True}
figure, panels = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", **grid)
mended = [block for block in try_it(whole, 64)[0] if block[0][:2] in ("en", "de")]
draw_heights(panels[0], tried[64][0], [(3, 2)], "the listing: stops at its first join")
title = "repaired: pools between the blocks, enlargements before the joins"
draw_heights(panels[1], mended, [(2, 4), (1, 5), (0, 6)], title)
plt.show()

# %% [markdown]
# Each bar is as high as the map that a block gives out, blue in the encoder and green in the decoder; an arrow leads to
# a join. Pooling and repetition have no weights, and the article's channel numbers (512 + 256, 256 + 128, 128 + 64)
# were those of the repaired network all along. Weights that somebody made from the listing load into it.
#
# The library can draw what it ran. Each box is a block; click to unfold one.

# %%
draw_graph(whole, (1, 1, 64, 64))

# %% [markdown]
# ## Any size
#
# Question 9.1 of the article's appendix: how does a UNet treat images of different sizes? It answers: change the number
# of layers. That is not so. No weight depends on the size (lesson 02), and the same network takes them all, if every
# pooling finds an even number. The way: pad to the next multiple of $2^D$, run, crop back. Predict: at which height
# does `UNet.article`, with $D = 3$ poolings, run an image of 250 rows?

# %%
inside = ...
### BEGIN SOLUTION
inside = 256
### END SOLUTION
predict("rows inside for an image of 250", inside)

# %%
reveal("rows inside for an image of 250", whole.next_size(250))

# %% [markdown]
# ### Exercise 3: pad and crop
#
# `F.pad(x, (top, bottom, left, right), mode="edge")` repeats the pixels at the rim. `F.crop(y, margins)` cuts the same
# four margins off again. Put half of the missing rows on each side, and the odd one at the bottom or right. The network
# is any function that needs multiples of $2^D$.


# %%
def run_any_size(network, x, depth):
    """Return network(x) for an x (N, C, H, W) of any height and width."""
    ### BEGIN SOLUTION
    H, W = x.shape[2:]
    rows, columns = -H % 2**depth, -W % 2**depth
    margins = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    return F.crop(network(F.pad(x, margins, mode="edge")), margins)
    ### END SOLUTION


# %%
checks.run_any_size(run_any_size)

# %%
small = UNet(1, 1, base_channels=4, depth=3, up="nearest", norm=None)
for H, W in ((64, 64), (50, 77), (9, 130), (1, 1)):
    x = np.random.default_rng(0).random((1, 1, H, W), np.float32)
    with no_grad():
        yours = run_any_size(lambda x: repaired(small, x), x, 3).data
        same = np.array_equal(yours, small(x).data)
    print(f"{H} x {W} -> {yours.shape[2:]}, same as the library: {same}")

# %% [markdown]
# And backward? All three ops of this lesson only move numbers, so they are linear, and each gradient is an adjoint
# (lesson 02). A join cuts the gradient apart again. A crop surrounds it with zeros. Edge padding adds what the copies
# got to the pixel they were copied from.

# %%
x = np.random.default_rng(0).normal(size=(1, 2, 5, 6))
for name, op in {
    "concat": lambda x: F.concat([x, x]),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), mode="edge"),
    "crop": lambda x: F.crop(x, (1, 0, 2, 1)),
}.items():
    print(f"{name:6} against its adjoint: off by {check_adjoint(op, x):.1e}")

# %% [markdown]
# ## Without padding: 572 to 388
#
# The network of the paper (Ronneberger et al., 2015) does not pad its convolutions, so that no output ever saw an
# invented pixel. Each 3 x 3 convolution then takes two rows away. The *skip*, the map from the encoder, is larger than
# the map it is joined with, and its middle is cut out.
#
# ### Exercise 4 and 5: crop the skip, follow the height
#
# Cut $H$ x $W$ pixels out of the middle of the skip. Then follow the height: at each of $D$ levels two convolutions and
# a pooling, at the bottom two convolutions, and on the way up $D$ times a doubling and two convolutions. A height that
# is odd before a pooling, or that falls below 1, is not allowed: return None.


# %%
def crop_skip(skip, H, W):
    """Return the middle H x W pixels; of an odd number of rows cut one more below."""
    ### BEGIN SOLUTION
    top, left = (skip.shape[2] - H) // 2, (skip.shape[3] - W) // 2
    return skip[:, :, top : top + H, left : left + W]
    ### END SOLUTION


def unpadded_height(H, depth):
    """Return the height of an unpadded UNet's scores, or None if H does not fit."""
    ### BEGIN SOLUTION
    for _ in range(depth):
        H -= 4
        if H < 2 or H % 2:
            return None
        H //= 2
    H -= 4
    for _ in range(depth):
        H = 2 * H - 4
    return H if H > 0 else None
    ### END SOLUTION


# %%
checks.crop_skip(crop_skip)
checks.unpadded_height(unpadded_height)

# %% [markdown]
# Now draw the paper's figure from a run. The network below has four channels where the paper has 64, because heights do
# not depend on them. Every bar is the output of one layer, as it came out: as high as the map, and wider where there
# are more channels. Before you run it, predict the height of the deepest map.

# %%
deepest = ...
### BEGIN SOLUTION
deepest = 28
### END SOLUTION
predict("rows of the deepest map for 572", deepest)

# %%
paper = UNet(1, 2, base_channels=4, depth=4, padding="valid", norm=None)
colours = {"Conv2d": OUTPUT, "MaxPool2d": "#999999", "ConvTranspose2d": KERNEL}
shapes = []


def note(name, layer, y):
    if type(layer).__name__ in colours:
        shapes.append((type(layer).__name__, y.shape))


with no_grad(), watching(note):
    paper(np.zeros((1, 1, 572, 572), np.float32))
reveal("rows of the deepest map for 572", min(shape[2] for _, shape in shapes))
print(f"your function: 572 -> {unpadded_height(572, 4)}; the run: {shapes[-1][1][2]}")
print("the next size above 572 that fits:", paper.next_size(573))

# %%
figure, axes = plt.subplots(figsize=(11, 4.8), layout="constrained")
y, skips = 0, {}  # y falls by one at each pooling
for n, (kind, (_, C, H, _)) in enumerate(shapes):
    y += {"MaxPool2d": -1, "ConvTranspose2d": 1}.get(kind, 0)
    width, low = 0.3 + 0.06 * np.sqrt(C), y - H / 1400
    axes.bar(n, H / 700, bottom=low, width=width, color=colours[kind])
    axes.text(n, low - 0.04, str(H), ha="center", va="top", fontsize=8)
    if kind == "ConvTranspose2d":
        start, high = skips[y]
        arrow = {"arrowstyle": "->", "color": INPUT}
        axes.annotate("", (n - 0.4, y), (start + 0.4, y), arrowprops=arrow)
        style = {"ha": "right", "fontsize": 8, "color": INPUT}
        axes.text(n - 0.6, y + 0.04, f"{high} cut to {H}", **style)
    elif kind == "Conv2d":
        skips[y] = n, H
axes.set(xlim=(-0.5, len(shapes) + 0.5), ylim=(-4.3, 0.5))
axes.axis("off")
legend = "green: convolution, grey: pooling, orange: transposed, blue: skip"
axes.set_title(f"heights, from a run ({legend})", fontsize=10)
plt.show()

# %% [markdown]
# 184 rows are lost, 92 on each side. To segment a whole slide one cuts it into tiles that overlap by so much; that is
# lesson 11. The numbers under the bars are those of figure 1 of the paper.
#
# ## What the skips are for
#
# Back to the first picture. Two networks, the same layers, the same starting weights, the same data. In one the skips
# are multiplied by 0. Each learns for a few seconds to draw vessels (how learning works is lessons 07 to 09).


# %%
class WithoutSkips(UNet):
    def forward(self, x):
        skips = []
        for level in range(1, self.depth + 1):
            x = getattr(self, f"encoder{level}")(x)
            skips.append(0.0 * x)
            x = F.max_pool2d(x, 2)
        x = getattr(self, f"encoder{self.depth + 1}")(x)
        for level in range(self.depth + 1, 1, -1):
            x = F.concat([getattr(self, f"up{level}")(x), skips.pop()])
            x = getattr(self, f"decoder{level}")(x)
        return self.decoder1(x)


def vessels(count, seed):
    samples = [*Toy("vessels", count, size=(64, 64), seed=seed)]
    images = np.stack([s.image for s in samples]) / 255 - 0.5
    return images, np.stack([s.mask for s in samples])


# %% [markdown]
# The network with skips will reach a Dice of about 0.75 on new images (1 is perfect; lesson 10 defines it). Predict the
# Dice of the one without. Within a quarter counts as right. (`one_thread`: images this small are done before a second
# thread has begun, so the trainings of all lessons run on one core.)

# %%
dice_without = ...
### BEGIN SOLUTION
dice_without = 0.35
### END SOLUTION
predict("Dice without skips", dice_without)

# %%
(images, masks), (new_images, new_masks) = vessels(32, seed=0), vessels(16, seed=1)


@one_thread()
def train(network):
    optimizer, order = Adam(network.parameters(), 1e-2), np.random.default_rng(0)
    for _ in range(6):
        for batch in order.permutation(32).reshape(8, 4):
            optimizer.zero_grad()
            F.cross_entropy_dice(network(images[batch]), masks[batch]).backward()
            optimizer.step()
    return network


found, dice, trained = {}, {}, {}
for title, kind in (("with skips", UNet), ("without skips", WithoutSkips)):
    trained[title] = train(kind(1, 2, base_channels=8, depth=3, seed=0))
    with no_grad(), trained[title].evaluating():
        found[title] = trained[title](new_images).data.argmax(axis=1)
    both = (found[title] * new_masks).sum()
    dice[title] = float(2 * both / (found[title].sum() + new_masks.sum()))
reveal("Dice without skips", dice["without skips"], tolerance=0.25)
print({title: round(value, 2) for title, value in dice.items()})

# %%
pictures = {}
for n in (0, 3):
    truth = new_masks[n] == 1
    pictures[f"scan {n}"] = new_images[n, 0]
    for title, labels in found.items():
        painted = labels[n] == 1
        errors = 1 * (painted & truth) + 2 * (painted & ~truth) + 3 * (truth & ~painted)
        errors = paint(new_images[n], errors, (RIGHT, EXTRA, MISSED), alpha=0.8)
        pictures[f"scan {n}, {title}"] = errors
show_images(pictures, columns=3)

# %% [markdown]
# Green is found, blue is missed, red is wrong. Without skips the network knows roughly where vessels are and cannot
# draw them: everything it says has to pass through maps of 8 x 8 pixels. With skips the deep path says *what*, the skip
# says *where*.
#
# The last join shows it. Here are channels that the trained network joins there: two that came up from below, and two
# that the skip brought. What comes from below is the carpet of lesson 05, learned this time: this network enlarges by
# transposed convolutions.

# %%
outputs, network = {}, trained["with skips"]


def keep(name, layer, y):
    outputs[name] = y.data[0]


with no_grad(), network.evaluating(), watching(keep):
    network(new_images[:1])
halves = {"scan 0": new_images[0, 0]}
for title, name in (("from below", "up2"), ("by the skip", "encoder1")):
    strongest = outputs[name].std(axis=(1, 2)).argsort()[::-1][:2]
    halves |= {f"{title}, channel {c}": outputs[name][c] for c in strongest}
show_images(halves, columns=5)

# %% [markdown]
# ## What goes wrong in practice
#
# - **Nobody ran it.** Run a new network on zeros at once. `tinyunet summary RUN` and `UNet(...).summary(256)` do, and
#   print every shape.
# - **"Sizes of tensors must match"**, or our `ShapeError`: print the heights block by block, as `try_it` did. The last
#   one that is right is above the error, and the cause is often higher.
# - **Skips after the pooling** can be made to run too, with one enlargement more. Nothing complains then, and thin
#   things are missing.
# - **A state dict that does not load** names what is missing. `tinyunet convert FILE.pth OUT.safetensors` reads the
#   weights of the article's listing, and of one well-known UNet, into this library.
# - **Padding with zeros** instead of edge pixels draws a black frame that the network has never seen in training.
#
# ## Recap
#
# The article's prose describes a UNet, its listing does not run for any size: it pools in the decoder, takes the skips
# too late, and never enlarges. Repaired, it keeps each of its parameters. The network has no size of its own; padding
# to a multiple of $2^D$ makes every size fit. Skips carry the detail that pooling loses.
#
# Three questions to take along:
# 1. Train both networks twice as long. Does the gap close? Why can the network without skips become better at all?
# 2. The paper's network takes 572 and not 570. Which sizes near 200 does it take?
# 3. Instead of `F.concat` some networks add the skip. Which channel numbers change, and by how much does the parameter
#    count fall?
