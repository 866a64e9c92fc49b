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

from tinyunet import Module, ShapeError, UNet, no_grad
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.glass import draw_graph
from tinyunet.nn import Conv2d, MaxPool2d, ReLU, Sequential
from tinyunet.nn.module import watching
from tinyunet.optim import Adam
from tinyunet.plot import EXTRA, INPUT, KERNEL, MISSED, OUTPUT, RIGHT, paint
from tinyunet.teaching import predict, reveal
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
    trips[f"{times} down, {times} up"] = F.upsample_nearest2d(F.avg_pool2d(mask[None, None], scale), scale=scale).data[
        0, 0
    ]
show_images(trips, columns=5, limits=(0, 1))

# %% [markdown]
# A network must go down to see wide, and on the way it loses what it must draw. How can it have both?
#
# The answer has the shape of a U. The article says it in section 2.1: an *encoder* of convolutions and poolings goes
# down, a *decoder* goes up again, and a *concatenation* joins maps of both. That is right. Section 5 then gives a
# program. Read it as you would read a colleague's: line by line, with a size in mind. (Its comments are translated.)
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
    """Return the heights of enc1, enc2, enc3, enc4 in the article's listing, as a list."""
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


class Listing(Module):
    def __init__(self, in_channels, out_channels, w=64):
        self.encoder1, self.encoder2 = self.conv_block(in_channels, w), self.conv_block(w, 2 * w)
        self.encoder3, self.encoder4 = self.conv_block(2 * w, 4 * w), self.conv_block(4 * w, 8 * w)
        self.decoder4 = self.conv_block(8 * w + 4 * w, 4 * w)
        self.decoder3 = self.conv_block(4 * w + 2 * w, 2 * w)
        self.decoder2 = self.conv_block(2 * w + w, w)
        self.decoder1 = Conv2d(w, out_channels, 1, rng=rng)

    def conv_block(self, C, O):
        first, second = Conv2d(C, O, 3, padding=1, rng=rng), Conv2d(O, O, 3, padding=1, rng=rng)
        return Sequential(first, ReLU(), second, ReLU(), MaxPool2d(2))

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
    """Run a network on a square image; return the blocks that finished, with their heights, and the error."""
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
reveal("sizes from 1 to 64 for which the listing runs", sum(not error for _, error in tried.values()))
for size in (8, 16, 64):
    print(f"{size}: {tried[size][0]}\n    {tried[size][1]}")

# %%
figure, axes = plt.subplots(figsize=(10, 3), layout="constrained")
steps = [
    "encoder1",
    "encoder2",
    "encoder3",
    "encoder4",
    "cat in decoder4",
    "cat in decoder3",
    "cat in decoder2",
    "the end",
]
reached = [len(blocks) for blocks, _ in tried.values()]
axes.bar(list(tried), np.add(reached, 0.5), bottom=-0.5, color=[MISSED if r < 4 else EXTRA for r in reached])
axes.axhline(7, color=OUTPUT, lw=2)
axes.set(xlabel="height and width of the image", yticks=range(8), yticklabels=steps, xlim=(0, 65), ylim=(-0.5, 7.3))
axes.set_title("where the article's listing stops (blue: nothing left to pool; red: heights differ)", fontsize=10)
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
net = UNet(1, 1, 2, 3, up="nearest", norm=None)  # its blocks end without a pooling


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


print("pools between levels   skip before pooling   enlarges")
for switches in np.ndindex(2, 2, 2):
    try:
        outcome = "runs, " + " x ".join(map(str, attempt(np.zeros((1, 1, 64, 64), np.float32), *switches).shape[2:]))
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
    """Return the scores of a network with the article's blocks; heights and widths are multiples of 8."""
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
# The library's `UNet.article()` is this repair. Predict: how many of the listing's 7.8 million parameters have another
# name, another shape, or are missing in it?

# %%
changed = ...
### BEGIN SOLUTION
changed = 0
### END SOLUTION
predict("parameters changed by the repair", changed)

# %%
listing, whole = Listing(1, 1), UNet.article(1, 1)
state, new = listing.state_dict(), whole.state_dict()
different = {name for name in state.keys() | new.keys() if name not in state or name not in new}
different |= {name for name in state.keys() & new.keys() if state[name].shape != new[name].shape}
reveal("parameters changed by the repair", len(different))
whole.load_state_dict(state)
scan = Toy("tumour", count=1, size=(64, 64))[0].image[None] / 255
with no_grad():
    same = np.abs(repaired(whole, scan).data - whole(scan).data).max()
print(
    f"{listing.parameter_count():,} parameters, {whole.parameter_count():,} after the repair, order kept: {list(state) == list(new)}"
)
print(f"with the listing's weights, UNet.article() against your forward pass: largest difference {same}")

# %%
figure, panels = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", width_ratios=(2, 3), sharey=True)
broken = tried[64][0]
mended = [block for block in try_it(whole, 64)[0] if block[0][:2] in ("en", "de")]
for axes, blocks, joins in ((panels[0], broken, [(3, 2)]), (panels[1], mended, [(2, 4), (1, 5), (0, 6)])):
    for n, (name, height) in enumerate(blocks):
        axes.bar(n, height, bottom=-height / 2, width=0.55, color=INPUT if name[0] == "e" else OUTPUT)
        axes.text(n, -height / 2 - 2, f"{name}\n{height}", ha="center", va="top", fontsize=8)
    for a, b in joins:
        fits, top = blocks[a][1] == blocks[b][1], blocks[min(a, b)][1] / 2 + 4
        colour, text = (OUTPUT, "=") if fits else (EXTRA, "≠")
        axes.annotate("", (b, top), (a, top), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
        axes.text((a + b) / 2, top + 1, f"{blocks[a][1]} {text} {blocks[b][1]}", ha="center", color=colour)
    axes.set(xlim=(-0.6, len(blocks) - 0.4), ylim=(-48, 46))
    axes.axis("off")
panels[0].set_title("the listing: stops at its first join", fontsize=10)
panels[1].set_title("repaired: the same blocks, with pools between and enlargements before the joins", fontsize=10)
plt.show()

# %% [markdown]
# Pooling and repetition have no weights, and the article's channel numbers (512 + 256, 256 + 128, 128 + 64) were those
# of the repaired network all along. Weights that somebody made from the listing load into it.
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
small = UNet(1, 1, 4, 3, up="nearest", norm=None)
for H, W in ((64, 64), (50, 77), (9, 130), (1, 1)):
    x = np.random.default_rng(0).random((1, 1, H, W), np.float32)
    with no_grad():
        y = run_any_size(lambda x: repaired(small, x), x, 3)
        print(f"{H} x {W} -> {y.shape[2]} x {y.shape[3]}, same as the library: {np.array_equal(y.data, small(x).data)}")

# %% [markdown]
# ## Without padding: 572 to 388
#
# The network of the paper (Ronneberger et al., 2015) does not pad its convolutions, so that no output ever saw an
# invented pixel. Each 3 x 3 convolution then takes two rows away. The skip is larger than the map it is joined with,
# and its middle is cut out.
#
# ### Exercise 4 and 5: crop the skip, follow the height
#
# Cut $H$ x $W$ pixels out of the middle of the skip. Then follow the height: at each of $D$ levels two convolutions and
# a pooling, at the bottom two convolutions, and on the way up $D$ times a doubling and two convolutions. A height that
# is odd before a pooling, or that falls below 1, is not allowed: return None.


# %%
def crop_skip(skip, H, W):
    """Return the middle H x W pixels of an array (N, C, larger, larger); if the rows to cut are odd, one more below."""
    ### BEGIN SOLUTION
    top, left = (skip.shape[2] - H) // 2, (skip.shape[3] - W) // 2
    return skip[:, :, top : top + H, left : left + W]
    ### END SOLUTION


def unpadded_height(H, depth):
    """Return the height of the scores of an unpadded UNet, or None if H does not fit."""
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
# not depend on them. Every bar is the output of one layer, as it came out. Before you run it, predict the height of the
# deepest map.

# %%
deepest = ...
### BEGIN SOLUTION
deepest = 28
### END SOLUTION
predict("rows of the deepest map for 572", deepest)

# %%
paper, ran = UNet(1, 2, 4, 4, padding="valid", norm=None), []
with no_grad(), watching(lambda name, layer, y: ran.append((name, type(layer).__name__, y.shape))):
    paper(np.zeros((1, 1, 572, 572), np.float32))
shapes = [(name, kind, shape) for name, kind, shape in ran if kind in ("Conv2d", "MaxPool2d", "ConvTranspose2d")]
reveal("rows of the deepest map for 572", min(shape[2] for _, _, shape in shapes))
print(
    f"your function: 572 -> {unpadded_height(572, 4)}; the run: {shapes[-1][2][2]}; UNet.paper().next_size(573): {paper.next_size(573)}"
)

# %%
colours = {"Conv2d": OUTPUT, "MaxPool2d": "#999999", "ConvTranspose2d": KERNEL}
figure, axes = plt.subplots(figsize=(11, 4.8), layout="constrained")
level, skips = 0, {}
for n, (_, kind, shape) in enumerate(shapes):
    level += {"MaxPool2d": 1, "ConvTranspose2d": -1}.get(kind, 0)
    width, height = 0.3 + 0.06 * np.sqrt(shape[1]), shape[2] / 700
    axes.add_patch(plt.Rectangle((n - width / 2, -level - height / 2), width, height, color=colours[kind]))
    axes.text(n, -level - height / 2 - 0.04, str(shape[2]), ha="center", va="top", fontsize=8)
    if kind == "ConvTranspose2d":
        start, high = skips[level]
        arrow = {"arrowstyle": "->", "color": INPUT}
        axes.annotate("", (n - 0.4, -level), (start + 0.4, -level), arrowprops=arrow)
        axes.text(n - 0.6, -level + 0.04, f"{high} cut to {shape[2]}", ha="right", fontsize=8, color=INPUT)
    elif kind == "Conv2d":
        skips[level] = n, shape[2]
axes.set(xlim=(-0.5, len(shapes) + 0.5), ylim=(-4.3, 0.5))
axes.axis("off")
axes.set_title("heights, from a run (green: convolution, grey: pooling, orange: transposed, blue: skip)", fontsize=10)
plt.show()

# %% [markdown]
# 184 rows are lost, 92 on each side. To segment a whole slide one cuts it into tiles that overlap by so much; that is
# lesson 11. The numbers under the bars are those of figure 1 of the paper.
#
# ## What the skips are for
#
# Back to the first picture. Two networks, the same layers, the same starting weights, the same data. In one the skips
# are multiplied by 0. Each learns for a few seconds to draw vessels (how learning works is lesson 07 to 09).


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
    samples = Toy("vessels", count, size=(64, 64), seed=seed)
    return np.stack([s.image for s in samples]) / 255 - 0.5, np.stack([s.mask for s in samples])


# %% [markdown]
# The network with skips will reach a Dice of about 0.75 on new images (1 is perfect; lesson 10 defines it). Predict the
# Dice of the one without. Within a quarter counts as right.

# %%
dice_without = ...
### BEGIN SOLUTION
dice_without = 0.35
### END SOLUTION
predict("Dice without skips", dice_without)

# %%
(images, masks), (new_images, new_masks) = vessels(32, seed=0), vessels(16, seed=1)
found, dice, trained = {}, {}, {}
for title, kind in (("with skips", UNet), ("without skips", WithoutSkips)):
    network = trained[title] = kind(1, 2, 8, 3, seed=0)
    optimizer, order = Adam(network.parameters(), 1e-2), np.random.default_rng(0)
    for _ in range(6):
        for batch in order.permutation(32).reshape(8, 4):
            optimizer.zero_grad()
            F.cross_entropy_dice(network(images[batch]), masks[batch]).backward()
            optimizer.step()
    with no_grad(), network.evaluating():
        found[title] = network(new_images).data.argmax(axis=1)
    both = (found[title] * new_masks).sum()
    dice[title] = float(2 * both / (found[title].sum() + new_masks.sum()))
reveal("Dice without skips", dice["without skips"], tolerance=0.25)
print({title: round(value, 2) for title, value in dice.items()})

# %%
pictures = {}
for n in (0, 3):
    truth = new_masks[n]
    pictures[f"scan {n}"] = new_images[n, 0]
    for title, labels in found.items():
        errors = np.where(labels[n] == 1, np.where(truth == 1, 1, 2), np.where(truth == 1, 3, 0))
        pictures[f"scan {n}, {title}"] = paint(new_images[n], errors, (RIGHT, EXTRA, MISSED), alpha=0.8)
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
outputs = {}
with no_grad(), trained["with skips"].evaluating(), watching(lambda name, layer, y: outputs.update({name: y.data[0]})):
    trained["with skips"](new_images[:1])
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
