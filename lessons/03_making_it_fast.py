# %% [markdown]
# # Making it fast: im2col, numba, Winograd, CUDA
#
# *Lesson 03 · about 80 minutes · before it: 02, convolution*
#
# You will be able to
# - count the operations and the bytes of a layer and say which of them limits it,
# - write a convolution as a matrix product and as a compiled kernel, and see why the order of loops matters,
# - compute two outputs with four multiplications instead of six,
# - find a race in a parallel loop, and read a CUDA kernel line by line.

# %%
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numba import njit, prange

import tinyunet
from tinyunet import UNet
from tinyunet import functional as F
from tinyunet.bench import ladder, op_cases
from tinyunet.bench.machine import measure_peaks
from tinyunet.bench.timing import time_in_turn
from tinyunet.glass import profile
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import speed as checks
from tinyunet.teaching.figures import show_arrays
from tinyunet.teaching.watched import watch

# %% [markdown]
# ## The question in one picture
#
# Below are two programs that compute the same formula, on this machine: your four loops of lesson 02, and the library. The bars show the time for *one* multiplication with its addition.


# %%
def seconds(work):
    """Return the shortest of some runs: other work can only lengthen a run."""
    work()  # the first run does not count
    times = []
    while len(times) < 3 or sum(times) < 0.2:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def four_loops(x, w):
    """Return y of lesson 02's formula (1)."""
    y = np.zeros((x.shape[0] - 2, x.shape[1] - 2), x.dtype)
    for i, j in np.ndindex(y.shape):
        for u, v in np.ndindex(3, 3):
            y[i, j] += x[i + u, j + v] * w[u, v]
    return y


# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(16, 66, 66)).astype(np.float32)
w = rng.normal(size=(16, 16, 3, 3)).astype(np.float32)
multiply_adds = 16 * 64 * 64 * 16 * 9
small = x[0, :34, :34]


def show_times(bars):
    """Draw name -> (nanoseconds per multiplication with its addition, colour)."""
    times, colours = zip(*bars.values(), strict=True)
    size = (7, 0.7 + 0.35 * len(bars))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    labels = [f"{ns:.2f}" if ns < 10 else f"{ns:.0f}" for ns in times]
    axes.bar_label(axes.barh(list(bars), times, color=colours), labels, padding=4)
    axes.invert_yaxis()
    axes.set(xscale="log", xlim=(0.003, 30000))
    axes.set_xlabel("nanoseconds per multiplication and addition")
    plt.show()


python_loops = 1e9 * seconds(lambda: four_loops(small, w[0, 0])) / (32 * 32 * 9)
library = 1e9 * seconds(lambda: F.conv2d(x[None], w)) / multiply_adds
grey, blue = "#999999", "#0072B2"
show_times({"four Python loops": (python_loops, grey), "tinyunet": (library, blue)})
print(f"a factor of {python_loops / library:.0f}")

# %% [markdown]
# The formula is the same and the computer is the same. Where does the factor come from?
#
# ## Counting
#
# Before one makes something fast one counts. A convolution (lesson 02, formula 3) with $N$ images, $C$ channels in, $O$ out, an output of $OH \times OW$ and a kernel of $K \times K$
# needs a multiplication and an addition, two **operations** (FLOPs), for each combination of indices:
#
# $$F = 2 \cdot N \cdot O \cdot OH \cdot OW \cdot C \cdot K^2 \qquad (1)$$
#
# And each number must come from memory and go back at least once. In float32 a number has 4 **bytes**:
#
# $$B = 4\,(N C H W + O C K^2 + N O \cdot OH \cdot OW) \qquad (2)$$
#
# A machine that does at most $P$ operations and moves at most $M$ bytes in a second needs at least $\max(F / P,\; B / M)$ seconds (Williams et al., 2009). The ratio $F / B$ decides which of the two it is.
#
# ### Exercise 1: count
#
# For a "same" convolution: $OH = H$, $OW = W$.


# %%
def count(N, C, O, H, W, K):
    """Return (F, B) of a "same" float32 convolution, by (1) and (2)."""
    ### BEGIN SOLUTION
    numbers = N * C * H * W + O * C * K * K + N * O * H * W
    return 2 * N * O * H * W * C * K * K, 4 * numbers
    ### END SOLUTION


# %%
checks.count(count)

# %% [markdown]
# ReLU makes one comparison for each number. Predict: is it limited by "arithmetic" or by "memory"?

# %%
limit = ...
### BEGIN SOLUTION
limit = "memory"
### END SOLUTION
predict("what limits ReLU", limit)

# %%
peaks = measure_peaks(repeats=20, steps=200_000, copied=2**22)
flops, moved = count(1, 16, 16, 64, 64, 3)
numbers = rng.normal(size=(1, 64, 256, 256)).astype(np.float32)
work = {
    "convolution": (flops / moved, flops / seconds(lambda: F.conv2d(x[None], w)) / 1e9),
    "ReLU": (1 / 8, numbers.size / seconds(lambda: F.relu(numbers)) / 1e9),
}
ridge = peaks.gflops / peaks.gb_per_s
reveal("what limits ReLU", "memory" if 1 / 8 < ridge else "arithmetic")

# %%
intensity = np.logspace(-2, 3, 200)
roof = np.minimum(peaks.gflops, intensity * peaks.gb_per_s)
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
label = "the roof: what the machine was measured to do"
axes.loglog(intensity, roof, color="black", label=label)
for (name, place), colour in zip(work.items(), ("#0072B2", "#E69F00"), strict=True):
    axes.loglog(*place, "o", color=colour, label=name)
axes.set(xlabel="operations per byte", ylabel="10⁹ operations per second")
axes.set_ylim(0.03, 2 * peaks.gflops)
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# To the left the roof slopes: there $M$ is the limit. To the right it is flat: there it is $P$. ReLU reads 4 bytes and writes 4 for each comparison, so it stands at 1/8, under the
# slope: it waits for memory, and better arithmetic would not help. The convolution stands under the flat part. There, arithmetic counts. A point above the
# roof had its data in a *cache*, a small fast memory beside the cores, or the machine was busy when the roof was measured.
#
# ## First idea: a matrix product
#
# Nothing is tuned better than matrix products. Write all windows of the image into the columns of one matrix, and the kernels into the rows of another:
#
# $$y_{o,\,(i,j)} = \sum_{(c,u,v)} w_{o,\,(c,u,v)} \; X_{(c,u,v),\,(i,j)}, \qquad X_{(c,u,v),\,(i,j)} = x_{c,\,i+u,\,j+v} \qquad (3)$$
#
# Three indices became one row number, two became one column number. This is **im2col**. By hand, with one channel and a kernel of $2 \times 2$:

# %%
tiny = np.array([[1.0, 2, 0], [0, 1, 3], [2, 0, 1]])
kernel = np.array(
    [[1.0, 2, 0, -1]]
)  # the rows (1, 2) and (0, -1), one behind the other
places = [(0, 0), (0, 1), (1, 0), (1, 1)]
columns = np.array([[tiny[i + u, j + v] for i, j in places] for u, v in places])
window, column = [(0, 1), (0, 2), (1, 1), (1, 2)], [(row, 1) for row in range(4)]
show_arrays(
    {"x": tiny, "w, one row": kernel, "X": columns, "y, one row": kernel @ columns},
    ("input", "kernel", "input", "output"),
    marks={"x": window, "X": column, "y, one row": [(0, 1)]},
    between=("", "·", "="),
)

# %% [markdown]
# ### Exercise 2: im2col
#
# Row $(c,u,v)$ of $X$ is the whole image of channel $c$, shifted by $(u,v)$, cut to the output's size and laid out in one line. $c$ changes slowest from row to row, $v$ fastest.


# %%
def im2col(x, K):
    """Return X of (3), with C * K * K rows and OH * OW columns; x is (C, H, W)."""
    ### BEGIN SOLUTION
    C, H, W = x.shape
    OH, OW = H - K + 1, W - K + 1
    rows = [x[c, u : u + OH, v : v + OW].ravel() for c, u, v in np.ndindex(C, K, K)]
    return np.stack(rows)
    ### END SOLUTION


# %%
checks.im2col(im2col)

# %% [markdown]
# What is the price? Take a large image and a 3 x 3 kernel. About how many times as much memory as $x$ does $X$ take?

# %%
times_as_much = ...
### BEGIN SOLUTION
times_as_much = 9
### END SOLUTION
predict("memory of X over memory of x", times_as_much)

# %%
X = im2col(x, 3)
reveal("memory of X over memory of x", X.nbytes / x.nbytes, tolerance=0.1)
y = (w.reshape(16, -1) @ X).reshape(16, 64, 64)
off = np.abs(y - F.conv2d(x[None], w).data[0]).max()
print(f"as a matrix product: off by {off:.1e}")

# %% [markdown]
# ## Second idea: compile
#
# Python looks up types and checks bounds at each step. numba's `@njit` translates the function into machine code, once for each type of argument. Then loops cost what they should. But *which* loop is innermost? Here is the formula as
# one would write it: for each output pixel, sum.


# %%
@njit
def pixel_by_pixel(x, w, y):
    """Add the convolution of x (C, H, W) with w (O, C, K, K) to y (O, OH, OW)."""
    O, C, K, _ = w.shape
    for o in range(O):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for c in range(C):
                    for u in range(K):
                        for v in range(K):
                            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


# %% [markdown]
# A processor has **vector** instructions: one of them multiplies 4, 8 or 16 neighbours in memory at once. Here the innermost loop goes over $v$, three steps, and adds all into one number. There is nothing to do side by side.
#
# ### Exercise 3: a kernel of your own
#
# Write the same six loops in an order in which the innermost runs along a row: over $j$. Then $w$ is one fixed number, and $x$ and $y$ are neighbours in memory. The result goes into `y`, which comes filled with zeros.


# %%
@njit
def row_by_row(x, w, y):
    """Add the convolution of x (C, H, W) with w (O, C, K, K) to y; j is innermost."""
    ### BEGIN SOLUTION
    O, C, K, _ = w.shape
    for o in range(O):
        for i in range(y.shape[1]):
            for c in range(C):
                for u in range(K):
                    for v in range(K):
                        for j in range(y.shape[2]):
                            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]
    ### END SOLUTION


# %%
checks.row_by_row(row_by_row)

# %%
y = np.zeros((16, 64, 64), np.float32)
sides = {
    "pixel by pixel": lambda: pixel_by_pixel(x, w, y),
    "row by row": lambda: row_by_row(x, w, y),
    "im2col": lambda: w.reshape(16, -1) @ im2col(x, 3),
    "tinyunet": lambda: F.conv2d(x[None], w),
}
times = time_in_turn(sides, rounds=20)
best = {name: 1e9 * min(taken) / multiply_adds for name, taken in times.items()}
bars = {"four Python loops": (python_loops, grey)}
for name, colour in zip(best, ("#E69F00", "#E69F00", "#56B4E9", blue), strict=True):
    bars[name] = best[name], colour
show_times(bars)
gain = best["pixel by pixel"] / best["row by row"]
print(f"the order of the loops alone: {gain:.0f} times")

# %% [markdown]
# The four took turns, twenty times, and each bar is the best turn. Orange is yours: the same six loops twice, compiled, on one core. Im2col hands its product to a library of thousands of tuned lines.
#
# ## Third idea: fewer multiplications
#
# Take one row. Two neighbouring outputs of a kernel of three need six multiplications:
#
# $$y_0 = x_0 w_0 + x_1 w_1 + x_2 w_2, \qquad y_1 = x_1 w_0 + x_2 w_1 + x_3 w_2 .$$
#
# Add and subtract $x_2 w_0$ in the first, $x_1 w_2$ in the second:
#
# $$y_0 = (x_0 - x_2)\,w_0 + A, \qquad A = x_1 w_1 + x_2\,(w_0 + w_2),$$
# $$y_1 = B - (x_1 - x_3)\,w_2, \qquad B = x_2 w_1 + x_1\,(w_0 + w_2).$$
#
# $A$ and $B$ look alike. Their sum and their difference are *products*:
#
# $$A + B = (x_1 + x_2)(w_0 + w_1 + w_2), \qquad A - B = (x_2 - x_1)(w_0 - w_1 + w_2).$$
#
# Multiply them out to see it. So with $m_1 = \tfrac12 (A + B)$ and $m_2 = \tfrac12 (A - B)$ we have $A = m_1 + m_2$, $B = m_1 - m_2$, and four multiplications do:
#
# $$y_0 = (x_0 - x_2)\,w_0 + m_1 + m_2, \qquad y_1 = m_1 - m_2 - (x_1 - x_3)\,w_2 \qquad (4)$$
#
# The sums of $w$, halves included, are computed once and used along the whole row. This is $F(2,3)$: two outputs, three weights (Winograd, 1980; Lavin and Gray, 2016, brought it to networks).
#
# ### Exercise 4: Winograd along a row
#
# Write (4) for a row $x$ with an even number of outputs. Step through it by two. The check counts the multiplications of something from $x$ by something from $w$.


# %%
def winograd(x, w):
    """Return the list of len(x) - 2 outputs of a row x with three weights w, by (4)."""
    ### BEGIN SOLUTION
    plus, minus = (w[0] + w[1] + w[2]) / 2, (w[0] - w[1] + w[2]) / 2
    y = []
    for j in range(0, len(x) - 2, 2):
        x0, x1, x2, x3 = x[j : j + 4]
        m1, m2 = (x1 + x2) * plus, (x2 - x1) * minus
        y += [(x0 - x2) * w[0] + m1 + m2, m1 - m2 - (x1 - x3) * w[2]]
    return y
    ### END SOLUTION


# %%
checks.winograd(winograd)

# %% [markdown]
# Do the same in both directions: $2 \times 2$ outputs of a $3 \times 3$ kernel. The direct way needs 36 multiplications. Predict: how many are left?

# %%
left_over = ...
### BEGIN SOLUTION
left_over = 16
### END SOLUTION
predict("multiplications for 2 x 2 outputs", left_over)


# %%
def winograd_2d(x, w):
    """Return 2 x 2 outputs of x (4, 4) and w (3, 3): (4) with rows for numbers."""
    rows = (x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3])
    weights = (w[0], (w[0] + w[1] + w[2]) / 2, (w[0] - w[1] + w[2]) / 2, w[2])
    # four products of rows, of four multiplications each
    m = [np.array(winograd(r, g)) for r, g in zip(rows, weights, strict=True)]
    return np.array([m[0] + m[1] + m[2], m[1] - m[2] - m[3]]), 4 * len(m)


corner, nine = small[:4, :4], w[0, 0]
found, multiplications = winograd_2d(corner, nine)
reveal("multiplications for 2 x 2 outputs", multiplications)
print(f"2 x 2 outputs: off by {np.abs(found - four_loops(corner, nine)).max():.1e}")

# %% [markdown]
# And what does it do to the last digits? A row of 1000 outputs, once directly and once by (4), against float64:

# %%
row, three = (rng.normal(size=n).astype(np.float32) for n in (1002, 3))
exact = np.correlate(row.astype(float), three.astype(float))
direct = row[:-2] * three[0] + row[1:-1] * three[1] + row[2:] * three[2]
for name, found in (("direct", direct), ("Winograd", np.array(winograd(row, three)))):
    print(f"{name}: off by {np.abs(found - exact).max():.1e} in float32")

# %% [markdown]
# There is a price here too: sums come before the products, and that costs some of the digits. The library uses $F(4,3)$ along rows, six multiplications for four outputs, and a test holds its error below $2 \cdot 10^{-5}$.
#
# ## Fourth idea: all cores
#
# `@njit(parallel=True)` with `prange` in place of `range` shares the iterations of that loop among threads. They run at the same time, in any order. Here is a version that does so over the input channels:


# %%
@njit(parallel=True)
def shared(x, w, y):
    """Add the convolution to y, input channels in parallel. It has a fault."""
    O, C, K, _ = w.shape
    for c in prange(C):
        for o in range(O):
            for i in range(y.shape[1]):
                for u in range(K):
                    for v in range(K):
                        for j in range(y.shape[2]):
                            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


right = F.conv2d(x[None], w).data[0]
wrong_runs = 0
for _ in range(30):
    y = np.zeros((16, 64, 64), np.float32)
    shared(x, w, y)
    wrong_runs += np.abs(y - right).max() > 0.01
print(f"{wrong_runs} of 30 runs were wrong")

# %% [markdown]
# Run the cell again and the number changes; with one free core it can be 0. That makes this fault mean: a test may pass a hundred times. What happens? `y += a` is three steps: read, add, store. Two threads read the
# same 5. One stores 5 + 1, the other 5 + 2. The 1 is lost. This is a **race**.
#
# One need not wait for chance. Run the kernel in plain Python, and note for each element of $y$ which iterations of `prange` write it:

# %%
xs, ws = rng.normal(size=(3, 5, 6)), rng.normal(size=(4, 3, 2, 2))


def show_writers(kernel):
    """Draw for every element of y how many iterations of prange wrote it."""
    counts = watch(kernel, xs, ws, np.zeros((4, 4, 5))).writers((4, 4, 5))
    return show_arrays({f"y[{o}]": counts[o] for o in range(4)}, ("output",) * 4)


show_writers(shared)

# %% [markdown]
# The numbers are counts, one plane for each output channel: three iterations, one for each input channel, write *every* element. Which loops of the six could run in parallel without a race? Those whose iterations write to different places.
#
# ### Exercise 5: repair it
#
# Write the kernel so that each element of $y$ is written by one iteration of `prange` alone.


# %%
@njit(parallel=True)
def repaired(x, w, y):
    """Add the convolution to y, in parallel and without a race."""
    ### BEGIN SOLUTION
    O, C, K, _ = w.shape
    for o in prange(O):
        for i in range(y.shape[1]):
            for c in range(C):
                for u in range(K):
                    for v in range(K):
                        for j in range(y.shape[2]):
                            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]
    ### END SOLUTION


# %%
checks.repaired(repaired)

# %%
show_writers(repaired)

# %% [markdown]
# The rule in the library's kernels is the same: an iteration *owns* what it writes, and gathers what it needs. Then the sum has one order, and two runs give the same bits.
#
# ## Reading a CUDA kernel
#
# A graphics processor has thousands of slow cores instead of a few fast ones. One writes the program of *one* thread. Here is the library's, as it is on disk:

# %%
file = Path(tinyunet.__file__).parent / "ops/conv2d/gpu.cu"
source = file.read_text(encoding="utf-8").splitlines()
start = next(k for k, line in enumerate(source) if line.startswith("template"))
end = next(k for k in range(start, len(source)) if source[k] == "}")
print("\n".join(source[start : end + 1]))

# %% [markdown]
# Line by line:
#
# - `template <typename T>`: `T` is float or double. `__global__`: a kernel, started from Python. `const T* x`: an array is an address, and its sizes come as numbers.
# - `k = blockIdx.x * blockDim.x + threadIdx.x`: threads come in blocks, of 256 here. $k$ is this thread's number among all. It computes the one output number $k$.
# - `if (k >= ...) return;`: blocks come whole, so the last one may have threads too many.
# - `j = k % OW, i = k / OW % OH, ...`: from the number back to the indices. $y$ lies in memory in the order $n, o, i, j$, with $j$ running fastest.
# - `T sum = b ? b[o] : T(0)`: start with the bias, if there is one.
# - The three loops are formula (3) of lesson 02. `image` and `kernel` point to the plane of channel $c$. `continue` skips rows outside the image, so no padded copy is needed.
# - `y[k] = sum`: one thread, one element. No race is possible.
#
# ### Exercise 6: which output is mine?
#
# Undo the numbering in Python: from $k$ to $(n, o, i, j)$. `//` is the `/` of CUDA's integers.


# %%
def indices(k, O, OH, OW):
    """Return (n, o, i, j) of element k of an array (N, O, OH, OW)."""
    ### BEGIN SOLUTION
    return k // OW // OH // O, k // OW // OH % O, k // OW % OH, k % OW
    ### END SOLUTION


# %%
checks.indices(indices)

# %% [markdown]
# Nothing says in which order threads run. So here they run shuffled, in Python. And a prediction: an output of 1 x 3 x 10 x 20, blocks of 256 threads. How many blocks are started?

# %%
blocks = ...
### BEGIN SOLUTION
blocks = 3
### END SOLUTION
predict("blocks for 1 x 3 x 10 x 20 outputs", blocks)

# %%
xg, wg = rng.normal(size=(1, 2, 12, 22)), rng.normal(size=(3, 2, 3, 3))
yg = np.full(3 * 10 * 20, np.nan)
started = -(-yg.size // 256)
for k in rng.permutation(started * 256):
    if k < yg.size:
        n, o, i, j = indices(int(k), 3, 10, 20)
        yg[k] = (xg[n, :, i : i + 3, j : j + 3] * wg[o]).sum()
reveal("blocks for 1 x 3 x 10 x 20 outputs", started)
off = np.abs(yg.reshape(1, 3, 10, 20) - F.conv2d(xg, wg).data).max()
print(f"off by {off:.1e}; {started * 256 - yg.size} threads had nothing to do")

# %% [markdown]
# Why does $j$ run fastest? Threads work in groups of 32, which read memory together, in pieces of 128 bytes (NVIDIA, *CUDA C++ Best Practices Guide*). Here are the addresses that one group reads in one step, if neighbours in $k$ are neighbours
# along a row, and if they were neighbours along a column:

# %%
lanes, width = np.arange(32), 64
addresses = {"along a row (as it is)": lanes % width, "along a column": lanes * width}
figure, axes = plt.subplots(figsize=(8, 1.9), layout="constrained")
for place, elements in enumerate(addresses.values()):
    pieces = len(np.unique(4 * elements // 128))
    axes.plot(4 * elements, np.full(32, place), "|", color="#0072B2", markersize=14)
    axes.text(8400, place, f"pieces of 128 bytes: {pieces}", va="center")
axes.set(yticks=(0, 1), yticklabels=addresses, ylim=(1.6, -0.6), xlim=(-150, 11500))
axes.set_xlabel("byte in memory")
plt.show()

# %% [markdown]
# It is the same lesson as with your loops: walk along the row.
#
# ## Where it sits in the UNet
#
# Below is the ladder of the library for one layer, on this machine. Each rung is one way to compute it: NumPy, compiled loops, fast kernels. "Backward" is its gradient. The bars are the rungs of the way forward. Then comes
# a whole network: in which operations its time goes.

# %%
rows = ladder.measure(op_cases.conv2d(16, 16, 64, N=1), rounds=3, torch=None)
print(ladder.table(rows))
ladder.figure(rows[:1])

# %%
model = UNet(1, 2, base_channels=8, depth=3)
image = np.zeros((1, 1, 128, 128), np.float32)
with tinyunet.no_grad():
    model(image)
    with profile(longest=6) as measured:
        model(image)
convolutions = sum(row.ms for row in measured.rows if row.op.startswith("conv"))
share = convolutions / sum(row.ms for row in measured.rows)
print(f"convolutions: {share:.0%} of the time in operations")

# %% [markdown]
# ## What goes wrong in practice
#
# - **Timing the first run.** It compiles. On a GPU, timing without waiting measures how fast work is *ordered*.
# - **Timing something wrong.** `tinyunet bench` compares every result with the NumPy reference first, then lets the candidates take turns, since a shared machine is never twice the same. Quote ratios.
# - **One float64 in the chain.** A plain `np.zeros` is float64: twice the bytes, half as many numbers in a vector. The library refuses to mix the two.
# - **Fast mathematics that hides NaN.** Compilers may assume that there is none. The library's kernels do not allow that.
# - **A race.** Let one job own each output; `tests/gpu/test_mutants.py` plants faults in the kernels and looks whether the tests find them.
#
# ## Recap
#
# Count first: operations, bytes, and which of them is the limit. Then walk along rows, own what you write, reuse what you have loaded, and multiply less.
#
# Three questions to take along:
# 1. The gradient in $x$ is $w^T g^y$ in the form of (3), followed by the reverse of im2col. Why must that reverse *add*, and why would it race over $(i,j)$?
# 2. How many multiplications does $F(4,3)$ save, in per cent, if it is used along rows only?
# 3. In which loop of the CUDA kernel do all 32 threads of a group read the same number, and which array is it from?
