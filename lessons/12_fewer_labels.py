# %% [markdown]
# # Fewer labels, more modalities, borrowed weights
#
# *Lesson 12 · about 60 minutes · before it: 07, what to minimise; 09, training for real*
#
# You will be able to
# - train on scribbles, and say why unlabelled pixels must have a gradient of exactly 0,
# - join modalities in the first layer, and prepare a network for the day when one is missing,
# - start from weights that were learnt elsewhere, on other channels, with some layers frozen,
# - draw the curve that tells whether more labelled cases are worth their price.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinyunet import Tensor, UNet, check_gradients, no_grad
from tinyunet import functional as F
from tinyunet.data import IGNORE, Toy
from tinyunet.metrics import confusion, dice
from tinyunet.morphology import distance_transform
from tinyunet.optim import Adam, Cosine
from tinyunet.plot import EXTRA, GRADIENT, INPUT, KERNEL, MISSED, OUTPUT, RIGHT, paint
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import labels as checks
from tinyunet.teaching.figures import show_images
from tinyunet.training.fine_tune import transfer
from tinyunet.training.forecast import bytes_of_step

# %% [markdown]
# ## The question in one picture
#
# Left is a scan, in the middle what an expert outlined in minutes, on the right what the same expert scribbled in
# seconds: one stroke through the tumour, a few through what is not tumour, half a ring beside the border. The rest of
# the right picture says nothing. Can a network learn from that?


# %%
def load(count, seed, noise=0.06, contrast=1.0):
    samples = [*Toy("tumour", count, size=(48, 48), seed=seed, noise=noise)]
    images = (np.stack([s.image for s in samples]) / 255) ** np.float32(contrast)
    return images, np.stack([s.mask for s in samples])


def scribble(mask, rng):
    """Draw strokes as a file holds them: 0 nobody has said, 1 background, 2 tumour."""
    strokes, tumour = np.zeros(mask.shape, np.uint8), mask == 1
    i, j = np.argwhere(tumour).mean(axis=0).astype(int)
    far = distance_transform(tumour)
    for row in (12, 24, 36):
        strokes[row + rng.integers(-4, 5)] = 1
    strokes[:, rng.integers(8, 40, 2)] = 1
    strokes[:, :j][(far >= 1.5)[:, :j] & (far < 2.9)[:, :j]] = 1
    strokes[tumour] = 0
    strokes[i][tumour[i]] = 2
    return strokes


images, masks = load(32, seed=0)
rng = np.random.default_rng(0)
scribbles = np.stack([scribble(mask, rng) for mask in masks])

# %%
k = int(masks.sum(axis=(1, 2)).argmax())
drawn = {
    "outlined": paint(images[k], masks[k], (KERNEL,)),
    "scribbled": paint(images[k], scribbles[k], (INPUT, KERNEL)),
}
show_images({"the scan": images[k, 0]} | drawn, columns=3)

# %% [markdown]
# The article names three hopes (8.1 and 9.3): weak labels, several modalities, pretrained weights. And one trouble
# (8.2): annotation is expensive. It gives no method. This lesson tries all three on toy data, where experiments take
# seconds.
#
# ## Weak labels: a loss over some pixels
#
# Let $\Omega$ be the set of labelled pixels, with $|\Omega|$ of them. Cross-entropy (lesson 07) can be summed over
# them only:
#
# $$L = -\frac{1}{|\Omega|} \sum_{m \in \Omega} \log p_{t_m,\,m} \qquad (1)$$
#
# Every pixel has its own scores $z_{c,m}$. So a pixel outside $\Omega$ does not appear in (1), and its gradient is
# not small but 0:
#
# $$\frac{\partial L}{\partial z_{c,m}} = \begin{cases} \frac{1}{|\Omega|}\,(p_{c,m} - [c = t_m]) & m \in \Omega \\ 0 & \text{else} \end{cases} \qquad (2)$$
#
# Is that enough to say anything about the pixels in between? They share their weights with the others: a convolution
# does at all places what it learnt at some.
#
# ### Exercise 1: from a file to labels
#
# In the file 0 means "nobody has said", 1 background, 2 tumour. The losses want classes from 0 and `IGNORE`, which is
# $-1$. The file's numbers have 8 bits without a sign.


# %%
def to_labels(strokes):
    """Return the labels as int64: -1 where strokes is 0, else the class 0 or 1."""
    ### BEGIN SOLUTION
    return strokes.astype(np.int64) - 1
    ### END SOLUTION


# %%
checks.to_labels(to_labels)

# %% [markdown]
# Predict: what percentage of all pixels is labelled, with these strokes? Look at the picture. Within a third counts.

# %%
percent = ...
### BEGIN SOLUTION
percent = 11
### END SOLUTION
predict("percent of the pixels that are labelled", percent)

# %%
labels = to_labels(scribbles)
percent = 100 * (labels != IGNORE).mean()
reveal("percent of the pixels that are labelled", percent, tolerance=0.33)
print(f"of the tumours' pixels {100 * (labels == 1).sum() / (masks == 1).sum():.0f} %")

# %% [markdown]
# ### Exercise 2: the gradient of the partial loss
#
# Here `z` is $(C, M)$, one column per pixel, and `t` holds $M$ labels. If no pixel is labelled, the gradient is 0
# everywhere. Mind that `gradient[-1]` is a row, too: the label $-1$ must not become an index.


# %%
def partial_gradient(z, t):
    """Return (2) as (C, M); z is (C, M) scores, t is (M,), -1 where nobody has said."""
    e = np.exp(z - z.max(axis=0))
    p = e / e.sum(axis=0)
    ### BEGIN SOLUTION
    labelled = np.flatnonzero(t >= 0)
    gradient = np.zeros_like(p)
    gradient[:, labelled] = p[:, labelled] / max(len(labelled), 1)
    gradient[t[labelled], labelled] -= 1 / max(len(labelled), 1)
    return gradient
    ### END SOLUTION


# %%
checks.partial_gradient(partial_gradient)

# %% [markdown]
# The same from the library, as pictures: the size of the gradient in the scores of a fresh network, for the full mask
# and for the strokes; black is 0. And the test by finite differences.

# %%
scores = Tensor(UNet(1, 2, 6, 2)(images[k : k + 1]).data, requires_grad=True)
sizes = {}
for name, target in (("outlined", masks), ("scribbled", labels)):
    scores.grad = None
    F.cross_entropy(scores, target[k : k + 1]).backward()
    sizes[name] = np.abs(scores.grad[0]).sum(axis=0)
exact = np.count_nonzero(sizes["scribbled"][labels[k] == IGNORE])
print(f"unlabelled pixels with a gradient other than exactly 0: {exact}")
z, t = rng.normal(size=(1, 2, 4, 4)), labels[k : k + 1, 20:24, 12:16]
off = check_gradients(lambda z: F.cross_entropy(z, t), z)
print(f"finite differences: off by {off:.1e}")
shown = {f"gradient, {name}": size for name, size in sizes.items()}
show_images(shown, columns=2, cmap="magma")

# %% [markdown]
# ## Three trainings
#
# The same network, the same 50 steps, three kinds of labels: outlines; strokes with the rest ignored; strokes with
# the rest *called background*, as happens when nobody tells the program what 0 means.


# %%
@one_thread()  # see lesson 06
def fit(net, x, y, steps, lr, change=lambda x, rng: x):
    """Train with cross-entropy plus Dice on batches of four, mirrored at random."""
    rng, optimizer = np.random.default_rng(0), Adam(net.parameters(), lr)
    net.train()
    for step in range(steps):
        batch = rng.choice(len(x), 4, replace=len(x) < 4)
        a, b = rng.choice((1, -1), 2)
        inputs = np.stack([change(image, rng) for image in x[batch]])
        inputs, labels = inputs[..., ::a, ::b].copy(), y[batch][..., ::a, ::b].copy()
        optimizer.lr = lr * Cosine(steps)(step)
        optimizer.zero_grad()
        F.cross_entropy_dice(net(inputs), labels).backward()
        optimizer.step()
    return net


def find(net, x):
    with no_grad(), net.evaluating():
        return net(x).data.argmax(axis=1)


def mean_dice(net, x, y):
    pairs = zip(find(net, x), y, strict=True)
    return np.mean([dice(confusion(p, t, 2), empty="zero")[1] for p, t in pairs])


# %%
new, truth = load(24, seed=1)
kinds = {"outlined": masks, "scribbled": labels}
kinds["rest called background"] = np.maximum(labels, 0)
nets = {}
for name, target in kinds.items():
    nets[name] = fit(UNet(1, 2, 6, 2, seed=0), images, target, 50, 1e-2)
    print(f"{name}: Dice on new scans {mean_dice(nets[name], new, truth):.2f}")


# %%
def show_errors(image, prediction, truth):
    p, t = prediction == 1, truth == 1
    errors = 1 * (p & t) + 2 * (p & ~t) + 3 * (t & ~p)
    return paint(image, errors, (RIGHT, EXTRA, MISSED), alpha=0.7)


pictures = {
    f"scan {n}, {name}": show_errors(new[n], find(net, new[n : n + 1])[0], truth[n])
    for n in (0, 4)
    for name, net in nets.items()
}
show_images(pictures, columns=3)

# %% [markdown]
# Green is right, red made up, blue missed. Strokes are nearly as good as outlines here, with a ninth of the pixels.
# The third network did exactly what it was told: it was shown that nine tenths of every tumour are background.
#
# This is a toy, and one seed. Between the strokes a network has to guess, so draw some of them near the border. Lin
# et al. (2016, ScribbleSup) also spread the strokes to neighbours that look alike. `tinyunet train DATA --ignore 0`
# does what you did.
#
# ## Several modalities: early fusion
#
# In magnetic resonance one sequence shows the core of a tumour, another the swelling, and the mask wants both (Menze
# et al., 2015). We imitate it: each modality shows one half of the tumour, and in the other half looks like healthy
# brain.


# %%
def two_modalities(count, seed):
    rng, cases, (p, q) = np.random.default_rng(seed), [], np.mgrid[:48, :48]
    samples = [*Toy("tumour", count, size=(48, 48), seed=seed, noise=0)]
    for sample in samples:
        clean, tumour = sample.image[0] / 255, sample.mask == 1
        (i, j), angle = np.argwhere(tumour).mean(axis=0), rng.uniform(0, 2 * np.pi)
        side = (p - i) * np.sin(angle) + (q - j) * np.cos(angle) > 0
        halves = tumour & side, tumour & ~side
        cases.append([np.where(hidden, 0.42, clean) for hidden in halves])
    images = np.array(cases) + rng.normal(0, 0.06, (count, 2, 48, 48))
    return images.astype(np.float32), np.stack([sample.mask for sample in samples])


both, both_masks = two_modalities(32, seed=0)
new_both, new_both_truth = two_modalities(24, seed=1)
shown = {"modality A": both[k, 0], "modality B": both[k, 1]}
show_images(shown | {"the mask": both_masks[k]}, columns=3)

# %% [markdown]
# **Early fusion** means: let them be channels of one image. The first convolution then adds over $c$,
#
# $$y_{o,i,j} = b_o + \sum_{c} \sum_{u,v} x_{c,\,i+u,\,j+v}\; w_{o,c,u,v}$$
#
# and nothing else in the network changes. Our first layer has 6 output channels and 3 x 3 kernels. Predict: by how
# many parameters does the network grow when it gets a second channel?

# %%
more = ...
### BEGIN SOLUTION
more = 54
### END SOLUTION
predict("parameters for a second modality", more)

# %%
one, two = (UNet(channels, 2, 6, 2).parameter_count() for channels in (1, 2))
reveal("parameters for a second modality", two - one)

# %% [markdown]
# ### Exercise 3: stack
#
# The files come with their own brightness: 0 to 4095 in one, 0 to 255 in the other. Scale *each* to $[0, 1]$ by
# min-max (lesson 00) and stack them as channels. A constant one becomes 0.


# %%
def stack_modalities(scans):
    """Return (C, H, W) float32 in [0, 1]; scans is a list of C arrays (H, W)."""
    ### BEGIN SOLUTION
    channels = []
    for scan in scans:
        scan = np.asarray(scan, float)
        channels.append((scan - scan.min()) / (np.ptp(scan) or 1))
    return np.stack(channels).astype(np.float32)
    ### END SOLUTION


# %%
checks.stack_modalities(stack_modalities)

# %% [markdown]
# ### Exercise 4: a modality goes missing
#
# One day a sequence was not recorded, and its channel is 0. Prepare the network: in training, blank each channel with
# probability $p$, but let one stay. If chance would blank all, keep one of them, any one at random. Do not change the
# original: it is needed in the next epoch.


# %%
def drop_modalities(x, p, rng):
    """Return a copy of x (C, H, W), each channel 0 with probability p; one stays."""
    ### BEGIN SOLUTION
    dropped = rng.random(len(x)) < p
    if dropped.all():
        dropped[rng.integers(len(x))] = False
    return np.where(dropped[:, None, None], np.float32(0), x)
    ### END SOLUTION


# %%
checks.drop_modalities(drop_modalities)

# %% [markdown]
# Two trainings with both modalities, one of them with your function at $p = 0.4$. Then B is taken away. Each modality
# shows half a tumour. What will the network find that *always had both*? Write "half" or "nothing".

# %%
without_b = ...
### BEGIN SOLUTION
without_b = "nothing"
### END SOLUTION
predict("what a network that always had both finds in A alone", without_b)

# %%
prepared = {
    "always both": lambda x, rng: x,
    "sometimes one": lambda x, rng: drop_modalities(x, 0.4, rng),
}
given = {"A and B": (1, 1), "A alone": (1, 0), "B alone": (0, 1)}
found = {}
for name, change in prepared.items():
    net = fit(UNet(2, 2, 6, 2, seed=0), both, both_masks, 80, 1e-2, change)
    found[name] = []
    for there in given.values():
        inputs = new_both * np.float32(there)[:, None, None]
        found[name].append(mean_dice(net, inputs, new_both_truth))
in_a = "nothing" if found["always both"][1] < 0.1 else "half"
reveal("what a network that always had both finds in A alone", in_a)

# %%
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
for shift, name, colour in zip((-0.2, 0.2), found, (EXTRA, OUTPUT), strict=True):
    place = np.arange(3) + shift
    bars = axes.bar(place, found[name], 0.38, color=colour, label=name)
    axes.bar_label(bars, fmt="%.2f")
axes.set_xticks(range(3), given)
axes.set(ylabel="Dice, 24 new cases", ylim=(0, 1))
axes.legend()
plt.show()

# %% [markdown]
# The first network has never seen a black channel. It does not fall back on A: it fails. The second pays a little
# when all is there, and finds about what one modality can show. `tinyunet train --drop-channel 0.4` trains it, and
# `tinyunet predict --blank-missing` uses it.
#
# ## Borrowed weights
#
# Another hospital has 32 outlined cases from its own scanner, with another contrast. Ours is noisy, and we have 1, 4
# or 16 outlined cases. The network that was trained there is of little use here:

# %%
their_images, their_masks = load(32, seed=9, noise=0.15, contrast=0.5)
theirs = fit(UNet(1, 2, 6, 2, seed=0), their_images, their_masks, 80, 5e-3)
own, own_masks = load(16, seed=0, noise=0.15)
test, test_truth = load(24, seed=1, noise=0.15)
there = mean_dice(theirs, *load(24, seed=10, noise=0.15, contrast=0.5))
here = mean_dice(theirs, test, test_truth)
print(f"Dice on new cases there {there:.2f}, here {here:.2f}")

# %% [markdown]
# But it may be a better *start* than random numbers. A start that is good already gets the smaller learning rate,
# 0.002 instead of 0.005. Predict: after 30 steps each, which one is better on our new cases, "borrowed" with 1 of our
# cases, or "fresh" with 16?

# %%
better = ...
### BEGIN SOLUTION
better = "borrowed"
### END SOLUTION
predict("borrowed with 1 case or fresh with 16", better)

# %%
counts, curves, trained = (1, 4, 16), {"fresh": [], "borrowed": []}, {}
for count in counts:
    for name, lr in (("fresh", 5e-3), ("borrowed", 2e-3)):
        net = UNet(1, 2, 6, 2, seed=0)
        if name == "borrowed":
            net.load_state_dict(theirs.state_dict())
        trained[name, count] = fit(net, own[:count], own_masks[:count], 30, lr)
        curves[name].append(mean_dice(net, test, test_truth))
better = "borrowed" if curves["borrowed"][0] > curves["fresh"][2] else "fresh"
reveal("borrowed with 1 case or fresh with 16", better)

# %%
figure, axes = plt.subplots(figsize=(5.5, 3), layout="constrained")
for (name, values), colour in zip(curves.items(), (INPUT, OUTPUT), strict=True):
    axes.semilogx(counts, values, "o-", color=colour, label=name)
axes.axhline(here, color="#999999", ls=":", label="borrowed, not trained further")
axes.set_xticks(counts, counts)
axes.set(xlabel="our own labelled cases", ylabel="Dice, 24 new cases", ylim=(0, 1))
axes.legend(loc="lower right")
plt.show()

# %%
starts = {name: trained[name, 1] for name in curves}
shown = {}
for n in (1, 3):
    for name, net in starts.items():
        prediction = find(net, test[n : n + 1])[0]
        errors = show_errors(test[n], prediction, test_truth[n])
        shown[f"{name}, 1 case, scan {n}"] = errors
show_images(shown)

# %% [markdown]
# Such a curve is the answer to "shall we label more?". Where it is still rising, yes. The article's "more data" (9.3)
# is right on the left side of it. `tinyunet train --cases N` makes the points for your own data.
#
# A caution: 30 steps are few (the other hospital's network had 80), and what limits the fresh network with 16 cases
# may be time rather than labels. Change one at a time before you conclude. And how much a borrowed start saves
# depends on how alike the images are.
#
# ### Exercise 5: another number of channels
#
# Their network takes one channel, ours takes $C$. All weights fit but the first kernel, (O, 1, 3, 3). Make it (O, C,
# 3, 3): repeat it for every channel, and scale it so that an image whose channels are all alike gives what the grey
# image gave. Each channel shall have the same say.


# %%
def widen(w, C):
    """Return a kernel (O, C, KH, KW) made of w (O, 1, KH, KW)."""
    ### BEGIN SOLUTION
    return np.repeat(w, C, axis=1) / C
    ### END SOLUTION


# %%
checks.widen(widen)

# %%
two = UNet(2, 2, 6, 2, seed=0)
print(str(transfer(theirs, two)).split("\n")[1])
kernel, wider = (net.state_dict()["encoder1.0.weight"] for net in (theirs, two))
print("the library's kernel is yours:", np.allclose(wider, widen(kernel, 2)))

# %% [markdown]
# ## Frozen layers
#
# With one case and 16,000 weights one may wish that most of them stay. A **frozen** weight gets no gradient. And the
# chain rule stops there: the gradient of a layer's weights needs the gradient at the layer's *output*, which comes
# from above. If all layers below some point are frozen, nothing needs to flow below it. That saves time, and the maps
# that backward would have needed.
#
# ### Exercise 6: freeze
#
# `model.named_parameters()` yields pairs like `("encoder1.0.weight", p)`. A parameter with `p.requires_grad = False`
# gets no gradient, and the optimizer passes it over. `p.data.size` is how many numbers it has.


# %%
def freeze(model, prefix):
    """Freeze the parameters whose name begins with prefix; return how many numbers."""
    ### BEGIN SOLUTION
    chosen = [p for name, p in model.named_parameters() if name.startswith(prefix)]
    for p in chosen:
        p.requires_grad = False
    return sum(p.data.size for p in chosen)
    ### END SOLUTION


# %%
checks.freeze(freeze)

# %% [markdown]
# Predict: what percentage of the weights of our network lies in its encoder? Think of the channels: 6 and 12, at the
# bottom 24. Within a tenth counts.

# %%
in_encoder = ...
### BEGIN SOLUTION
in_encoder = 61
### END SOLUTION
predict("percent of the weights in the encoder", in_encoder)

# %%
frozen = UNet(1, 2, 6, 2, seed=0)
frozen.load_state_dict(theirs.state_dict())
everything = bytes_of_step(frozen, F.cross_entropy_dice, (4, 48, 48))
held = freeze(frozen, "encoder")
percent = 100 * held / frozen.parameter_count()
reveal("percent of the weights in the encoder", percent, tolerance=0.1)
less = bytes_of_step(frozen, F.cross_entropy_dice, (4, 48, 48))
frozen.load_state_dict(theirs.state_dict())
fit(frozen, own[:1], own_masks[:1], 30, 5e-3)
print(f"a step takes {everything / 2**20:.1f} MiB,", end=" ")
print(f"with the encoder frozen {less / 2**20:.1f} MiB")
print(f"Dice with 1 case: frozen {mean_dice(frozen, test, test_truth):.2f},", end=" ")
print(f"all trained {curves['borrowed'][0]:.2f}")

# %%
before = theirs.state_dict()
names = [name for name, p in theirs.named_parameters() if p.data.ndim == 4]
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
for shift, label, net, colour in (
    (-0.2, "all trained", starts["borrowed"], GRADIENT),
    (0.2, "encoder frozen", frozen, INPUT),
):
    now, norm = net.state_dict(), np.linalg.norm
    moved = [norm(now[name] - before[name]) / norm(before[name]) for name in names]
    axes.bar(np.arange(len(names)) + shift, moved, 0.38, color=colour, label=label)
layers = [name.removesuffix(".weight") for name in names]
axes.set_xticks(range(len(names)), layers, rotation=45, ha="right", fontsize=8)
axes.set(ylabel="change, relative", ylim=(0, 0.45))
axes.set_title("how far each layer's weights moved from where they started")
axes.legend()
plt.show()

# %% [markdown]
# The frozen layers are where they were, bit for bit. Here freezing did not pay. A likely reason: what differs between
# the hospitals is contrast and noise, and these the first layers meet first. (The learning rates differ, too: 0.005
# frozen, 0.002 for all.) Freeze what fits already.
#
# ## What goes wrong in practice
#
# - **Unlabelled is not background.** Say which value stands for "not labelled": `--ignore 0`. `tinyunet check DATA
#   --ignore 0` shows the classes that remain.
# - **Scores of strokes flatter**, since strokes lie where the answer is easy. Outline a few test cases.
# - **"Blank" means "ill".** If only the severely ill lack a modality, the network learns that. Drop at random.
# - **Statistics that move.** The weights of a layer are frozen, and its batch normalisation goes on averaging, unless
#   it is told. The library freezes both.
# - **Weights without their scaling.** They were trained on images in $[0, 1]$, and meet others. A checkpoint of
#   tinyunet stores the scaling; a `.pth` file does not. `tinyunet train --start-from FILE --freeze 'encoder*'` prints
#   what was copied, adapted and left.
#
# ## Recap
#
# A loss can be summed over the labelled pixels; the others have a gradient of exactly 0. Modalities are channels,
# added up in the first layer; a network can do without one only if it has practised. Borrowed weights are a start,
# and frozen ones stay.
#
# Three questions to take along:
# 1. What does (1) divide by if a batch has one image with 10 labelled pixels and one with 1000? Who rules?
# 2. *Late* fusion has one encoder for each modality. Which layers double, and what can it do that early fusion
#   cannot?
# 3. You freeze the *decoder* and train the encoder. How much of backward is saved?
