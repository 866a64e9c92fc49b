# %% [markdown]
# # Convolution, index by index
#
# *Lesson 02 · about 60 minutes · before it: 01, a gradient tape*
#
# You will be able to
# - read the formula of a convolution and say which numbers meet in one output pixel,
# - write it in loops, first for one image, then with channels, stride and padding,
# - derive both of its gradients and prove by two tests that they are right.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Tensor, UNet, check_adjoint, check_gradients
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.glass import provenance
from tinyunet.nn import Conv2d
from tinyunet.nn.summary import run_layers
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import convolution as checks
from tinyunet.teaching.figures import show_arrays, show_images

# %% [markdown]
# ## The question in one picture
#
# Left is a toy scan of a head with a tumour. The other three pictures show the same scan after one convolution each,
# with three different kernels of nine numbers. Nothing else was done.

# %%
scan = Toy("tumour", count=1, size=(96, 96))[0].image[0] / 255
kernels = {
    "mean of nine": np.full((3, 3), 1 / 9),
    "left against right": np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "middle against its ring": np.array([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}
shown = {"the scan": scan}
for name, kernel in kernels.items():
    weights = kernel[None, None].astype(scan.dtype)
    shown[name] = F.conv2d(scan[None, None], weights).data[0, 0]
show_images(shown)

# %% [markdown]
# One blurs, one sees upright edges, one sees points and outlines. A UNet is built from some twenty layers of such
# kernels, and it *learns* their numbers. How can nine numbers do this, and how does a network find out in which
# direction to change them?
#
# ## The formula
#
# The article writes, for an image and a kernel of $k \times k$ numbers, counted from 1:
#
# $$\text{Output}(i,j) = \sum_{m=1}^{k}\sum_{n=1}^{k} \text{Input}(i+m-1,\,j+n-1)\cdot\text{Kernel}(m,n)$$
#
# Python counts from 0. With $u = m-1$ and $v = n-1$ the same sum reads
#
# $$y_{i,j} = \sum_{u=0}^{k-1}\sum_{v=0}^{k-1} x_{i+u,\,j+v}\; w_{u,v} \qquad (1)$$
#
# Letters keep their meaning in all lessons: $(i,j)$ is an output pixel, $(u,v)$ a place in the kernel, $(p,q) = (i+u, j+v)$
# an input pixel. Both indices run in the same direction. Mathematicians call that a *cross-correlation* and call
# *convolution* what flips the kernel first. Every framework computes (1) and says convolution; so do we.
#
# ## By hand
#
# Lay the kernel on the image, multiply what lies on top of each other, add it all up. The framed squares make the
# framed output.

# %%
x = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 0, 1, 0]], float)
w = np.array([[1, -1], [2, 0]], float)
y = F.conv2d(x[None, None], w[None, None]).data[0, 0]
one = np.full_like(y, np.nan)
one[0, 1] = y[0, 1]
show_arrays(
    {"x": x, "w": w, "y": one},
    ("input", "kernel", "output"),
    marks={"x": [(0, 1), (0, 2), (1, 1), (1, 2)], "y": [(0, 1)]},
    between=("*", "="),
)

# %% [markdown]
# $y_{0,1} = 2\cdot 1 + 0\cdot(-1) + 1\cdot 2 + 3\cdot 0 = 4$.
#
# ## Predict
#
# Before you go on: what is $y_{1,2}$, the last number of the output? Take a pencil. Then: how many numbers does $y$ have?

# %%
corner, size = ..., ...
### BEGIN SOLUTION
corner, size = 4, 6
### END SOLUTION
predict("the last number of y", corner)
predict("how many numbers y has", size)

# %%
reveal("the last number of y", y[1, 2])
reveal("how many numbers y has", y.size)
show_arrays(
    {"x": x, "w": w, "y": y},
    ("input", "kernel", "output"),
    marks={"x": [(1, 2), (1, 3), (2, 2), (2, 3)], "y": [(1, 2)]},
)

# %% [markdown]
# The kernel has $H-K+1$ places from top to bottom, because its first row can stand in rows $0 \dots H-K$. Two more
# choices change that number. **Padding** puts $P$ rows and columns of zeros on each side. **Stride** $S$ moves the kernel $S$ pixels
# at a time and skips the places between.
#
# $$OH = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1 \qquad (2)$$
#
# with $\lfloor \cdot \rfloor$ for rounding down, Python's `//`.
#
# ### Exercise 1: the size of the output


# %%
def output_size(H, K, S, P):
    """Return the number of output rows, formula (2)."""
    ### BEGIN SOLUTION
    return (H + 2 * P - K) // S + 1
    ### END SOLUTION


# %%
checks.output_size(output_size)

# %% [markdown]
# ### Exercise 2: four loops
#
# Write (1) for one image and one kernel. The kernel need not be square. Two loops choose the output pixel $(i,j)$, two more
# choose $(u,v)$ and add one product each.


# %%
def conv2d(x, w):
    """Return y by formula (1); x is (H, W), w is (KH, KW)."""
    (H, W), (KH, KW) = x.shape, w.shape
    y = np.zeros((H - KH + 1, W - KW + 1))
    ### BEGIN SOLUTION
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for u in range(KH):
                for v in range(KW):
                    y[i, j] += x[i + u, j + v] * w[u, v]
    ### END SOLUTION
    return y


# %%
checks.conv2d_loops(conv2d)

# %% [markdown]
# Your loops on the scan, with the kernel "left against right". It answers strongly where dark turns into bright from left to
# right, and with the opposite sign where bright turns into dark.

# %%
edges = conv2d(scan, kernels["left against right"])
shown = {"the scan": scan, "your loops": edges, "its size |y|": np.abs(edges)}
show_images(shown, columns=3)

# %% [markdown]
# ## Channels
#
# A colour image has three channels, and a layer inside a UNet has 16 to 1024. The kernel then has one sheet for each input channel $c$, and
# there is one such kernel for each output channel $o$. A bias $b_o$ is added at the end:
#
# $$y_{n,o,i,j} = b_o + \sum_{c}\sum_{u,v} x_{n,c,\,iS+u-P,\,jS+v-P}\; w_{o,c,u,v} \qquad (3)$$
#
# where $x$ counts as 0 outside the image. A layer of 3 x 3 kernels leads from 16 channels to 32. Predict how many numbers it learns,
# biases included.

# %%
count = ...
### BEGIN SOLUTION
count = 4640
### END SOLUTION
predict("parameters of a 3 x 3 layer from 16 to 32 channels", count)

# %%
layer = Conv2d(16, 32, 3, rng=np.random.default_rng(0))
reveal("parameters of a 3 x 3 layer from 16 to 32 channels", layer.parameter_count())

# %% [markdown]
# $32 \cdot 16 \cdot 3 \cdot 3$ weights and 32 biases. The size of the image is not in it: the same numbers are used at every place, and that is
# why a UNet takes images of any size.
#
# ### Exercise 3: the whole formula
#
# Write (3). You need not write seven loops: choose the window of the padded image for each $(i,j)$ and let
# NumPy multiply and add. `np.pad(x, ((0, 0), (0, 0), (P, P), (P, P)))` pads the last two axes.


# %%
def conv2d_channels(x, w, b, stride, padding):
    """Return y by formula (3); x is (N, C, H, W), w is (O, C, KH, KW), b is (O,)."""
    ### BEGIN SOLUTION
    P, S = padding, stride
    xpad = np.pad(x, ((0, 0), (0, 0), (P, P), (P, P)))
    (N, _, H, W), (O, _, KH, KW) = xpad.shape, w.shape
    y = np.zeros((N, O, (H - KH) // S + 1, (W - KW) // S + 1))
    for i, j in np.ndindex(y.shape[2:]):
        rows, columns = slice(i * S, i * S + KH), slice(j * S, j * S + KW)
        window = xpad[:, None, :, rows, columns]  # (N, 1, C, KH, KW)
        y[:, :, i, j] = (window * w).sum(axis=(2, 3, 4)) + b
    return y
    ### END SOLUTION


# %%
checks.conv2d_channels(conv2d_channels)

# %% [markdown]
# ## Which numbers made this pixel?
#
# The library can tell for any op, because it asks the op itself. Here is one output pixel of a
# convolution with stride 2 and padding 1, with the input pixels and the weights behind it.

# %%
rng = np.random.default_rng(3)
seen = provenance(
    lambda x, w: F.conv2d(x, w, stride=2, padding=1),
    rng.integers(0, 9, (1, 1, 6, 6)).astype(float),
    rng.integers(-2, 3, (1, 1, 3, 3)).astype(float),
    at=(0, 0, 1, 2),
)
seen.figure()

# %% [markdown]
# ## Backward: who is to blame?
#
# Training changes each weight against its gradient. Let $g^y_{i,j}$ be the gradient of the loss in $y_{i,j}$: it arrives from above, already
# computed. We need the gradients in $w$ and in $x$.
#
# **In the kernel.** How does $y_{i,j}$ change when $w_{u,v}$ changes? By (1) the factor is $x_{i+u,\,j+v}$. The weight is used in *every* output
# pixel, and where a value was used more than once its gradients add:
#
# $$g^w_{u,v} = \sum_{i,j} g^y_{i,j}\; x_{i+u,\,j+v} \qquad (4)$$
#
# Compare it with (1). It is a convolution again: of the image, with the upstream gradient as the kernel.
#
# **In the image.** How does $y_{i,j}$ change when $x_{p,q}$ changes? Only if $(p,q) = (i+u, j+v)$ for some place $(u,v)$, and then the factor is $w_{u,v}$.
# So each $y_{i,j}$ hands $g^y_{i,j}\,w_{u,v}$ back to the pixel $(i+u, j+v)$ it came from:
#
# $$g^x_{p,q} = \sum_{u,v} g^y_{p-u,\,q-v}\; w_{u,v} \qquad (5)$$
#
# with $g^y = 0$ outside. Mind the minus signs: this time the kernel *is* flipped.
#
# ### Exercise 4 and 5: both gradients


# %%
def weight_gradient(x, gy, shape):
    """Return gw by formula (4); `shape` is that of w."""
    gw = np.zeros(shape)
    ### BEGIN SOLUTION
    for u, v in np.ndindex(*shape):
        gw[u, v] = (gy * x[u : u + gy.shape[0], v : v + gy.shape[1]]).sum()
    ### END SOLUTION
    return gw


def input_gradient(gy, w, shape):
    """Return gx by formula (5), share by share; `shape` is that of x."""
    gx = np.zeros(shape)
    ### BEGIN SOLUTION
    for i, j in np.ndindex(*gy.shape):
        for u, v in np.ndindex(*w.shape):
            gx[i + u, j + v] += gy[i, j] * w[u, v]
    ### END SOLUTION
    return gx


# %%
checks.conv2d_weight_gradient(weight_gradient)
checks.conv2d_input_gradient(input_gradient)

# %% [markdown]
# Let one single output pixel complain, $g^y_{1,1} = 1$ and 0 elsewhere. Predict: how many pixels of a 5 x 5 image
# get a gradient from a 3 x 3 kernel without zeros?

# %%
reached = ...
### BEGIN SOLUTION
reached = 9
### END SOLUTION
predict("pixels reached by one complaint", reached)

# %%
complaint = np.zeros((3, 3))
complaint[1, 1] = 1
w3 = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]])
gx = input_gradient(complaint, w3, (5, 5))
reveal("pixels reached by one complaint", np.count_nonzero(gx))
show_arrays({"gy": complaint, "w": w3, "gx": gx}, ("gradient", "kernel", "gradient"))

# %% [markdown]
# The kernel appears in the image, the right way round: one output pixel writes the kernel back to where it had looked.
#
# ## Two proofs
#
# **Finite differences.** Change one number by a little, see how the result changes, compare. `check_gradients` does that for every number and
# multiplies the result by *random* numbers first. With all ones a wrong flip can go unnoticed, because it adds the same
# products in another order.
#
# **The adjoint.** Convolution is linear in $x$. For a linear map $A$ the map backward is its adjoint $A'$, and for all $x$ and $y$ exactly
#
# $$\langle A x,\, y\rangle = \langle x,\, A' y\rangle .$$
#
# No step size, no approximation: the two sides agree to the last digits or the gradient is wrong.

# %%
x0, w0 = rng.normal(size=(1, 2, 6, 5)), rng.normal(size=(3, 2, 3, 3))


def strided(x, w):
    return F.conv2d(x, w, stride=2, padding=1)


print(f"the library, finite differences: off by {check_gradients(strided, x0, w0):.1e}")
off = check_adjoint(lambda x: strided(x, Tensor(w0)), x0)
print(f"the library, adjoint: off by {off:.1e}")
xs, ws, gy = (rng.normal(size=shape) for shape in ((5, 6), (2, 3), (4, 4)))
left, right = (conv2d(xs, ws) * gy).sum(), (xs * input_gradient(gy, ws, xs.shape)).sum()
print(f"yours, adjoint: {left:.12f} and {right:.12f}")

# %% [markdown]
# ## Where it sits in the UNet, and what it costs
#
# Each output number of (3) costs $C \cdot KH \cdot KW$ multiplications. Count them for every convolution of the article's network on a 256 x 256
# image:

# %%
costs = {}
for name, layer, shape, _ in run_layers(UNet.article(1, 1), (1, 1, 256, 256)):
    if type(layer).__name__ == "Conv2d":
        O, C, KH, KW = layer.weight.shape
        costs[name] = C * KH * KW * np.prod(shape) / 1e9
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.barh(list(costs), list(costs.values()), color="#E69F00")
axes.invert_yaxis()
axes.set(xlabel="thousand million multiplications")
axes.set_title(f"{sum(costs.values()):.0f} thousand million in all")
plt.show()

# %% [markdown]
# Your four loops manage a few million a second in Python. The next lesson is about the other three orders of magnitude.
#
# ## What goes wrong in practice
#
# - **A flipped kernel.** Both ways train; a network moved from one library to the other then gives nonsense. `tinyunet convert` moves weights
#   of PyTorch, which computes (1) too.
# - **Zeros at the rim.** Padding invents black pixels. If images were scaled to $[-1, 1]$, zero is grey and not black. The paper's UNet does not pad
#   and returns a smaller mask.
# - **Even kernels** shift the picture by half a pixel. With odd ones and $P = (K-1)/2$ the size stays.
# - **The gradient without the upstream gradient**, or tested with ones only. See `tests/ops/test_planted_bugs.py`: eight such bugs, of which five
#   pass a test with ones on square images.
#
# ## Recap
#
# A convolution is a weighted sum of each pixel's surroundings, with the same weights everywhere. Its gradient in the kernel is a convolution of the image with the
# upstream gradient. Its gradient in the image writes the kernel back to where the output had looked.
#
# Three questions to take along:
# 1. With which kernel does a convolution return its input, shifted left by one pixel?
# 2. Two 3 x 3 layers see 5 x 5 pixels. How many weights do they have, and how many has one 5 x 5 layer?
# 3. What are (4) and (5) for stride 2? (`help(F.conv2d)` has the answer.)
