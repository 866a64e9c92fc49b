# %% [markdown]
# # Walking downhill: SGD, momentum, Adam
#
# *Lesson 08 · about 75 minutes · before it: 01, a gradient tape; 07, what to minimise*
#
# You will be able to
# - write the update rules of SGD, momentum and Adam, and say what each remedies,
# - choose a learning rate, and tell from a curve that it is too large or too small,
# - derive with which random weights a deep network must begin, and what batch normalisation mends,
# - test whether a network can learn at all, in a minute, on one batch.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Parameter, UNet, check_gradients, no_grad
from tinyunet import functional as F
from tinyunet.data.toy import Toy
from tinyunet.nn.init import he, torch_default
from tinyunet.optim import SGD, Adam, Constant, Cosine, Poly, Step
from tinyunet.plot import CLASS_COLOURS, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import optimizers as checks
from tinyunet.teaching.figures import show_images

# %% [markdown]
# ## Three walkers in one picture
#
# The article says "choose Adam or SGD" (3.2) and gives no formula. Here are three optimizers in a ravine,
# $L = \frac12 (a^2 + 25\,b^2)$. The lines are its contours. All start at the left and take 25 steps. The cross is the lowest point.

# %%
curvature, start = np.array([1.0, 25.0]), np.array([-10.0, 1.0])


def by_library(make, steps=25):
    """Return the places, (steps + 1, 2), that an optimizer of the library passes."""
    place = Parameter(start.copy())
    optimizer, path = make([place]), [start]
    for _ in range(steps):
        optimizer.zero_grad()
        ((place * place * curvature).sum() * 0.5).backward()
        optimizer.step()
        path.append(place.data.copy())
    return np.array(path)


# %%
def draw_paths(paths):
    """Draw each path on the contours of the ravine."""
    a, b = np.meshgrid(np.linspace(-11, 4, 150), np.linspace(-1.6, 1.6, 120))
    loss, levels = (a**2 + 25 * b**2) / 2, [0.5, 2, 5, 10, 20, 35, 55]
    size = (11, 2.6)
    figure, panels = plt.subplots(1, len(paths), figsize=size, layout="constrained")
    for axes, title, colour in zip(panels, paths, CLASS_COLOURS, strict=False):
        axes.contour(a, b, loss, levels=levels, colors="#CCCCCC", linewidths=0.8)
        axes.plot(*paths[title].T, ".-", color=colour)
        axes.plot(0, 0, "kx")
        end = (paths[title][-1] ** 2 @ curvature) / 2
        axes.set(title=f"{title}: L = {end:.2g} at the end", xlabel="a", ylabel="b")
    plt.show()


draw_paths(
    {
        "SGD": by_library(lambda p: SGD(p, lr=0.07)),
        "momentum": by_library(lambda p: SGD(p, lr=0.03, momentum=0.7)),
        "Adam": by_library(lambda p: Adam(p, lr=0.5)),
    }
)

# %% [markdown]
# The gradient points straight downhill. Why does the first walker zigzag, and creep where it should run?
#
# ## The formula
#
# All weights together are $w$, the gradient of the loss at step $t = 1, 2, \dots$ is $g_t$, the learning rate is $\eta$. **Gradient descent** is
#
# $$w \leftarrow w - \eta\, g_t \qquad (1)$$
#
# The S of SGD, *stochastic*, comes below.
#
# **By hand.** Take one direction of the ravine, $L = \frac12 \kappa\, w^2$, where $\kappa$ is its curvature: how steep the walls are. The gradient is $\kappa\,w$, so (1) multiplies $w$ by a fixed number:
# $w \leftarrow (1 - \eta \kappa)\, w$. For $\kappa = 1$, $\eta = 0.07$ this is $0.93\,w$: seven percent per step. For $\kappa = 25$ it is $-0.75\,w$: across to the other wall.
#
# Predict: for $\kappa = 25$, what is the largest $\eta$ with which $w$ does not grow?

# %%
largest = ...
### BEGIN SOLUTION
largest = 0.08
### END SOLUTION
predict("largest learning rate for curvature 25", largest)

# %%
rates = np.arange(10, 120) / 1000
after = np.abs(1 - rates * 25) ** 60
largest = rates[after <= 1 + 1e-9].max()
reveal("largest learning rate for curvature 25", largest, tolerance=0.03)
w, chosen = np.linspace(-1.7, 1.7, 100), (0.01, 0.07, 0.084)
figure, panels = plt.subplots(
    1, 3, figsize=(10, 2.4), layout="constrained", sharey=True
)
for axes, rate in zip(panels, chosen, strict=True):
    path = (1 - rate * 25) ** np.arange(7)
    axes.plot(w, 12.5 * w**2, color="#CCCCCC")
    axes.plot(path, 12.5 * path**2, ".-", color="#0072B2")
    axes.set(title=f"learning rate {rate}: factor {1 - 25 * rate:.2g}", xlabel="w")
panels[0].set_ylabel("L")
plt.show()

# %% [markdown]
# Each dot is a step, on the grey curve of the loss. The step must satisfy $|1 - \eta \kappa| \le 1$, that is $\eta \le 2/\kappa$, for the *steepest* direction. All flat directions must then live with that step. Nothing
# keeps the curvatures of a network's many weights close together. The other two rules deal with that.
#
# ## Momentum
#
# Give the walker mass. Keep a velocity $v$ that remembers earlier gradients and forgets them slowly (Polyak, 1964):
#
# $$v \leftarrow \mu\, v + g_t, \qquad w \leftarrow w - \eta\, v \qquad\text{with } v = 0 \text{ at first} \qquad (2)$$
#
# Across the ravine the gradients change sign and cancel. Along it they agree and add up.
#
# ### Exercise 1: one step with momentum


# %%
def momentum_step(w, g, v, lr, mu):
    """Return the new (w, v) by formula (2)."""
    ### BEGIN SOLUTION
    v = mu * v + g
    return w - lr * v, v
    ### END SOLUTION


# %%
checks.momentum_step(momentum_step)

# %% [markdown]
# On a long even slope the gradient is the same in every step. Predict: with $\mu = 0.9$, how many times as long as the steps of (1) do the steps become in the end?

# %%
gain = ...
### BEGIN SOLUTION
gain = 10
### END SOLUTION
predict("how much longer the steps become at mu = 0.9", gain)

# %%
speeds = {}
for mu in (0.0, 0.5, 0.9):
    v, speeds[mu] = 0.0, []
    for _ in range(50):
        _, v = momentum_step(0.0, 1.0, v, 1.0, mu)
        speeds[mu].append(v)
reveal("how much longer the steps become at mu = 0.9", speeds[0.9][-1], tolerance=0.02)
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
for (mu, speed), colour in zip(speeds.items(), CLASS_COLOURS, strict=False):
    axes.plot(range(1, 51), speed, color=colour, label=f"momentum {mu}")
axes.set(xlabel="step", ylabel="length, in steps of (1)")
axes.legend()
plt.show()

# %% [markdown]
# $1 + \mu + \mu^2 + \dots = 1/(1-\mu)$. So with momentum 0.9 choose a learning rate ten times smaller.
#
# ## Adam
#
# Another idea: give every single weight a step of its own size. Adam (Kingma and Ba, 2015) keeps two running means for each weight, of the gradient
# and of its square. All squares and roots below are taken weight by weight:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\, g_t, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g_t^2 \qquad (3)$$
#
# Both start at 0 and are therefore too small at first. By how much? If every gradient is $g$, then
# $m_1 = (1-\beta_1)\,g$, and unrolled $m_t = (1-\beta_1)(1 + \beta_1 + \dots + \beta_1^{t-1})\,g = (1 - \beta_1^t)\,g$. So divide by that factor. This is the **bias correction**:
#
# $$\hat m = \frac{m}{1-\beta_1^t}, \qquad \hat v = \frac{v}{1-\beta_2^t}, \qquad w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon} \qquad (4)$$
#
# The tiny $\varepsilon$ keeps 0/0 away. Predict: $\eta = 0.1$, and the first gradient is 1000. How far does Adam's first step go?

# %%
first = ...
### BEGIN SOLUTION
first = 0.1
### END SOLUTION
predict("Adam's first step at gradient 1000", first)

# %%
steep = Parameter(np.zeros(1))
steep.grad = np.array([1000.0])
Adam([steep], lr=0.1).step()
reveal("Adam's first step at gradient 1000", abs(steep.data[0]), tolerance=1e-3)

# %% [markdown]
# In the first step $\hat m = g$ and $\sqrt{\hat v} = |g|$. The size of the gradient cancels, its sign stays. Later steps are usually no longer, and shorter where the sign of $g$
# keeps changing. So $\eta$ is a *length*: how far a weight may go per step.
#
# ### Exercise 2: two Adam steps by hand
#
# Take a pencil. $w = 1$, $\eta = 0.1$, $\beta_1 = 0.5$, $\beta_2 = 0.9$, $\varepsilon = 0$. The first gradient is 2, the second is $-2$. What is $w$ after each step? Four digits suffice.

# %%
two_steps = ..., ...
### BEGIN SOLUTION
two_steps = 0.9, 0.9333
### END SOLUTION

# %%
checks.two_adam_steps(two_steps)

# %% [markdown]
# ### Exercise 3: Adam
#
# Return $m$ and $v$ as in (3), *not* corrected: the next step goes on with them. $\varepsilon$ stands outside the root.


# %%
def adam_step(w, g, m, v, t, lr, beta1, beta2, eps):
    """Return the new (w, m, v) by formulas (3) and (4); t is 1 in the first step."""
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return w, m, v
    ### END SOLUTION


# %%
checks.adam_step(adam_step)

# %% [markdown]
# What is the correction good for? On the left the gradient is always 1, so each step should be one $\eta$ long. On the right your function walks in the ravine,
# and the library's beside it.

# %%
steps, m, v, w, path = np.arange(1, 201), np.zeros(2), np.zeros(2), start, [start]
for t in range(1, 26):
    w, m, v = adam_step(w, curvature * w, m, v, t, 0.5, 0.9, 0.999, 1e-8)
    path.append(w)
library = by_library(lambda p: Adam(p, lr=0.5))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
uncorrected = (1 - 0.9**steps) / np.sqrt(1 - 0.999**steps)
left.plot(steps, uncorrected, color="#D55E00", label="without correction")
left.plot(steps, np.ones(200), color="#009E73", label="with")
left.set(xlabel="step", ylabel="length of the step, in lr", ylim=(0, 8))
left.legend()
right.plot(*library.T, "o", color="#BBBBBB", label="library")
right.plot(*np.array(path).T, ".-", color="#009E73", label="yours")
right.set(xlabel="a", ylabel="b")
right.legend()
plt.show()
print(f"without correction the longest step is {uncorrected.max():.1f} times too long")
off = np.abs(library - path).max()
print(f"largest difference between yours and the library's: {off:.1e}")

# %% [markdown]
# Is Adam the best, then? In the picture at the top momentum and Adam both arrived, each with a learning rate chosen for it. nnU-Net trains with SGD and momentum 0.99 (Isensee et al., 2021). The article's "Adam or SGD" is
# right: both work, each with its own learning rate.
#
# ## Why stochastic
#
# The loss is a mean over all images, and so is its gradient. A **batch** of $N$ random images gives an estimate of it, for a small part of the work. How good is the estimate? Predict: a batch of
# 16 instead of 4 images makes its error how many times smaller?

# %%
smaller = ...
### BEGIN SOLUTION
smaller = 2
### END SOLUTION
predict("how many times smaller the error of 16 images is", smaller)

# %%
data = Toy("tumour", count=32, size=(32, 32))
images = np.stack([s.image for s in data]) / 255
masks = np.stack([s.mask for s in data])
model = UNet(1, 2, base_channels=4, depth=1, norm=None)
gradients = []
for k in range(32):
    model.zero_grad()
    F.cross_entropy(model(images[k : k + 1]), masks[k : k + 1]).backward()
    gradients.append(np.concatenate([p.grad.ravel() for p in model.parameters()]))

# %%
gradients, rng = np.array(gradients), np.random.default_rng(0)
whole, sizes, errors = gradients.mean(0), (1, 2, 4, 8, 16, 32), []
for N in sizes:
    drawn = [gradients[rng.choice(32, N)].mean(0) - whole for _ in range(400)]
    errors.append(np.sqrt(np.mean(np.square(drawn).sum(1))) / np.linalg.norm(whole))
ratio = errors[2] / errors[4]
reveal("how many times smaller the error of 16 images is", ratio, tolerance=0.1)
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
axes.loglog(sizes, errors, "o", color="#CC79A7", label="measured")
axes.loglog(sizes, errors[0] / np.sqrt(sizes), color="#BBBBBB", label="1 / root of N")
axes.set(xlabel="images in the batch", ylabel="error of the gradient")
axes.legend()
plt.show()

# %% [markdown]
# A mean of $N$ independent numbers scatters by $1/\sqrt N$. Four times the work halves the error. That is why batches are small, and why one takes many steps instead of few exact ones.
#
# ## Where to start
#
# Weights begin at random. How large? One output of a convolution is a sum of $F = C \cdot KH \cdot KW$ products $x\,w$. If the $w$ are independent with mean 0 and
# standard deviation $\sigma$, then the variances of the products add. With $\overline{x^2}$ for the mean of the squares of $x$,
#
# $$\text{Var}(y) = F\, \sigma^2\, \overline{x^2} .$$
#
# And $x$ is itself a ReLU of the layer before. That one's outputs lie evenly around 0, and ReLU sets half of them to 0, so $\overline{x^2} = \frac12 \text{Var}(y_\text{before})$. Each layer multiplies the variance by $\frac12 F \sigma^2$. To keep it, that must be 1
# (He et al., 2015):
#
# $$\sigma = \sqrt{\frac{2}{C \cdot KH \cdot KW}} \qquad (5)$$
#
# ### Exercise 4: He's standard deviation


# %%
def he_std(shape):
    """Return sigma by formula (5) for weights of this shape, (O, C, KH, KW)."""
    ### BEGIN SOLUTION
    _, C, KH, KW = shape
    return np.sqrt(2 / (C * KH * KW))
    ### END SOLUTION


# %%
checks.he_std(he_std)

# %% [markdown]
# Predict: if all weights are half as large as (5) says, what is left after ten layers, as a share of what it would be?

# %%
share = ...
### BEGIN SOLUTION
share = 0.001
### END SOLUTION
predict("signal after ten layers with half of He's weights", share)

# %%
shape = (48, 48, 3, 3)
signal = np.random.default_rng(0).normal(size=(1, 48, 40, 40)).astype(np.float32)
starts = {
    "He": lambda rng: he(rng, shape, 48 * 9),
    "half of it": lambda rng: he(rng, shape, 48 * 9) / 2,
    "twice": lambda rng: he(rng, shape, 48 * 9) * 2,
    "PyTorch's default": lambda rng: torch_default(rng, shape, 48 * 9),
}


def spreads(draw, normalize=lambda y: y, layers=10):
    """Return the standard deviation behind each convolution of a deep chain."""
    rng, x, found = np.random.default_rng(1), signal, []
    with no_grad():
        for _ in range(layers):
            y = normalize(F.conv2d(x, draw(rng), padding=1).data)
            found.append(y.std())
            x = np.maximum(y, 0)
    return found


plain = {name: spreads(draw) for name, draw in starts.items()}
share = plain["half of it"][-1] / plain["He"][-1]
reveal("signal after ten layers with half of He's weights", share, tolerance=0.1)

# %% [markdown]
# $(1/2)^{10} = 1/1024$. The fourth one is what the article's listing gets, since it does not choose: evenly between $\pm 1/\sqrt F$, so $\sigma^2 = 1/(3F)$, and a layer keeps
# $\sqrt{1/6} = 0.41$ of the signal. (PyTorch draws biases as well, which are left out here.)
#
# ## Batch normalisation
#
# Or force every layer's output to mean 0 and variance 1 (Ioffe and Szegedy, 2015). Each channel $c$ has its own mean $\mu_c$ and variance $\sigma_c^2$, taken over all images and pixels of the batch, and two learned numbers, $\gamma_c$ and $\beta_c$. With them a layer can undo it where that is better:
#
# $$\hat y_{n,c,i,j} = \gamma_c\, \frac{y_{n,c,i,j} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c \qquad (6)$$
#
# ### Exercise 5: batch normalisation
#
# `y.mean(axis=(0, 2, 3), keepdims=True)` has one number for each channel, and `gamma[:, None, None]` lines up with the channels of `y`.


# %%
def batch_norm(y, gamma, beta, eps):
    """Return (6); y is (N, C, H, W), gamma and beta are (C,)."""
    ### BEGIN SOLUTION
    mean, variance = (f(axis=(0, 2, 3), keepdims=True) for f in (y.mean, y.var))
    normal = (y - mean) / np.sqrt(variance + eps)
    return gamma[:, None, None] * normal + beta[:, None, None]
    ### END SOLUTION


# %%
checks.batch_norm(batch_norm)

# %%
ones = np.ones(48, np.float32)


def normalize(y):
    return batch_norm(y, ones, 0 * ones, 1e-5)


both = {"without": plain}
both["with batch normalisation"] = {
    name: spreads(draw, normalize) for name, draw in starts.items()
}
figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for axes, (title, curves) in zip(panels, both.items(), strict=True):
    for (name, curve), colour in zip(curves.items(), CLASS_COLOURS, strict=False):
        axes.semilogy(range(1, 11), curve, "o-", markersize=4, color=colour, label=name)
    axes.set(title=title, xlabel="layer", ylabel="standard deviation")
panels[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# On the right four curves lie on each other. In use, on a single image, there is no batch, so the layer keeps running means of $\mu_c$ and $\sigma_c^2$ and takes those.
#
# And backward? A change of one pixel moves $\mu_c$ and $\sigma_c$, and with them *every* output of its channel. The gradient has terms for that (`help(F.batch_norm2d)`), and they are easily forgotten. **Group normalisation** (Wu and He, 2018) is (6)
# with means over one image and a group of its channels; no other image enters. Finite differences of both:

# %%
y, gamma, beta = (rng.normal(size=shape) for shape in ((2, 4, 3, 3), 4, 4))


def by_batch(y, gamma, beta):
    running = {"running_mean": np.zeros(4), "running_var": np.ones(4)}
    return F.batch_norm2d(y, gamma, beta, training=True, **running)


def by_group(y, gamma, beta):
    return F.group_norm(y, gamma, beta, groups=2)


for norm in (by_batch, by_group):
    print(f"{norm.__name__}: off by {check_gradients(norm, y, gamma, beta):.1e}")

# %% [markdown]
# ## Schedules
#
# Near the goal the noise of the batches is larger than the slope. Smaller steps average it out. So $\eta$ is multiplied by a factor that falls during the $T$ steps of a run, here along a cosine (Loshchilov and Hutter, 2017). In
# its first $T_w$ steps, while Adam's means are still poor, it may rise (*warm-up*). With $t = 0, 1, \dots$
#
# $$f(t) = \frac12 \Big(1 + \cos\frac{\pi t}{T}\Big) \cdot \min\Big(1, \frac{t+1}{T_w+1}\Big) \qquad (7)$$
#
# ### Exercise 6: cosine with warm-up


# %%
def cosine(t, T, warm_up):
    """Return the factor of the learning rate in step t by (7); warm_up may be 0."""
    ### BEGIN SOLUTION
    return (1 + np.cos(np.pi * t / T)) / 2 * min(1, (t + 1) / (warm_up + 1))
    ### END SOLUTION


# %%
checks.cosine(cosine)

# %% [markdown]
# Yours beside the library's schedules: constant; *step*, which divides by ten after each third; *poly*, $(1 - t/T)^{0.9}$; and the cosine.

# %%
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for kind, colour in zip((Constant, Step, Poly, Cosine), CLASS_COLOURS, strict=False):
    factors = [kind(100)(t) for t in range(100)]
    axes.plot(factors, color=colour, label=kind.__name__.lower())
axes.plot([cosine(t, 100, 10) for t in range(100)], "k:", label="yours, warm-up 10")
axes.set(xlabel="step", ylabel="factor")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Overfit one batch
#
# Before a long run, ask whether the network can learn *anything*. Take one batch and learn it by heart. If that fails, a whole data set is hopeless.
#
# ### Exercise 7: the training loop
#
# One step: forget the old gradients (`optimizer.zero_grad()`), compute `F.cross_entropy_dice(model(images), masks)`, go backward, `optimizer.step()`. Note the loss as a number (`loss.item()`).


# %%
def learn(model, optimizer, images, masks, steps):
    """Train on this one batch; return a list with the loss before each step."""
    losses = []
    ### BEGIN SOLUTION
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy_dice(model(images), masks)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ### END SOLUTION
    return losses


# %%
checks.learn(learn)

# %% [markdown]
# Adam learns the same four images with four learning rates, 0.0001, 0.003, 0.1 and 3. Which is lowest after 40 steps?

# %%
best_rate = ...
### BEGIN SOLUTION
best_rate = 0.1
### END SOLUTION
predict("the best of four learning rates", best_rate)

# %%
curves, found = {}, {}
for rate in (0.0001, 0.003, 0.1, 3.0):
    model = UNet(1, 2, base_channels=4, depth=1)
    optimizer = Adam(model.parameters(), rate)
    with one_thread():  # see lesson 06
        curves[rate] = learn(model, optimizer, images[:4], masks[:4], 40)
    with no_grad():
        labels = model(images[:4]).data[0].argmax(0)
    found[f"learning rate {rate:g}"] = paint(images[0], labels)
best = min(curves, key=lambda rate: curves[rate][-1])
reveal("the best of four learning rates", best)
figure, axes = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
for (rate, curve), colour in zip(curves.items(), CLASS_COLOURS, strict=False):
    axes.semilogy(curve, color=colour, label=f"{rate:g}")
axes.set(xlabel="step", ylabel="loss")
figure.legend(loc="outside right upper", title="learning rate", fontsize=8)
plt.show()

# %%
show_images({"truth": paint(images[0], masks[0])} | found, columns=5)

# %% [markdown]
# Too small: the curve hardly falls. Too large: it jumps upward first, then struggles. Search with factors of three or ten, not of 1.1. And note that a mask can look right
# long before the loss is low.
#
# ## Where it sits in the UNet
#
# In `tinyunet/training/trainer.py` the method `step` is your loop, with the schedule and the clipping of gradients (below) between. `--optimizer`, `--lr`, `--batch-size`, `--schedule`, `--warm-up` and `--norm` of
# `tinyunet train` are the choices of this lesson. The library's convolutions start with (5), those of `UNet.article()` with PyTorch's default. Adam keeps two numbers per weight: a file for
# going on later is three times as large as the weights.
#
# ## What goes wrong in practice
#
# - **The loss becomes NaN** ("not a number"), **or jumps.** A smaller `--lr`, or `--clip-norm 1`, which shortens all gradients together to that length. The library stops and names the operation.
# - **The loss stays.** `tinyunet train --check` does this lesson's test on your data, tries other learning rates, and lists layers with *dead* ReLUs (0 for every image) or *vanishing* gradients (next to 0).
# - **Batch norm with one or two images.** Its means are noise then. `--norm group` looks at each image alone.
# - **Comparing optimizers at one learning rate.** Each has its own.
# - **Weight decay inside Adam.** Weight decay makes every weight smaller by a small share of itself in each step. As a part of $g_t$ it is divided by $\sqrt{\hat v}$ like the rest. AdamW takes it out (Loshchilov and Hutter, 2019): `--optimizer adamw`.
#
# ## Recap
#
# Descent is limited by the steepest direction. Momentum adds up what agrees. Adam gives each weight its own step. Good weights at the start keep the signal alive, and a schedule ends the walk gently.
#
# Three questions to take along:
# 1. The ravine of this lesson is turned by 45 degrees. Which of the three paths changes its shape, and why?
# 2. The loss is multiplied by 100. What must happen to $\eta$ for SGD, and what for Adam?
# 3. With batch normalisation, all weights of a layer are doubled. What happens to the network's output? And to the gradient in these weights?
