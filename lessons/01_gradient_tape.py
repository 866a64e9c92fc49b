# %% [markdown]
# # A gradient tape in eighty lines
#
# *Lesson 01 · about 75 minutes · before it: 00, painting a mask*
#
# You will be able to
# - write down the derivative of any computation as a walk over its graph,
# - say why gradients add where a value was used twice, and why the order of the walk matters,
# - build a small automatic differentiation of your own and train something with it,
# - test any gradient by finite differences, with a good step.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyunet
from tinyunet import UNet, check_gradients
from tinyunet import functional as F
from tinyunet.autograd import ops_behind
from tinyunet.glass import draw_graph, trace
from tinyunet.teaching import predict, reveal
from tinyunet.teaching.checks import tape as checks
from tinyunet.teaching.figures import show_arrays

# %% [markdown]
# ## The question in one picture
#
# A network computes one number at the end, the loss $L$: how wrong its mask is. The smallest possible network has one weight $w$ and one bias $b$,
# and its loss is $L = (w x + b - t)^2$, with an input $x$ and the wanted answer $t$. Here is every step, with its value:


# %%
def smallest(tensor):
    """Compute the loss of the smallest network and return all its tensors by name."""
    given = {"w": 2.0, "x": 3.0, "b": 1.0, "t": 5.0}
    made = {name: tensor(np.array(value)) for name, value in given.items()}
    made["u"] = made["w"] * made["x"]
    made["v"] = made["u"] + made["b"]
    made["d"] = made["v"] - made["t"]
    return made | {"L": made["d"] * made["d"]}


with trace() as forward_only:
    made = smallest(lambda value: tinyunet.Tensor(value, requires_grad=True))
count = UNet.article(1, 1).parameter_count()
print(f"the article's network has {count:,} weights instead of two")
draw_graph(forward_only, names=made)

# %% [markdown]
# Should $w$ be larger or smaller to make $L$ smaller, and how fast does $L$ change with it? That number is the **gradient** of $L$ in $w$. The article's network has some
# eight million weights. How does one find eight million such numbers, if not by trying each?
#
# ## The formula
#
# We write $g^a$ for the gradient of $L$ in $a$, that is $\partial L / \partial a$. If $a$ is used in one place only, to make $y$, then the **chain rule** of school says
# $g^a = g^y \cdot \partial y / \partial a$. The first factor comes from behind, from the loss. The second belongs to this one step. If $a$ is used in several places, to make
# $y_1, y_2, \dots$, then changing $a$ changes each of them, and the effects add:
#
# $$g^a = \sum_{k} g^{y_k} \; \frac{\partial y_k}{\partial a} \qquad (1)$$
#
# This is all. It begins with $g^L = 1$ and goes backward, from each $y$ to what it was made of. For $y = a + b$ the two factors are 1 and 1. For $y = a \cdot b$ they are $b$ and
# $a$: hold $b$ still, then $y$ grows by $b$ for each unit of $a$.
#
# ## By hand
#
# $L = d \cdot d$ uses $d$ twice, so $g^d = 1 \cdot d + 1 \cdot d = 4$. Next, $d = v - t$ gives $g^v = 4$, and $v = u + b$ gives $g^u = 4$ and $g^b = 4$.
#
# ## Predict
#
# What are $g^w$ and $g^x$?

# %%
in_w, in_x = ..., ...
### BEGIN SOLUTION
in_w, in_x = 12, 8
### END SOLUTION
predict("the gradient in w", in_w)
predict("the gradient in x", in_x)

# %%
with trace() as both_ways:
    made = smallest(lambda value: tinyunet.Tensor(value, requires_grad=True))
    made["L"].backward()
reveal("the gradient in w", made["w"].grad)
reveal("the gradient in x", made["x"].grad)
draw_graph(both_ways, names=made)

# %% [markdown]
# One walk backward found *all* of them. That is reverse-mode differentiation (Linnainmaa, 1970): the gradient in all weights together costs at most a few times as much
# as $L$ itself (Griewank and Walther, 2008).
#
# ## What a tape must remember
#
# Each result remembers what it was made of (`parents`), and a function `gradients` that turns $g^y$ into one share for each parent. The record of all steps is called
# a tape. It is written while the formula is computed.


# %%
class Tensor:
    """A value, what it was made of, and how its gradient is shared out among those."""

    def __init__(self, data, parents=(), gradients=None):
        self.data = np.asarray(data, float)
        self.parents = parents  # what it was made of; () for a tensor that was given
        self.gradients = gradients  # gy -> a tuple, one share for each parent, or None
        self.grad = np.zeros_like(self.data)


def subtract(a, b):
    """Return a - b."""

    def gradients(gy):
        return unbroadcast(gy, a.data.shape), unbroadcast(-gy, b.data.shape)

    return Tensor(a.data - b.data, (a, b), gradients)


# %% [markdown]
# ### Exercise 1: what broadcasting repeats, its gradient adds
#
# The shares are $g^y$ and $-g^y$, clear enough. But what is `unbroadcast`? NumPy lets you add a bias of shape (3,) to an array of shape (2, 3): it uses the bias in each row. So each
# bias value is used twice, and by (1) its two gradients add:

# %%
values, bias = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[10.0, 20, 30]])
upstream = np.array([[1.0, 0, 2], [3, 1, 1]])
gb = upstream.sum(axis=0, keepdims=True)
show_arrays(
    {"x": values, "b": bias, "y = x + b": values + bias, "gy": upstream, "gb": gb},
    ("input", "kernel", "output", "gradient", "gradient"),
    between=("+", "=", "", "→"),
)

# %% [markdown]
# Write it for any shapes. NumPy lines shapes up at their *last* axis. Two things can have happened to an operand: axes were put in front, or an axis of size 1 was repeated. Sum over both
# kinds, so that the result has exactly the operand's shape. `a.sum(axis=0)` removes an axis, `a.sum(axis=1, keepdims=True)` keeps it with size 1.


# %%
def unbroadcast(gradient, shape):
    """Return the gradient summed over the axes along which `shape` was repeated."""
    ### BEGIN SOLUTION
    while gradient.ndim > len(shape):
        gradient = gradient.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient
    ### END SOLUTION


# %%
checks.unbroadcast(unbroadcast)

# %% [markdown]
# ### Exercise 2 and 3: multiply, relu
#
# Write both as `subtract` is written. $\text{relu}(a) = \max(a, 0)$, element by element; its derivative is 1 where $a > 0$ and 0 elsewhere. With one parent the tuple has one entry: `(share,)`.


# %%
def multiply(a, b):
    """Return a * b."""

    ### BEGIN SOLUTION
    def gradients(gy):
        in_a, in_b = gy * b.data, gy * a.data
        return unbroadcast(in_a, a.data.shape), unbroadcast(in_b, b.data.shape)

    return Tensor(a.data * b.data, (a, b), gradients)
    ### END SOLUTION


def relu(a):
    """Return max(a, 0)."""

    ### BEGIN SOLUTION
    def gradients(gy):
        return (gy * (a.data > 0),)

    return Tensor(np.maximum(a.data, 0), (a,), gradients)
    ### END SOLUTION


# %%
checks.multiply(multiply)
checks.relu(relu)

# %% [markdown]
# Two more ops are given: addition, and the sum along an axis. A sum hands its gradient to everything that was summed. And the operators learn to call them.


# %%
def add(a, b):
    """Return a + b."""

    def gradients(gy):
        return unbroadcast(gy, a.data.shape), unbroadcast(gy, b.data.shape)

    return Tensor(a.data + b.data, (a, b), gradients)


def total(a, axis=None):
    """Return the sum along an axis, or of all; the axis stays, with size 1."""

    def gradients(gy):
        return (np.broadcast_to(gy, a.data.shape),)

    return Tensor(a.data.sum(axis, keepdims=True), (a,), gradients)


Tensor.__add__, Tensor.__sub__, Tensor.__mul__ = add, subtract, multiply

# %% [markdown]
# ## The walk that seems obvious
#
# Add what arrives to `grad`, compute the shares, do the same with each parent. Try it on
#
# $$b = a + a, \qquad c = b + b, \qquad \text{so } c = 4a .$$


# %%
arrivals = []


def walk_naively(y, gy):
    """Hand the gradient to y and to everything behind it. It has a fault."""
    arrivals.append((y, gy))
    y.grad = y.grad + gy
    if y.parents:
        for parent, share in zip(y.parents, y.gradients(y.grad), strict=True):
            walk_naively(parent, share)


# %% [markdown]
# The right answer is 4. Follow the walk with a pencil, line by line: which number does it leave in `a.grad`?

# %%
left_in_a = ...
### BEGIN SOLUTION
left_in_a = 6
### END SOLUTION
predict("what the naive walk leaves in a.grad", left_in_a)

# %%
a = Tensor(1.0)
b = a + a
c = b + b
walk_naively(c, np.ones(()))
reveal("what the naive walk leaves in a.grad", a.grad)
figure, axes = plt.subplots(figsize=(7.5, 1.8), layout="constrained")
circle = {"boxstyle": "circle", "fc": "#D9E8F2", "ec": "#0072B2"}
arrow = {"arrowstyle": "->", "shrinkA": 16, "shrinkB": 16}
for place, (name, y) in zip((0, 2, 4), {"a": a, "b": b, "c": c}.items(), strict=True):
    came = " + ".join(f"{gy:g}" for tensor, gy in arrivals if tensor is y)
    came += f" = {y.grad:g}" if "+" in came else ""
    axes.text(place, 0, name, ha="center", va="center", fontsize=13, bbox=circle)
    axes.text(place, -0.75, came, ha="center", color="#CC79A7")
    for bend in (-0.35, 0.35) if y.parents else ():
        bent = arrow | {"connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", (place, 0), (place - 2, 0), arrowprops=bent)
axes.text(4.6, -0.75, "what arrived on the way back", va="center", color="#CC79A7")
axes.set(xlim=(-0.8, 7), ylim=(-1.1, 0.9))
axes.axis("off")
plt.show()

# %% [markdown]
# Two arrows lead from $b$ to $c$. The walk comes to $b$ by the first and hands 1 to $a$, along both of its arrows. Then it comes to $b$ by the second, where `b.grad` is 2 by now, and hands on 2, twice:
# the first 1 is sent once more. $1 + 1 + 2 + 2 = 6$.
#
# A first repair: hand on `y.gradients(gy)`, what has *just arrived*, instead of `y.gradients(y.grad)`. Now every path from the loss to $a$ brings its own product, and (1) holds. How many calls does that take if the doubling
# is done ten times, $b_1 = a + a, \dots, b_{10} = b_9 + b_9$?

# %%
calls = ...
### BEGIN SOLUTION
calls = 2047
### END SOLUTION
predict("calls for ten doublings, path by path", calls)


# %%
def walk_paths(y, gy):
    """Hand the gradient on along every path, and return the number of calls."""
    y.grad = y.grad + gy
    shares = y.gradients(gy) if y.parents else ()
    behind = zip(y.parents, shares, strict=True)
    return 1 + sum(walk_paths(parent, share) for parent, share in behind)


counts = []
for doublings in range(1, 13):
    a = y = Tensor(1.0)
    for _ in range(doublings):
        y = y + y
    counts.append(walk_paths(y, np.ones(())))
    assert a.grad == 2**doublings
reveal("calls for ten doublings, path by path", counts[9])
figure, axes = plt.subplots(figsize=(5.5, 3), layout="constrained")
doubled = range(1, 13)
axes.semilogy(doubled, counts, "o-", color="#D55E00", label="calls, path by path")
tensors = [doublings + 1 for doublings in doubled]
axes.semilogy(doubled, tensors, "o-", color="#009E73", label="tensors in the graph")
axes.set(xlabel="doublings", ylabel="number")
axes.legend()
plt.show()

# %% [markdown]
# Right, and useless. The graph has 11 tensors, and each ought to be passed *once*: at the moment when all its gradients have arrived.
#
# ### Exercise 4: the order
#
# So we need an order in which every tensor stands **before its parents**. Then whatever was made *from* a tensor has already handed its share over when the tensor's turn comes. It is called a reverse
# topological order.
#
# A recipe: to *visit* a tensor, first visit each of its parents, then write the tensor down. Skip what was visited before. When the last tensor has been visited, every tensor stands *after* its parents. Reverse the list.


# %%
def order(last):
    """Return `last` and all tensors behind it, each once and before its parents."""
    ### BEGIN SOLUTION
    written = []

    def visit(y):
        if y not in written:
            for parent in y.parents:
                visit(parent)
            written.append(y)

    visit(last)
    return written[::-1]
    ### END SOLUTION


# %%
checks.order(order)

# %% [markdown]
# ### Exercise 5: backward
#
# Set every `grad` behind `last` to zeros of its shape, and that of `last` to ones. Then pass the tensors in `order`: share out `y.grad`, once, and add each share to its parent's `grad`.


# %%
def backward(last):
    """Fill `grad` of `last` and of everything behind it."""
    ### BEGIN SOLUTION
    for y in order(last):
        y.grad = np.zeros_like(y.data)
    last.grad = np.ones_like(last.data)
    for y in order(last):
        if y.parents:
            for parent, share in zip(y.parents, y.gradients(y.grad), strict=True):
                parent.grad = parent.grad + share
    ### END SOLUTION


# %%
checks.backward(backward)

# %%
made = smallest(Tensor)
backward(made["L"])
by_library = smallest(lambda value: tinyunet.Tensor(value, requires_grad=True))
by_library["L"].backward()
for name in "wxbt":
    yours, its = made[name].grad, by_library[name].grad
    print(f"{name}: {yours:g} from your tape, {its:g} from the library")
    assert np.isclose(yours, its)

# %% [markdown]
# ## It trains
#
# A network with one hidden layer of 16 numbers: $\hat t = \sum_k v_k \,\text{relu}(w_k x + b_k)$. Sixteen bent lines are to add up to a sine. Every step computes the loss, walks backward, and moves each weight a little against its gradient.

# %%
rng = np.random.default_rng(0)
x, t = np.linspace(-1, 1, 40)[:, None], np.sin(4 * np.linspace(-1, 1, 40))[:, None]
w, b = Tensor(rng.normal(size=(1, 16))), Tensor(rng.uniform(-1, 1, (1, 16)))
v = Tensor(rng.normal(size=(1, 16)) / 4)
losses, stages = [], {}
for step in range(1001):
    guess = total(relu(Tensor(x) * w + b) * v, axis=1)
    error = guess - Tensor(t)
    loss = total(error * error)
    backward(loss)
    losses.append(loss.data.item() / len(x))
    if step in (0, 30, 1000):
        stages[f"after {step} steps"] = guess.data
    for weight in (w, b, v):
        weight.data -= 0.002 * weight.grad

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.semilogy(losses, color="#0072B2")
left.set(xlabel="step", ylabel="mean squared error", title="the loss")
right.plot(x, t, "k.", label="wanted")
colours = ("#BBBBBB", "#E69F00", "#009E73")
for (title, line), colour in zip(stages.items(), colours, strict=True):
    right.plot(x, line, color=colour, label=title)
right.set(ylim=(-1.4, 2.8), xticks=(-1, 0, 1), title="the network")
right.legend(fontsize=8, ncols=2, loc="upper center")
plt.show()

# %% [markdown]
# ## Is it right? Finite differences
#
# A loss that falls proves little: half-wrong gradients train, too. The definition of the derivative is a test that knows nothing of your tape. Move one number $x_i$ a little to both sides:
#
# $$g_i \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h} \qquad (2)$$
#
# where $e_i$ is 1 at $i$ and 0 elsewhere. Its error is of order $h^2$, because the even terms of the Taylor series cancel.
#
# ### Exercise 6: central differences


# %%
def central_differences(f, x, h):
    """Return the gradient of the number f(x) in the array x, by (2); x stays."""
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient
    ### END SOLUTION


# %%
checks.central_differences(central_differences)

# %% [markdown]
# The smaller the step, the better? Float64 numbers have 16 digits, and (2) subtracts two that are nearly equal. Which $h = 10^{-k}$ is best, for a function of moderate size such as $\sum_i \sin(3 x_i)$? Guess $k$.

# %%
k_best = ...
### BEGIN SOLUTION
k_best = 6
### END SOLUTION
predict("the best k for h = 10^-k", k_best)


# %%
def sines(x):
    return np.sin(3 * x).sum()


points, errors = rng.normal(size=20), {}
for k in range(1, 13):
    found = central_differences(sines, points, 10.0**-k)
    errors[k] = np.abs(found - 3 * np.cos(3 * points)).max()
figure, axes = plt.subplots(figsize=(5.5, 3), layout="constrained")
axes.loglog([10.0**-k for k in errors], list(errors.values()), "o-", color="#CC79A7")
axes.set(xlabel="step h", ylabel="largest error")
axes.set_title("too large: Taylor's error; too small: rounding")
plt.show()
reveal("the best k for h = 10^-k", min(errors, key=errors.get), tolerance=0.17)

# %% [markdown]
# To the right the slope is 2. To the left rounding grows as $10^{-16} / h$. They meet near the cube root of $10^{-16}$. With that step, your tape under test. Then the library's: every op of arithmetic has its own derivative, and one formula tests them all.


# %%
def network(weights):
    """Return the loss of the network above for other weights w, on your tape."""
    error = total(relu(Tensor(x) * weights + b) * v, axis=1) - Tensor(t)
    return total(error * error)


tested = Tensor(w.data + 0.01)
backward(network(tested))
numeric = central_differences(
    lambda w: network(Tensor(w)).data.item(), tested.data, 1e-5
)
off, largest = np.abs(tested.grad - numeric).max(), np.abs(numeric).max()
print(f"your tape: off by {off:.1e}, gradients up to {largest:.1f}")
off = check_gradients(lambda p: F.relu(p * p - 0.5), points)
print(f"the library's relu: off by {off:.1e}")


def formula(a, b):
    return (F.exp(a) / b**2 - F.log(b) * a + a).reshape(4, 5).sum(axis=0)


off = check_gradients(formula, points, np.abs(points) + 0.5)
print(f"nine of its other ops: off by {off:.1e}")

# %% [markdown]
# ## Where it sits in the UNet
#
# The library's tape (`tinyunet/autograd.py`) is yours with three changes. It records *ops* and lets go of arrays that nobody needs. It numbers them as they are made, and since an op can only use
# what exists, the numbers are an order: no recursion. And it says what is wrong when something is. Below is the tape of a small UNet; click a box to unfold it.

# %%
draw_graph(UNet(1, 2, base_channels=8, depth=2), (1, 1, 64, 64))

# %% [markdown]
# For `multiply` the tape needs `a.data` and `b.data` until backward has passed. So training keeps what inference can forget. Which takes more bytes for one image of 256 x 256: the *weights* of a UNet with base 16, or what its *tape* keeps?

# %%
larger = ...
### BEGIN SOLUTION
larger = "tape"
### END SOLUTION
predict("weights or tape", larger)

# %%
model = UNet(1, 2, base_channels=16)
scores = model(np.zeros((1, 1, 256, 256), np.float32))
weights = {id(p.data): p.data.nbytes for p in model.parameters()}
saved = [a for op in ops_behind(scores.creator) for a in op.saved if a is not None]
tape = {id(array): array.nbytes for array in saved}
kept = sum(tape[key] for key in tape.keys() - weights.keys())
print(f"weights {sum(weights.values()) / 2**20:.0f} MiB, tape {kept / 2**20:.0f} MiB")
reveal("weights or tape", "tape" if kept > sum(weights.values()) else "weights")

# %% [markdown]
# ## What goes wrong in practice
#
# - **Yesterday's gradients.** The library, like PyTorch, *adds* to `grad` in each backward. Clear it before the next (`optimizer.zero_grad()`).
# - **A value overwritten after use.** `a.data += 1` between forward and backward, and `multiply` uses the wrong $a$. No test of the tape sees that.
# - **A tape nobody wants.** Evaluation without `tinyunet.no_grad()` keeps all of it.
# - **Backward twice, or NaN.** The library names the place:

# %%
y = (tinyunet.Tensor(np.array([1.0, 2.0]), requires_grad=True) ** 2).sum()
y.backward()
try:
    y.backward()
except tinyunet.GraphError as error:
    print(error)
try:
    with tinyunet.debug(2):
        F.relu(tinyunet.Tensor(np.array([1.0, np.nan])))
except tinyunet.NonFiniteError as error:
    print(str(error).partition(" (")[0], "... (here it says the line and the layer)")

# %% [markdown]
# ## Recap
#
# A gradient is a sum over paths, and a walk in reverse topological order adds it up with one visit for each value. Each op knows its own derivative and nothing else.
#
# Three questions to take along:
# 1. `b = a + a` fills `a.grad` with 2. Which line of yours makes it 2 and not 1?
# 2. What is $g^a$ for $y = a \cdot a$, from `multiply` alone? Does that agree with school?
# 3. The order could also go breadth first, tensor by tensor as the walk meets them. Find a graph of three tensors where that fails.
