# %% [markdown]
# # Pooling and seeing wider
#
# *Lesson 04 · about 50 minutes · before it: 02, convolution, index by index*
#
# You will be able to
# - write maximum and average pooling from the formula, for sizes that do not divide evenly too,
# - say where each of them sends its gradient, and what happens where two pixels are equal,
# - compute how far a network sees, and choose its depth by that,
# - predict what pooling does to a vessel one pixel wide.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from tinyunet import Tensor, UNet, check_adjoint, check_gradients
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.glass import provenance
from tinyunet.nn.summary import run_layers, seen_rows
from tinyunet.plot import GRADIENT, INPUT, OUTPUT
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import pooling as checks
from tinyunet.teaching.figures import show_arrays, show_images

# %% [markdown]
# ## The question in one picture
#
# One of these two rows shows a place inside a tumour, the other a place that is as bright and is not. In each picture
# the place is the middle. From left to right the window grows.

# %%
sample = Toy("tumour", count=4, size=(192, 192))[1]
scan, mask = sample.image[0] / 255, sample.mask
inside = tuple(np.argwhere(mask == 1).mean(axis=0).round().astype(int))
mean = F.avg_pool2d(scan[None, None], 5, stride=1, padding=2).data[0, 0]
difference = np.where(mask == 0, np.abs(mean - mean[inside]), np.inf)[35:-35, 35:-35]
outside = tuple(np.array(np.unravel_index(difference.argmin(), difference.shape)) + 35)
crops = {}
for letter, (i, j) in {"A": inside, "B": outside}.items():
    for half in (2, 9, 34):
        window = scan[i - half : i + half + 1, j - half : j + half + 1]
        crops[f"{letter}: {2 * half + 1} x {2 * half + 1} pixels"] = window
show_images(crops, columns=3, limits=(0, 1))

# %% [markdown]
# Nobody can tell from 5 x 5 pixels. From 69 x 69 it is plain. A 3 x 3 convolution sees 3 x 3 pixels. How does a network
# that is made of them come to see 69?
#
# ## The formula
#
# The article's section 4.2 cuts the image into squares of $k \times k$ pixels and keeps one number of each: the
# largest, or the mean.
#
# $$\text{Output}(i,j) = \max_{m=1}^{k}\max_{n=1}^{k} \text{Input}(i\cdot k+m-1,\; j\cdot k+n-1)$$
#
# $$\text{Output}(i,j) = \frac{1}{k^2}\sum_{m=1}^{k}\sum_{n=1}^{k} \text{Input}(i\cdot k+m-1,\; j\cdot k+n-1)$$
#
# Section 4.1 counted everything from 1. Here that does not work. Put $i = 1$, $k = 2$, and count the rows of an image
# of six from 1:

# %%
k, rows = 2, 6
from_one = [[i * k + m - 1 for m in range(1, k + 1)] for i in range(1, rows // k + 1)]
from_zero = [[i * k + m - 1 for m in range(1, k + 1)] for i in range(rows // k)]
print("i from 1, rows are 1 to 6: windows", from_one)
print("i from 0, rows are 0 to 5: windows", from_zero)

# %% [markdown]
# In the first reading row 1 is never looked at, and row 7 does not exist. The formula is right if $i$, $j$ and the
# pixels count from 0, and only $m$ and $n$ from 1. With $u = m-1$ and $v = n-1$ everything counts from 0, as in Python:
#
# $$y_{i,j} = \max_{0 \le u,v < k} x_{ik+u,\,jk+v} \qquad (1) \qquad\qquad y_{i,j} = \frac{1}{k^2}\sum_{u,v=0}^{k-1} x_{ik+u,\,jk+v} \qquad (2)$$
#
# The windows do not overlap: window $i$ begins in row $ik$. There are $\lfloor H/k \rfloor$ of them, from $i = 0$ on.
# Rows that fill no whole window are dropped.
#
# ## By hand

# %%
x = np.array([[1, 3, 0, 2], [5, 2, 2, 1], [0, 1, 7, 4], [2, 1, 6, 3.0]])
largest = F.max_pool2d(x[None, None], 2).data[0, 0]
mean = F.avg_pool2d(x[None, None], 2).data[0, 0]
frame = [(2, 2), (2, 3), (3, 2), (3, 3)]
show_arrays(
    {"x": x, "largest": largest, "mean": mean},
    ("input", "output", "output"),
    marks={"x": frame, "largest": [(1, 1)], "mean": [(1, 1)]},
)

# %% [markdown]
# Predict: an image of 7 x 7 pixels is pooled with $k = 2$. How many of its 49 pixels does no window look at?

# %%
unread = ...
### BEGIN SOLUTION
unread = 13
### END SOLUTION
predict("pixels of 7 x 7 that no window reads", unread)

# %%
seven = Tensor(np.arange(49.0).reshape(1, 1, 7, 7), requires_grad=True)
F.avg_pool2d(seven, 2).sum().backward()
reveal("pixels of 7 x 7 that no window reads", int((seven.grad == 0).sum()))
read = np.where(seven.grad[0, 0] > 0, 1, np.nan)
show_arrays({"x": seven.data[0, 0], "read by a window": read})

# %% [markdown]
# The last row and the last column. A network that enlarges the result again gets 6 x 6 pixels, not 7 x 7. Lesson 06 has
# to deal with that.
#
# ### Exercise 1 and 2: both poolings
#
# Write (1) and (2) for one image. Two loops choose the window; NumPy may do the rest. Sizes need not divide evenly, and
# pixels may be negative.


# %%
def max_pool(x, k):
    """Return y by formula (1); x is (H, W)."""
    ### BEGIN SOLUTION
    H, W = x.shape
    y = np.zeros((H // k, W // k))
    for i, j in np.ndindex(*y.shape):
        y[i, j] = x[i * k : i * k + k, j * k : j * k + k].max()
    return y
    ### END SOLUTION


def average_pool(x, k):
    """Return y by formula (2); x is (H, W)."""
    ### BEGIN SOLUTION
    H, W = x.shape
    y = np.zeros((H // k, W // k))
    for i, j in np.ndindex(*y.shape):
        y[i, j] = x[i * k : i * k + k, j * k : j * k + k].sum() / k**2
    return y
    ### END SOLUTION


# %%
checks.max_pool(max_pool)
checks.average_pool(average_pool)

# %% [markdown]
# Your maximum, applied to the scan again and again. All pictures are drawn at the same size, so the pixels grow.

# %%
pooled = {"192 x 192": scan}
for size in (96, 48, 24, 12):
    pooled[f"{size} x {size}"] = max_pool(list(pooled.values())[-1], 2)
show_images(pooled, columns=5, limits=(0, 1))

# %% [markdown]
# The head keeps its outline. A step of one pixel in the last picture is a step of 16 pixels in the first one. That is
# the point: what a 3 x 3 kernel sees there is wide.
#
# ## Where the gradient goes
#
# As in lesson 02, $g^y$ is the gradient that arrives at the output, and $g^x$ the one to hand on to the input.
#
# **Average.** Each pixel of a window enters (2) with the factor $1/k^2$. So each gets that share of what arrives at
# its window, and pixels without a window get nothing:
#
# $$g^x_{p,q} = \frac{1}{k^2}\; g^y_{\lfloor p/k \rfloor,\,\lfloor q/k \rfloor} \qquad (3)$$
#
# **Maximum.** Change a pixel that is not the largest by a little: nothing happens, its derivative is 0. Change the
# largest one: the output moves with it, its derivative is 1. So the winner gets everything.
#
# $$g^x_{p,q} = \begin{cases} g^y_{i,j} & \text{if } (p,q) \text{ is the winner of window } (i,j)\\ 0 & \text{otherwise}\end{cases} \qquad (4)$$
#
# **A tie.** If two pixels are equally large there is no derivative: raising one of them raises $y$, lowering it does
# not. A rule must choose. PyTorch and this library give everything to the *first* one, row by row and from left to
# right. Any rule is allowed that hands out $g^y$ once.
#
# Predict: an image of 4 x 4 equal pixels is max-pooled with $k = 2$, and the gradient 1 arrives at every output. How
# many pixels get a gradient that is not 0?

# %%
winners = ...
### BEGIN SOLUTION
winners = 4
### END SOLUTION
predict("equal pixels that get a gradient", winners)

# %%
flat = Tensor(np.full((1, 1, 4, 4), 3.0), requires_grad=True)
F.max_pool2d(flat, 2).sum().backward()
reveal("equal pixels that get a gradient", np.count_nonzero(flat.grad))
shown = {"x": flat.data[0, 0], "gy": np.ones((2, 2)), "gx": flat.grad[0, 0]}
show_arrays(shown, ("input", "gradient", "gradient"))

# %% [markdown]
# Equal pixels are not rare. Behind a ReLU whole regions are exactly 0.
#
# ### Exercise 3 and 4: both gradients
#
# For the maximum, `window.argmax()` gives the position of the first largest number in the flattened window, and
# `divmod(position, k)` makes $(u, v)$ of it.


# %%
def max_pool_gradient(x, gy, k):
    """Return gx by formula (4); ties go to the first pixel."""
    gx = np.zeros(x.shape)
    ### BEGIN SOLUTION
    for i, j in np.ndindex(*gy.shape):
        u, v = divmod(x[i * k : i * k + k, j * k : j * k + k].argmax(), k)
        gx[i * k + u, j * k + v] = gy[i, j]
    ### END SOLUTION
    return gx


def average_pool_gradient(gy, k, shape):
    """Return gx by formula (3); `shape` is that of x, and may not divide evenly."""
    gx = np.zeros(shape)
    ### BEGIN SOLUTION
    for i, j in np.ndindex(*gy.shape):
        gx[i * k : i * k + k, j * k : j * k + k] = gy[i, j] / k**2
    ### END SOLUTION
    return gx


# %%
checks.max_pool_gradient(max_pool_gradient)
checks.average_pool_gradient(average_pool_gradient)

# %%
gy = np.array([[1, -2], [3, 4.0]])
by_largest, by_mean = max_pool_gradient(x, gy, 2), average_pool_gradient(gy, 2, x.shape)
show_arrays(
    {"x": x, "gy": gy, "gx, largest": by_largest, "gx, mean": by_mean},
    ("input", "gradient", "gradient", "gradient"),
    marks={"x": [(1, 0), (0, 3), (2, 2)]},
)

# %% [markdown]
# Three winners are framed. The fourth window, top right, is a tie: it holds two twos, and the first of them won.
#
# ## Two proofs
#
# Average pooling is linear, so the adjoint of lesson 02 proves it exactly. Maximum pooling is not linear. Finite
# differences work, but only away from ties: with random numbers there are none.

# %%
rng = np.random.default_rng(0)
random = rng.normal(size=(1, 2, 7, 6))
by_adjoint = check_adjoint(lambda x: F.avg_pool2d(x, 2), random)
by_differences = check_gradients(lambda x: F.max_pool2d(x, 2), random)
print(f"average, adjoint:            off by {by_adjoint:.1e}")
print(f"maximum, finite differences: off by {by_differences:.1e}")
xs, gys = rng.normal(size=(7, 6)), rng.normal(size=(3, 3))
gxs = average_pool_gradient(gys, 2, xs.shape)
left, right = (average_pool(xs, 2) * gys).sum(), (xs * gxs).sum()
print(f"yours, adjoint:              {left:.12f} and {right:.12f}")

# %% [markdown]
# ## Seeing wider
#
# The *receptive field* $r$ of a layer is the width, in pixels of the image, of all that one of its outputs depends on.
# The *step* $t$ is how many pixels of the image lie between two neighbouring outputs. Before the first layer $r = 1$
# and $t = 1$. A layer with kernel $k$ and stride $s$ looks at $k$ neighbours, and the outermost of them lie $(k-1)\,t$
# apart:
#
# $$r \leftarrow r + (k-1)\,t, \qquad \text{then} \qquad t \leftarrow t \cdot s \qquad (5)$$
#
# A convolution of the UNet has $k = 3$, $s = 1$, a pooling $k = s = 2$. The order matters: the pooling itself still
# takes the small steps.
#
# ### Exercise 5: how far does it see?


# %%
def receptive_field(layers):
    """Return r after a list of layers, each a pair (k, s), by formula (5)."""
    ### BEGIN SOLUTION
    r, t = 1, 1
    for k, s in layers:
        r += (k - 1) * t
        t *= s
    return r
    ### END SOLUTION


# %%
checks.receptive_field(receptive_field)

# %% [markdown]
# The article's *encoder*, the half of its network that goes down, has eight convolutions of 3 x 3. Without any pooling
# they see 17 pixels: each adds two. Now put
# a pooling behind the second, the fourth and the sixth one. Predict how many pixels the eighth convolution sees. Guess
# before you calculate.

# %%
field = ...
### BEGIN SOLUTION
field = 68
### END SOLUTION
predict("field of eight convolutions with three poolings", field)

# %%
conv, pool = (3, 1), (2, 2)
plain, pooling = [conv] * 8, 3 * [conv, conv, pool] + [conv, conv]
reveal("field of eight convolutions with three poolings", receptive_field(pooling))
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for layers, label, colour in (
    (pooling, "with three poolings", OUTPUT),
    (plain, "convolutions only", INPUT),
):
    fields = [receptive_field(layers[:n]) for n in range(len(layers) + 1)]
    axes.plot(fields, marker="o", color=colour, label=label)
for n in (3, 6, 9):
    axes.axvspan(n - 0.5, n + 0.5, color="#dddddd", zorder=0)
axes.set(xlabel="layers passed (grey: a pooling)", ylabel="receptive field in pixels")
axes.legend()
plt.show()

# %% [markdown]
# A pooling itself adds little. It makes every later convolution count double. This is what section 2.1.1 of the article
# means by "pooling enlarges the receptive field", and it is right.
#
# Formula (5) is a promise about what *can* matter. Ask a real network what does. `provenance` marks every pixel that
# can change one number deep in the net, and its derivative. The network is a small UNet with random weights, before any
# training. Its `encoder1` is the first pair of convolutions; before each of the others stands one pooling more.

# %%
net = UNet(1, 1, 4, 3, norm=None, seed=1)
crop = scan[24:120, 48:144]
figure, panels = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for level, axes in enumerate(panels, 1):
    middle, layer = 48 // 2 ** (level - 1), f"encoder{level}.2"
    seen = provenance(net, crop[None, None], at=(0, 0, middle, middle), layer=layer)
    p, q = np.argwhere(seen.inputs.mask[0, 0]).T
    strength = np.abs(seen.inputs.gradient[0, 0])
    axes.imshow(crop, cmap="gray", alpha=0.35)
    colour = np.full((96, 96, 3), to_rgb(GRADIENT))
    axes.imshow(colour, alpha=np.sqrt(strength / strength.max()))
    place, height, width = (q.min() - 0.5, p.min() - 0.5), np.ptp(p) + 1, np.ptp(q) + 1
    axes.add_patch(plt.Rectangle(place, width, height, fill=False, color=INPUT, lw=2))
    axes.set_title(f"encoder{level}: {height} x {width}", fontsize=9)
    axes.axis("off")
plt.show()

# %% [markdown]
# The blue square is the receptive field, and the last one has the width you computed. The purple is the root of the
# derivative, so that small ones show: it is strong in the middle and fades to the rim. From the rim of the square only
# a few paths lead to the output, from its middle very many (Luo et al., 2016, *Understanding the effective receptive
# field*). So plan for a field that is clearly larger than what must be recognised.
#
# ### Exercise 6: choose a depth
#
# Each level of an encoder is two convolutions of 3 x 3, and a pooling of 2 x 2 leads to the next level. A network of
# depth $D$ has $D$ poolings and so $D+1$ levels. Return the smallest depth at which the last convolution of the deepest
# level sees at least `pixels` pixels. Depth 0, no pooling, is allowed.


# %%
def depth_for(pixels):
    """Return the smallest depth whose deepest level sees at least `pixels` pixels."""
    ### BEGIN SOLUTION
    depth = 0
    while receptive_field([(3, 1), (3, 1), (2, 2)] * depth + [(3, 1), (3, 1)]) < pixels:
        depth += 1
    return depth
    ### END SOLUTION


# %%
checks.depth_for(depth_for)

# %% [markdown]
# ## What it costs: thin vessels
#
# Pooling forgets where in the window a pixel was. For a tumour of 40 pixels that does not matter. For a vessel it does.
# Here are lines of three, two and one pixel, dark on bright, as in a photograph of the retina. The ground is 1, the
# line is 0. Predict: after one *maximum* pooling, which contrast (ground minus line) is left of the line that is one
# pixel wide? And after three *average* poolings?

# %%
after_max, after_average = ..., ...
### BEGIN SOLUTION
after_max, after_average = 0, 0.125
### END SOLUTION
predict("contrast of a dark line after one maximum pooling", after_max)
predict("contrast of a dark line after three average poolings", after_average)

# %%
lines = np.ones((32, 32))
for column, width in ((3, 3), (13, 2), (24, 1)):
    lines[:, column : column + width] = 0
rows = {}
for name, op in (("maximum", max_pool), ("average", average_pool)):
    steps = [lines, op(lines, 2), op(op(lines, 2), 2), op(op(op(lines, 2), 2), 2)]
    rows |= {f"{name}, pooled {n} times": step for n, step in enumerate(steps)}
by_max = 1 - rows["maximum, pooled 1 times"][:, 10:].min()
by_mean = 1 - rows["average, pooled 3 times"][0, 3]
reveal("contrast of a dark line after one maximum pooling", by_max)
reveal("contrast of a dark line after three average poolings", by_mean)
show_images(rows, columns=4, limits=(0, 1.2))

# %% [markdown]
# The maximum keeps what is bright, so a dark line that is thinner than the window is gone at once. The line of three
# pixels lasts for one pooling. The line of two pixels is gone too, because it lies across two windows. Moved by one
# pixel it stays:

# %%
line, moved = lines[:2, 10:18], np.roll(lines, -1, axis=1)[:2, 10:18]
shown = {"line of two pixels": line, "pooled": max_pool(line, 2)}
shown |= {"moved by one pixel": moved, "moved, pooled": max_pool(moved, 2)}
show_arrays(shown, ("input", "output", "input", "output"))

# %% [markdown]
# A shift of one pixel decides about everything (Zhang, 2019, *Making convolutional networks shift-invariant again*).
# The average never loses a line completely, but halves the contrast of a thin one each time, until it is below the
# noise.
#
# A trained network is not as helpless as these pictures. Its first convolutions can turn dark into bright, and use 64
# channels to store where in the window something was. But deep down there is one number per channel for 8 x 8 pixels,
# and the exact place of a rim is not in it. The UNet's answer is the *skip* (lesson 06): it hands what there was
# *before* the pooling to the *decoder*, the half of the network that goes up again.
#
# The same on a toy retina with vessels of three pixels and less:

# %%
retina = Toy("vessels", count=1, size=(96, 96))[0]
view = retina.image[0] / 255
twice = {"retina": view, "maximum, twice": max_pool(max_pool(view, 2), 2)}
twice |= {"average, twice": average_pool(average_pool(view, 2), 2)}
twice |= {"dark made bright, maximum, twice": max_pool(max_pool(1 - view, 2), 2)}
show_images(twice)

# %% [markdown]
# ## Where it sits in the UNet
#
# The article's network pools three times, with $k = 2$. The bars show what its convolutions see, by (5), and how much
# memory their outputs need for one image of 128 x 128 pixels:

# %%
ran = run_layers(UNet.article(1, 1), (1, 1, 128, 128))
fields, megabytes, names = [], [], []
labels = ("receptive field in pixels", "output in MB")
for n, layer in enumerate(ran, 1):
    if type(layer.layer).__name__ == "Conv2d":
        out = np.arange(layer.shape[2])
        first, last = seen_rows(ran[:n], out, out)
        fields.append((last - first).max() + 1)
        megabytes.append(layer.nbytes / 1e6)
        names.append(layer.name)
figure, panels = plt.subplots(
    1, 2, figsize=(10, 4.4), layout="constrained", sharey=True
)
for axes, values, label in zip(panels, (fields, megabytes), labels, strict=True):
    axes.barh(names, values, color=OUTPUT)
    axes.set(xlabel=label)
    axes.tick_params(labelsize=8)
panels[0].invert_yaxis()
plt.show()

# %% [markdown]
# On the way up the field goes on growing, and the memory comes back. Pooling quarters the number of pixels, so the deep
# layers can afford many channels.
#
# ## What goes wrong in practice
#
# - **The field is too small** for the organ, and the network confuses places that look alike from near.
#   `tinyunet summary RUN` prints the field of every layer. Add depth, or scale the images down.
# - **Odd sizes.** 250 pixels become 125, then 62, and going back up gives 124. `UNet` pads to a multiple of $2^D$ and
#   crops the result; a network of your own will stop where it joins a map with its skip.
# - **Too deep.** At depth 5 an image of 64 x 64 has two rows left. There is nothing to recognise in them.
# - **Padding with zeros before a maximum** makes 0 the smallest value that an output at the rim can have. The library
#   pads a maximum with $-\infty$.
# - **The gradient check fails at a tie.** That is no error of the gradient. Use random numbers with `check_gradients`.
#
# ## Recap
#
# Pooling keeps one number of each square of $k \times k$ pixels. The average hands its gradient to all of them in equal
# shares, the maximum gives it to the first winner. Every pooling by 2 makes all later layers see twice as far, and
# forgets in which of four pixels something was.
#
# Three questions to take along:
# 1. A 2 x 2 convolution with stride 2 can replace a pooling. With which weights is it the average? Can it be the
#    maximum?
# 2. What does formula (5) give for one convolution of 7 x 7, and what for three of 3 x 3? Which has fewer weights?
# 3. In (4), what would change if a tie shared the gradient equally among the winners? Would training notice?
