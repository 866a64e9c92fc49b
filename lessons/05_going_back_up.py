# %% [markdown]
# # Going back up: three "deconvolutions"
#
# *Lesson 05 · about 60 minutes · before it: 02, convolution; 04, pooling*
#
# You will be able to
# - read the article's formula for enlarging a map, and write it and its gradient in loops,
# - write the other operation of that name, the transposed convolution, and say what it is the transpose of,
# - tell for any kernel and stride whether it weaves a checkerboard, and turn one operation into the other.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Tensor, UNet, check_adjoint, check_gradients
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.glass import provenance
from tinyunet.plot import OUTPUT
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import upsampling as checks
from tinyunet.teaching.figures import show_arrays, show_images

# %% [markdown]
# ## The question in one picture
#
# Left is an image of 12 x 12 pixels that are all 1. Both other pictures were made from it with the same kernel, nine
# ones, and both are about twice as large. The middle one used the operation that most programs call deconvolution. The
# right one used the formula that the article calls deconvolution.

# %%
flat, nine = np.ones((1, 1, 12, 12)), np.ones((1, 1, 3, 3))
stamped = F.conv_transpose2d(flat, nine, stride=2).data[0, 0]
repeated = F.upsample_conv2d(flat, nine, scale=2).data[0, 0]
pictures = {"all ones": flat[0, 0], "transposed convolution": stamped}
pictures["the article's formula"] = repeated
figure, panels = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for axes, (title, picture) in zip(panels, pictures.items(), strict=True):
    shown = axes.imshow(picture, cmap="viridis", vmin=0, vmax=9)
    axes.set_title(f"{title}: {picture.shape[0]} x {picture.shape[1]}", fontsize=9)
figure.colorbar(shown, ax=panels, shrink=0.8)
plt.show()

# %% [markdown]
# A flat image became a carpet. In a mask such a carpet can become rows of holes. Where does it come from, and why does
# the other one not have it?
#
# ## The article's formula
#
# Section 4.3 writes, for a stride $s$:
#
# $$\text{Output}(i,j) = \sum_{m=1}^{k}\sum_{n=1}^{k} \text{Input}\left(\left\lfloor\tfrac{i+m-1}{s}\right\rfloor, \left\lfloor\tfrac{j+n-1}{s}\right\rfloor\right)\cdot\text{Kernel}(m,n)$$
#
# Like pooling it needs $i$, $j$ and the pixels counted from 0: with $i = m = 1$ and $s = 2$ it would ask for row 0.
# Counted from 0 throughout it reads
#
# $$y_{i,j} = \sum_{u,v=0}^{k-1} x_{\lfloor (i+u)/s \rfloor,\,\lfloor (j+v)/s \rfloor}\; w_{u,v}, \qquad 0 \le i < sH-k+1 \qquad (1)$$
#
# Look at the index alone. With $s = 2$ and $i + u$ = 0, 1, 2, 3, 4, 5 it is 0, 0, 1, 1, 2, 2: every row of the image is
# read twice. So (1) does two things one after the other: **repeat every pixel** $s$ times in both directions, then
# **convolve** as in lesson 02.
#
# ## By hand

# %%
x = np.array([[1, 2], [0, 3.0]])
w = np.array([[1, 0, 2], [0, 1, 0], [0, 0, -1.0]])
large = F.upsample_nearest2d(x[None, None], scale=2).data[0, 0]
y = F.upsample_conv2d(x[None, None], w[None, None], scale=2).data[0, 0]
frame = [(i, j) for i in (0, 1, 2) for j in (1, 2, 3)]
show_arrays(
    {"x": x, "repeated": large, "w": w, "y": y},
    ("input", "input", "kernel", "output"),
    marks={"repeated": frame, "y": [(0, 1)]},
    between=("→", "*", "="),
)

# %% [markdown]
# Predict: an image with 5 rows, $s = 2$, a kernel of 3. How many rows has $y$?

# %%
rows = ...
### BEGIN SOLUTION
rows = 8
### END SOLUTION
predict("rows of the article's output from 5 rows", rows)

# %%
five = np.ones((1, 1, 5, 5))
made = F.upsample_conv2d(five, nine, scale=2)
reveal("rows of the article's output from 5 rows", made.shape[2])

# %% [markdown]
# Ten rows, less the two that a kernel of 3 costs.
#
# ### Exercise 1: the article's formula in loops
#
# The four loops of lesson 02, with another index. `//` is division rounded down.


# %%
def upsample_conv(x, w, s):
    """Return y by formula (1); x is (H, W), w is (KH, KW) and need not be square."""
    (H, W), (KH, KW) = x.shape, w.shape
    y = np.zeros((s * H - KH + 1, s * W - KW + 1))
    ### BEGIN SOLUTION
    for i, j in np.ndindex(*y.shape):
        for u, v in np.ndindex(KH, KW):
            y[i, j] += x[(i + u) // s, (j + v) // s] * w[u, v]
    ### END SOLUTION
    return y


# %%
checks.upsample_conv(upsample_conv)

# %% [markdown]
# A decoder wants *exactly* $sH$ rows, so that the result fits the skip beside it. That needs zeros around the repeated
# image, before the convolution.
#
# ### Exercise 2: which padding gives exactly $sH$?
#
# How many rows of zeros are needed in all, for a kernel of $k$ rows? Put half of them before the first row and half
# behind the last one. If their number is odd, the extra row goes behind.


# %%
def same_padding(k):
    """Return (rows before, rows behind) such that formula (1) gives s H rows."""
    ### BEGIN SOLUTION
    return (k - 1) // 2, k // 2
    ### END SOLUTION


# %%
checks.same_padding(same_padding)

# %% [markdown]
# `F.upsample_conv2d(..., padding="same")` does this. With an even kernel the two sides differ, and the picture moves by
# half a pixel. That is one reason for odd kernels.
#
# ## The other operation of that name
#
# What PyTorch calls `ConvTranspose2d` works the other way round. It does not ask for each output pixel what to read. It
# asks for each *input* pixel where to write: the pixel $x_{i,j}$ stamps the whole kernel, times its value, onto the
# output at $(is, js)$. Where stamps overlap they add.
#
# $$y_{p,q} = \sum_{\substack{i,j,u,v\\ is+u=p,\; js+v=q}} x_{i,j}\; w_{u,v} \qquad (2)$$
#
# The last stamp begins in row $(H-1)s$ and is $k$ rows high, so there are $(H-1)s + k$ rows. Here are the stamps of the
# four pixels of a 2 x 2 image, one by one, then all together:

# %%
stamps = {}
for i, j in np.ndindex(2, 2):
    alone = np.zeros((1, 1, 2, 2))
    alone[0, 0, i, j] = x[i, j]
    stamp = F.conv_transpose2d(alone, w[None, None], stride=2).data[0, 0]
    stamps[f"stamp of x[{i},{j}] = {x[i, j]:.0f}"] = stamp
everything = {"y, their sum": sum(stamps.values())}
show_arrays(stamps | everything, ["kernel"] * 4 + ["output"])

# %% [markdown]
# Predict: 5 rows again, kernel 3, stride 2, nothing cut off. How many rows does the transposed convolution make?

# %%
rows_stamped = ...
### BEGIN SOLUTION
rows_stamped = 11
### END SOLUTION
predict("rows of the transposed convolution from 5 rows", rows_stamped)

# %%
made = F.conv_transpose2d(five, nine, stride=2)
reveal("rows of the transposed convolution from 5 rows", made.shape[2])

# %% [markdown]
# ### Exercise 3: stamps


# %%
def conv_transpose(x, w, s):
    """Return y by formula (2); x is (H, W), w is (KH, KW)."""
    (H, W), (KH, KW) = x.shape, w.shape
    ### BEGIN SOLUTION
    y = np.zeros(((H - 1) * s + KH, (W - 1) * s + KW))
    for i, j in np.ndindex(H, W):
        y[i * s : i * s + KH, j * s : j * s + KW] += x[i, j] * w
    return y
    ### END SOLUTION


# %%
checks.conv_transpose(conv_transpose)

# %% [markdown]
# ## The checkerboard
#
# Back to the first picture. An image of ones, a kernel of ones: now every output of (2) is the *number of stamps* on
# that pixel. Predict the largest number in the carpet ($k = 3$, $s = 2$).

# %%
largest = ...
### BEGIN SOLUTION
largest = 4
### END SOLUTION
predict("most stamps on one pixel", largest)

# %%
ones, kernel = np.ones((5, 5)), np.ones((3, 3))
carpet, plain = conv_transpose(ones, kernel, 2), upsample_conv(ones, kernel, 2)
reveal("most stamps on one pixel", carpet.max())
print("transposed convolution, inside:", *np.unique(carpet[2:-2, 2:-2]).astype(int))
print("the article's formula:         ", *np.unique(plain).astype(int))
shown = {"transposed convolution": carpet, "the article's formula": plain}
show_arrays(shown, ("output", "output"))

# %% [markdown]
# In one direction the stamps of width 3 begin at 0, 2, 4, ... Column 2 lies under the end of one stamp and the
# beginning of the next, column 3 under the middle of one. So columns get 2, 1, 2, 1, ... stamps, rows too, and the
# product takes the values 1, 2 and 4. Formula (1) reads nine pixels for every output, always.
#
# Ask the library where two neighbouring pixels of the carpet come from:

# %%
rng = np.random.default_rng(0)
numbers = rng.integers(1, 9, (1, 1, 4, 4)).astype(float)
weights = rng.integers(1, 4, (1, 1, 3, 3)).astype(float)
four = provenance(F.conv_transpose2d, numbers, weights, at=(0, 0, 4, 4), stride=2)
print(four, four.moved((0, 0, 3, 3)), sep="\n")
four.figure()

# %% [markdown]
# ### Exercise 4: who is stamped how often?
#
# In one direction the stamps begin at the multiples of $s$. Far from the rims, pixel $p$ is under the stamp that begins
# at $is$ if $p = is + u$ with $0 \le u < k$. So count the $u$ from 0 to $k-1$ that leave the same remainder as $p$ when
# divided by $s$. Return these counts for the remainders $0, 1, \dots, s-1$.


# %%
def coverage(k, s):
    """Return s counts: stamps on a pixel with remainder 0, 1, ..., s - 1."""
    ### BEGIN SOLUTION
    return [sum(u % s == remainder for u in range(k)) for remainder in range(s)]
    ### END SOLUTION


# %%
checks.coverage(coverage)

# %%
figure, panels = plt.subplots(
    1, 4, figsize=(10, 2.4), layout="constrained", sharey=True
)
for axes, (k, s) in zip(panels, ((2, 2), (3, 2), (4, 2), (5, 3)), strict=True):
    axes.bar(range(4 * s), coverage(k, s) * 4, color=OUTPUT)
    axes.set(title=f"k = {k}, s = {s}", xlabel="pixel", yticks=[0, 1, 2])
panels[0].set_ylabel("stamps")
plt.show()

# %% [markdown]
# All counts are equal if and only if $s$ divides $k$. So it is in the paper's UNet, with $k = s = 2$. The effect is
# described by Odena et al. (2016, *Deconvolution and checkerboard artifacts*).
#
# Equal counts are necessary, but not enough. A learned kernel has nine *different* numbers. So put a flat image through
# kernels with random weights:

# %%
ways = {}
for k in (2, 3, 4):
    kernel = np.random.default_rng(5).normal(size=(1, 1, k, k))
    ways[f"transposed, k = {k}"] = F.conv_transpose2d(flat, kernel, stride=2)
kernel = rng.normal(size=(1, 1, 3, 3))
ways["the article's, k = 3"] = F.upsample_conv2d(flat, kernel, scale=2)
shown = {}
for name, y in ways.items():
    inside = y.data[0, 0, 4:16, 4:16]
    shown[f"{name}\nspread {inside.std():.2f}"] = inside
show_images(shown, limits=(-3, 3), cmap="RdBu")

# %% [markdown]
# At random weights each transposed convolution has its carpet, and training must unlearn it. The article's formula
# gives the sum of all weights at every pixel, whatever they are. Formula 4.3 of the article is the method that Odena et
# al. recommend, resize and then convolve.
#
# ### Exercise 5: the size again
#
# `F.conv_transpose2d` cuts `padding` = $P$ rows off at *both* sides and then adds `output_padding` = $Q$ rows behind,
# $0 \le Q < s$:
#
# $$OH = (H-1)\,s - 2P + k + Q \qquad (3)$$
#
# Find $P$ and $Q$ such that $OH = sH$, for $k \ge s$. The smallest possible $P$, please.


# %%
def transposed_padding(k, s):
    """Return the (P, Q) of (3) that make exactly s H rows, for k >= s."""
    ### BEGIN SOLUTION
    P = (k - s + 1) // 2
    return P, 2 * P - (k - s)
    ### END SOLUTION


# %%
checks.transposed_padding(transposed_padding)

# %% [markdown]
# ## Is it the inverse?
#
# The article says that deconvolution "can be seen as the inverse of convolution". In shape that is right: what a
# convolution with stride 2 halves, this doubles. In values it is not. Convolve a scan, then apply the transposed
# convolution with the same kernel. Predict: does the scan come back, yes or no?

# %%
back = ...
### BEGIN SOLUTION
back = "no"
### END SOLUTION
predict("does the scan come back", back)

# %%
scan = Toy("organ", count=1, size=(64, 64), noise=0.0)[0].image[0].astype(float) / 255
blur = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
blurred = F.conv2d(scan[None, None], blur[None, None], padding=2).data
transposed = F.conv_transpose2d(blurred, blur[None, None], padding=2).data[0, 0]
reveal("does the scan come back", "yes" if np.allclose(transposed, scan) else "no")

# Over a picture that closes in a ring, a convolution is a product of spectra.
spectrum = np.fft.fft2(blur, scan.shape)
ring = np.fft.ifft2(np.fft.fft2(scan) * spectrum).real
noisy = ring + np.random.default_rng(0).normal(0, 1e-3, ring.shape)
shown = {"scan": scan, "convolved": blurred[0, 0], "then transposed": transposed}
for name, y in {"divided by the kernel": ring, "the same, noise 0.001": noisy}.items():
    shown[name] = np.fft.ifft2(np.fft.fft2(y) / (spectrum + 1e-6)).real
show_images(shown, columns=5, limits=(0, 1))

# %% [markdown]
# The transposed convolution blurred a second time. A true inverse exists, and it is the older meaning of the word:
# *deconvolution* in microscopy and astronomy divides by the kernel (fourth picture). It does not enlarge anything, and
# a noise of a thousandth ruins it (fifth picture). So three operations share one name: repeat and convolve (1), stamp
# (2), and the inverse. A UNet uses the first two only.
#
# What (2) really is: convolution is linear, so it is a matrix, and (2) is the *transposed* matrix. It is what lesson 02
# called the adjoint, the gradient of a convolution in its image. For all $a$ and $b$
#
# $$\langle \text{conv}(a),\, b\rangle = \langle a,\, \text{conv\_transpose}(b)\rangle . \qquad (4)$$

# %%
a, b, kernel = (rng.normal(size=shape) for shape in ((9, 11), (4, 5), (3, 3)))
forward = F.conv2d(a[None, None], kernel[None, None], stride=2).data[0, 0]
left, right = (forward * b).sum(), (a * conv_transpose(b, kernel, 2)).sum()
print(f"{left:.12f} and {right:.12f}, with your loops")

# %% [markdown]
# So the gradient of (2) in its image is, the other way round, a convolution with stride $s$. Nothing new has to be
# derived.
#
# ## The gradient of the article's formula
#
# In (1) the pixel $x_{p,q}$ enters $y_{i,j}$ with the factor $w_{u,v}$ for every $(u,v)$ with
# $\lfloor (i+u)/s \rfloor = p$ and $\lfloor (j+v)/s \rfloor = q$. So follow the arrows backward, as for the
# convolution: each $y_{i,j}$ hands $g^y_{i,j}\, w_{u,v}$ to the pixel it has read.
#
# $$g^x_{p,q} = \sum_{\substack{i,j,u,v\\ \lfloor (i+u)/s\rfloor = p,\; \lfloor (j+v)/s\rfloor = q}} g^y_{i,j}\; w_{u,v} \qquad (5)$$
#
# ### Exercise 6: the gradient in the image


# %%
def upsample_input_gradient(gy, w, s, shape):
    """Return gx by formula (5); `shape` is that of x."""
    gx = np.zeros(shape)
    ### BEGIN SOLUTION
    for i, j in np.ndindex(*gy.shape):
        for u, v in np.ndindex(*w.shape):
            gx[(i + u) // s, (j + v) // s] += gy[i, j] * w[u, v]
    ### END SOLUTION
    return gx


# %%
checks.upsample_input_gradient(upsample_input_gradient)

# %% [markdown]
# One output pixel complains. Its kernel is written back, and squeezed: several weights meet in one pixel.

# %%
complaint = np.zeros((6, 6))
complaint[2, 3] = 1
w3 = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]])
gx = upsample_input_gradient(complaint, w3, 2, (4, 4))
x0, w0 = rng.normal(size=(1, 2, 4, 5)), rng.normal(size=(3, 2, 3, 3))
off = check_gradients(lambda x, w: F.upsample_conv2d(x, w, scale=2), x0, w0)
print(f"the library, differences: {off:.1e}")
off = check_adjoint(lambda x: F.upsample_conv2d(x, Tensor(w0), scale=2), x0)
print(f"the library, adjoint:     {off:.1e}")
wt = w0.swapaxes(0, 1).copy()
off = check_gradients(lambda x, w: F.conv_transpose2d(x, w, stride=2), x0, wt)
print(f"the library's stamps:     {off:.1e}")
show_arrays({"gy": complaint, "w": w3, "gx": gx}, ("gradient", "kernel", "gradient"))

# %% [markdown]
# ## One is a case of the other
#
# Repeating pixels is itself a stamp: each pixel stamps a square of $s \times s$ ones. The convolution that follows
# spreads every one of these ones. In (1) a one at place $p$ of the large image reaches the outputs $i = p - u$, so $w$
# is written *flipped*. Both steps together are one larger stamp: the flipped kernel, added up in $s \times s$ places.
#
# $$W = \sum_{a,b=0}^{s-1} \text{flip}(w) \text{ moved by } (a,b), \qquad (1) \text{ is } (2) \text{ with } W \text{ and } P = k-1 \qquad (6)$$
#
# Predict: how many rows has $W$ for $k = 3$ and $s = 2$?

# %%
rows_w = ...
### BEGIN SOLUTION
rows_w = 4
### END SOLUTION
predict("rows of the stamp W", rows_w)

# %% [markdown]
# ### Exercise 7: the stamp
#
# `w[::-1, ::-1]` flips both directions.


# %%
def effective_kernel(w, s):
    """Return W of formula (6) for w of (k, k)."""
    k = len(w)
    W = np.zeros((s + k - 1, s + k - 1))
    ### BEGIN SOLUTION
    for a, b in np.ndindex(s, s):
        W[a : a + k, b : b + k] += w[::-1, ::-1]
    ### END SOLUTION
    return W


# %%
checks.effective_kernel(effective_kernel)

# %%
W3 = effective_kernel(w3, 2)
reveal("rows of the stamp W", len(W3))
by_formula = upsample_conv(scan, w3, 2)
by_stamps = conv_transpose(scan, W3, 2)[2:-2, 2:-2]
off, largest = np.abs(by_formula - by_stamps).max(), by_formula.max()
print(f"largest difference on the scan: {off:.1e}, of values up to {largest:.0f}")
parts = {f"[{a}::2, {b}::2]": int(W3[a::2, b::2].sum()) for a in (0, 1) for b in (0, 1)}
print("sums of the four parts:", parts, "and of w:", int(w3.sum()))
show_arrays({"w": w3, "W": W3}, ("kernel", "kernel"), between=("→",))

# %% [markdown]
# The printed sums answer the question of the first picture. An output pixel sees every second row and column of $W$,
# one of four parts. In $W$ all four parts have the same sum, so a flat image stays flat. A kernel that is learned
# freely has no reason to keep these sums equal.
#
# ## Where it sits in the UNet
#
# The decoder, the half of the network that goes up, enlarges by 2 before each join with a skip. The library offers four
# ways: "transposed" is (2), "article" is (1), "nearest" repeats pixels and nothing more, "bilinear" draws straight
# lines between them. The last two have no weights:

# %%
shown = {"x": x}
for op in (F.upsample_nearest2d, F.upsample_bilinear2d):
    shown[op.__name__] = op(x[None, None], scale=2).data[0, 0]
    print(f"{op.__name__}, adjoint: off by {check_adjoint(op, x0):.1e}")
show_arrays(shown, ("input", "output", "output"))

# %% [markdown]
# And this is what the four cost in a small UNet. Where an enlargement has no weights, it cannot halve the channels
# either, so with "nearest" the convolution behind it has more of them. With "bilinear" the library builds a much used
# network (milesial/Pytorch-UNet) that has fewer channels at the bottom and in the decoder.

# %%
print("up           parameters   multiplications of the enlargements, 64 x 64 image")
for up in ("transposed", "article", "nearest", "bilinear"):
    net = UNet(1, 2, 16, 3, up=up)
    products = 0
    for level, layer in ((k, getattr(net, f"up{k}")) for k in (2, 3, 4)):
        side = 64 // 2 ** (level - 1)  # of the input
        if layer.parameter_count():
            products += layer.weight.size * side**2 * (4 if up == "article" else 1)
    print(f"{up:12} {net.parameter_count():>10,}   {products:>12,}")

# %% [markdown]
# Formula (1) convolves at the large size and pays nine times what 2 x 2 stamps pay. Repeating costs nothing, and lets
# the next convolution of the decoder do the work. With its 3 x 3 kernel that *is* (1).
#
# ## What goes wrong in practice
#
# - **A carpet in the probabilities.** Look at `probabilities` and not only at the mask. Mend it with
#   `UNet(up="article")` or `up="nearest"`, or with $s$ dividing $k$.
# - **One row too few at the join.** (3) without $Q$ gives $sH-1$ for $k = 3$, $P = 1$. The library's `ShapeError` names
#   both sizes.
# - **Weights in the wrong order.** `conv_transpose2d` has the input channel first, $(C, O, k, k)$, `conv2d` the output
#   channel. `F.to_conv_transpose(w)` swaps them, flips and widens: it is (6) with channels.
# - **Half a pixel.** Even kernels with "same" padding move the picture. Three enlargements add up to half of 4 + 2 + 1
#   pixels, as far as training does not make up for it.
# - **"Deconvolution" in a paper** may mean any of the three. Look for a stride, and for who says which rows are read or
#   written.
#
# ## Recap
#
# The article's 4.3 repeats pixels and convolves: every output reads $k^2$ values. A transposed convolution stamps:
# outputs get unequally many stamps unless $s$ divides $k$. The first is a special case of the second. Neither is an
# inverse; the second is the adjoint of convolution.
#
# Three questions to take along:
# 1. Which kernel $w$ makes (1) the plain repetition of pixels?
# 2. What are the values of the carpet for $k = 5$ and $s = 2$, and for $k = 5$ and $s = 3$?
# 3. In (5), what is $g^x$ if $g^y$ is 1 everywhere, far from the rims? And in the transposed convolution?
