# %% [markdown]
# # Would a doctor trust it?
#
# *Lesson 13 · about 70 minutes · before it: 02, convolution; 10, is it any good?*
#
# You will be able to
# - ask a network what in an image made it decide, in three ways,
# - test such an explanation before you believe it,
# - draw where a network is unsure, and say what that does not show,
# - turn "robust to noise and artefacts" into an experiment,
# - find the patient's name where it hides in a file, and write a scrubber that lets nothing through.

# %%
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

from tinyunet import Tensor, UNet, glass, no_grad
from tinyunet import functional as F
from tinyunet.data import Loader, Normalize, Toy
from tinyunet.data.dicom import IDENTIFYING
from tinyunet.inference import Segmenter
from tinyunet.metrics import Scores
from tinyunet.optim import Adam, Cosine
from tinyunet.plot import KERNEL, OUTPUT, outline, paint, uncertainty
from tinyunet.teaching import one_thread, predict, reveal
from tinyunet.teaching.checks import trust as checks
from tinyunet.teaching.figures import show_arrays, show_images
from tinyunet.training import Trainer

# %% [markdown]
# ## The question in one picture
#
# A clinic has a hard task. Each of its patients has a tumour, and on the other side of the head an old scar that looks
# the same. The tumour is to be outlined. The clinic's program burns a small cross into the picture, above the place
# where the doctor clicked.


# %%
def put_cross(image, where):
    p, q = np.nonzero(where)
    i, j = p.min() - 3, int(q.mean())
    image = image.copy()
    image[0, i - 1 : i + 2, j] = image[0, i, j - 1 : j + 2] = 255
    return image


# %%
class Clinic(Toy):
    """Toy heads whose tumour keeps to one side, and a scar: the tumour, mirrored."""

    def __init__(self, count, seed, cross=True):
        super().__init__("tumour", 8 * count, (48, 48), seed)
        self.chosen, self.cross = [], cross
        for k in range(8 * count):
            mask = Toy.__getitem__(self, k).mask
            one_sided = not (mask[:, :26].any() and mask[:, 22:].any())
            if one_sided and mask.sum() > 20 and len(self.chosen) < count:
                self.chosen.append(k)

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, k):
        sample = super().__getitem__(self.chosen[k])
        image, mask = sample.image, sample.mask
        image = np.where(mask[:, ::-1] == 1, image[..., ::-1], image)
        image = put_cross(image, mask) if self.cross else image
        return sample._replace(image=image)


# %% [markdown]
# A small UNet learns from 24 heads and is tested on 16 heads of other patients, as lesson 09 demands.

# %%
train, test = Clinic(24, seed=0), Clinic(16, seed=1)
network, normalize = UNet(1, 1, base_channels=6, depth=2, seed=1), Normalize("minmax")
segmenter = Segmenter(network, normalize, train.class_names, train.mask_values)
batches = Loader(train, 4, normalize=normalize, shuffle=True)
trainer = Trainer(
    segmenter,
    Adam(network.parameters(), 1e-2),
    batches,
    schedule=Cosine(16 * len(batches)),
    show_progress=False,
)
with one_thread():  # see lesson 06
    trainer.fit(16)

# %%
images, masks = [sample.image for sample in test], [sample.mask for sample in test]


def mean_dice(images, masks):
    scores = Scores(train.class_names)
    predictions = segmenter.predict(np.stack(images))
    for prediction, mask in zip(predictions, masks, strict=True):
        scores.add(prediction, mask)
    return scores.mean()[1]


def outlined(image, mask=None):
    """Draw the outline of a mask, by default of what the network finds."""
    mask = segmenter.predict(image) if mask is None else mask
    return paint(image, outline(mask), alpha=1)


print(f"mean Dice on the test heads: {mean_dice(images, masks):.2f}")
shown = {f"test head {k}": outlined(images[k]) for k in range(4)}
shown |= {f"the truth of {k}": outlined(images[k], masks[k]) for k in range(4)}
show_images(shown)

# %% [markdown]
# The network nearly always takes the right side. The article's section 8.1 asks for *explanations*, so that doctors can
# trust such a result. On what grounds does it decide?
#
# Write down two guesses. Of which place would the network miss a pixel most: `"tumour"`, `"scar"` or `"cross"`? And
# what would its mean Dice be on the same heads *without* the cross? Within 0.15 counts.

# %%
place, without = ..., ...
### BEGIN SOLUTION
place, without = "cross", 0.25
### END SOLUTION
predict("the place that the network needs most", place)
predict("mean Dice without the cross", without)

# %% [markdown]
# ## The formula
#
# A network that segments has a score $z_{c,i,j}$ for every class and pixel. So a question needs a class $c$ and a
# region $M$: *why do these pixels get so high a score of $c$?* Their sum is the number we ask about:
#
# $$S = \sum_{(i,j) \in M} z_{c,i,j} \qquad (1)$$
#
# **Saliency** (Simonyan et al., 2014) asks which pixels would change $S$ most if they changed a little. That is a
# gradient, now in the image and not in the weights. Over the image's channels take the largest:
#
# $$m_{p,q} = \max_{c'} \left| \frac{\partial S}{\partial x_{c',p,q}} \right| \qquad (2)$$
#
# ## By hand
#
# Let the network be one convolution, and let $M$ be the two framed output pixels. By lesson 02 each of them writes the
# kernel back to where it had looked. Where both looked, the shares add, with their signs; then comes $|\cdot|$.

# %%
x = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 0, 1, 0.0]])
w = np.array([[1, -1], [2, 0.0]])
leaf = Tensor(x[None, None], requires_grad=True)
z = F.conv2d(leaf, w[None, None])
asked = np.array([[0, 1, 1], [0, 0, 0.0]])
z.backward(asked[None, None])
show_arrays(
    {"x": x, "w": w, "z": z.data[0, 0], "m": np.abs(leaf.grad[0, 0])},
    ("input", "kernel", "output", "gradient"),
    marks={"z": [(0, 1), (0, 2)]},
    between=("*", "=", ""),
)

# %% [markdown]
# ### Exercise 1: saliency
#
# `z.backward(gz)` starts from the gradient of $S$ in $z$. By (1) that is 1 for the class and the pixels asked about, and
# 0 elsewhere. Make it with `np.zeros_like(z.data)`.


# %%
def saliency(network, x, target, region):
    """Return m (H, W) by (2); x is (C, H, W), region is bool (H, W).

    The network turns a Tensor (1, C, H, W) into scores (1, classes, H, W).
    """
    leaf = Tensor(x[None], requires_grad=True)
    z = network(leaf)
    ### BEGIN SOLUTION
    gz = np.zeros_like(z.data)
    gz[0, target] = region
    z.backward(gz)
    return np.abs(leaf.grad[0]).max(axis=0)
    ### END SOLUTION


# %%
checks.saliency(saliency)

# %% [markdown]
# A gradient speaks of tiny changes only. **Occlusion** (Zeiler and Fergus, 2014) asks about real ones. Hide a patch $P$
# under the image's mean, look how far the score falls, show the patch again, go on to the next:
#
# $$m_{p,q} = S(x) - S(x \text{ with } P \text{ hidden}) \quad \text{for all } (p,q) \in P \qquad (3)$$
#
# It needs no gradient. It costs one forward pass for each patch, and sees nothing finer than a patch.
#
# ### Exercise 2: occlusion


# %%
def occlusion(score, x, patch):
    """Return m (H, W) by (3); score turns an image (H, W) into S.

    Patches are squares, side by side; the last ones may be cut.
    """
    m = np.zeros(x.shape)
    ### BEGIN SOLUTION
    whole = score(x)
    for p in range(0, x.shape[0], patch):
        for q in range(0, x.shape[1], patch):
            hidden = x.copy()
            hidden[p : p + patch, q : q + patch] = x.mean()
            m[p : p + patch, q : q + patch] = whole - score(hidden)
    ### END SOLUTION
    return m


# %%
checks.occlusion(occlusion)

# %% [markdown]
# ## See it
#
# Both on test head 1, asked about all pixels that were found (outlined). In the map of saliency bright is
# large; in that of occlusion red spoke for the class and blue against it. This network has one score per pixel, read
# with a sigmoid (lesson 07).

# %%
image, truth = images[1], masks[1]
found = segmenter.predict(image) == 1


def score(x):
    with no_grad():
        return network(Tensor(x[None, None])).numpy()[0, 0][found].sum()


seen, maps = normalize(image), {}
with network.evaluating():
    maps["your saliency"] = saliency(network, seen, 0, found)
    maps["your occlusion"] = occlusion(score, seen[0], 4)
glass.show_maps(image, maps, prediction=found.astype(int), region=found)

# %%
bare = Clinic(16, seed=1, cross=False)
places = {"tumour": truth == 1, "scar": truth[:, ::-1] == 1}
places["cross"] = (image != bare[1].image)[0]
fall = {name: maps["your occlusion"][where].mean() for name, where in places.items()}
print({name: f"{value:.1f}" for name, value in fall.items()})
reveal("the place that the network needs most", max(fall, key=fall.get))

# %% [markdown]
# Saliency draws a cloud, in which one may see much or little. Occlusion shows two places: one in the tumour and one at
# the cross. An explanation is a suspicion. Test it: take the cross away, or put it over the scar.

# %%
scars = [mask[:, ::-1] for mask in masks]
plain = [sample.image for sample in bare]
moved = [put_cross(x, scar) for x, scar in zip(plain, scars, strict=True)]
reveal("mean Dice without the cross", mean_dice(plain, masks), tolerance=0.75)
print(f"cross over the scar: mean Dice {mean_dice(moved, masks):.2f},", end=" ")
print(f"against the *scar* {mean_dice(moved, scars):.2f}")
kinds = {"as it came": images, "without the cross": plain, "cross over the scar": moved}
shown = {}
for k in (1, 2):
    shown |= {f"{name}, head {k}": outlined(x[k]) for name, x in kinds.items()}
show_images(shown, columns=3)

# %% [markdown]
# It outlines what lies below a cross. The test patients were others, and still the test could not notice: their images
# came from the same program. This is no invention. Networks for moles judged by the surgeon's skin markings (Winkler et
# al., 2019), networks for chest X-rays by the mark of the hospital (Zech et al., 2018). An *external* test set, from
# another clinic, would have told. So would this map, before.
#
# ## Does a map show the network at all?
#
# A map can look good and be a picture of edges. Adebayo et al. (2018) proposed a check: replace the weights by untrained
# ones, block by block, and make the map anew. A map that explains what was *learned* must fall apart. Likeness is
# measured by the order of the pixels, **Spearman's rank correlation**: give each pixel its place when all are sorted
# by value, and take the ordinary correlation of the places.
#
# ### Exercise 3: rank correlation
#
# `a.argsort()` tells *which* pixel comes first, second, ... Its `argsort()` tells *the place of* each pixel.
# `np.corrcoef(r, s)[0, 1]` is the ordinary correlation. Suppose that no two values are equal.


# %%
def rank_correlation(a, b):
    """Return Spearman's rank correlation of two maps (H, W)."""
    ### BEGIN SOLUTION
    r, s = (values.ravel().argsort().argsort() for values in (a, b))
    return np.corrcoef(r, s)[0, 1]
    ### END SOLUTION


# %%
checks.rank_correlation(rank_correlation)

# %% [markdown]
# Predict: *two networks that have learned nothing*, with different random weights, each get a saliency map for the same
# region of the same image. How alike are the maps, from 0 (not at all) to 1? Within 0.15 counts.

# %%
alike = ...
### BEGIN SOLUTION
alike = 0.8
### END SOLUTION
predict("likeness of two maps that know nothing", alike)

# %%
strangers = [UNet(1, 1, 6, 2, seed=seed) for seed in (10, 11)]
strange = [glass.saliency(stranger, seen, 1, found) for stranger in strangers]
alike = rank_correlation(*strange)
reveal("likeness of two maps that know nothing", alike, tolerance=0.2)

# %% [markdown]
# Now the check, for three maps. From left to right more and more blocks have untrained weights, beginning with the last
# block. The number below is the likeness to the map of the trained network.

# %%
edges = np.hypot(*np.gradient(image[0]))


def edges_only(*asked):
    return edges


everywhere, check = np.ones(found.shape, bool), glass.randomise_weights
checked = {
    "the region": check(segmenter, image, 1, found),
    "whole image": check(segmenter, image, 1, everywhere),
    "edges only": check(segmenter, image, 1, found, method=edges_only),
}
glass.show_weights_check(checked)

# %% [markdown]
# The region gives its place away. Any network looks around the pixels it is asked about, so all maps agree that far away
# it is dark. That is the floor (dotted), and a likeness near it tells nothing. Ask about the *whole* image, and the
# floor comes down; now the saliency map falls apart, as it should. The picture of edges never does.
#
# ## Which features spoke?
#
# **Seg-Grad-CAM** (Vinogradova et al., 2020) asks inside of the network. A layer has channels $A_{k,u,v}$ of $U \times V$
# pixels. How much does channel $k$ speak for the class, and where is what speaks for it?
#
# $$a_k = \frac{1}{UV}\sum_{u,v} \frac{\partial S}{\partial A_{k,u,v}}, \qquad L_{u,v} = \max\left(0, \sum_k a_k A_{k,u,v}\right) \qquad (4)$$
#
# ### Exercise 4: Seg-Grad-CAM


# %%
def seg_grad_cam(A, gA):
    """Return L (U, V) by (4); A and gA, the gradient of S in A, are (K, U, V)."""
    ### BEGIN SOLUTION
    a = gA.mean(axis=(1, 2))
    return np.maximum(0, (a[:, None, None] * A).sum(axis=0))
    ### END SOLUTION


# %%
checks.seg_grad_cam(seg_grad_cam)

# %% [markdown]
# The library's version asks for a layer. Here are all four blocks between the first and the last.

# %%
layers = ("encoder2", "encoder3", "decoder3", "decoder2")
cams = {}
for layer in layers:
    cams[f"at {layer}"] = glass.seg_grad_cam(segmenter, image, 1, found, layer=layer)
glass.show_maps(image, cams, prediction=found.astype(int), region=found)

# %% [markdown]
# Four layers, four stories. One may be empty: everything was negative, and $\max(0, \cdot)$ removed it. And the mean in
# (4) forgets *where* a channel helps, so a map can even point away from what matters.
#
# Which of them is true? **Deletion**: blank the pixels that a map calls relevant, the most relevant first. If the map is
# right, $S$ falls faster than with pixels in random order (grey band).

# %%
deleted = glass.delete_pixels(segmenter, image, 1, maps | cams, found, orders=6)
glass.show_deletion(deleted)

# %%
print("                below random by   at the cross, of its maximum")
for name, m in (maps | cams).items():
    share = m[places["cross"]].mean() / (m.max() or 1)
    print(f"{name:15} {deleted.advantage(name):15.2f}   {share:28.0%}")

# %% [markdown]
# Curves inside the grey band belong to maps that are no better than chance. But look at the last column too. Some maps
# pass and leave the cross out: what they show does matter, and they do not show all that matters. A doctor who sees
# such a map, neatly inside the tumour, is *reassured*. Only the experiment with the moved cross was proof.
#
# ## Is it sure?
#
# Let $p_c$ be the probability of class $c$ at one pixel. Its **entropy** is 0 if one class has everything, and largest
# if all are equally likely. Look $T$ times, at mirror images for example, and call the looks $p^{(t)}$ and their mean
# $\bar p$. The **mutual information** $I$ is the part of the entropy that comes from looks that contradict one
# another. Both come in *nats*, since $\ln$ is the natural logarithm:
#
# $$H(p) = -\sum_c p_c \ln p_c, \qquad I = H(\bar p) - \frac{1}{T}\sum_t H(p^{(t)}), \qquad 0 \ln 0 = 0 \qquad (5)$$
#
# Predict: two looks at a pixel of two classes. Both say one half and one half. How large is $I$?

# %%
information = ...
### BEGIN SOLUTION
information = 0
### END SOLUTION
predict("I of two looks that both say one half", information)

# %% [markdown]
# ### Exercise 5: entropy and mutual information


# %%
def doubt(p):
    """Return H of the mean and I by (5), two arrays (H, W); p is (T, classes, H, W)."""

    ### BEGIN SOLUTION
    def entropy(p, axis):
        return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=axis)

    H = entropy(p.mean(axis=0), 0)
    return H, H - entropy(p, 1).mean(axis=0)
    ### END SOLUTION


# %%
checks.doubt(doubt)

# %%
_, information = doubt(np.full((2, 2, 1, 1), 0.5))
reveal("I of two looks that both say one half", information.item())
looks = segmenter.examine(image, tta=4)
uncertainty(image, looks.probabilities.argmax(0), looks)

# %% [markdown]
# Usually doubt is a thin line along the edge, where even two doctors differ. Here it fills the tumour. Mirrored top to
# bottom, the cross lies *below* the tumour, and no such image was in the training: the looks contradict each other.
# That is a warning. Now the same head without the cross, and below it the entropy of *one* look on all test heads:

# %%
uncertainty(plain[1], segmenter.predict(plain[1]), segmenter.examine(plain[1], tta=4))

# %%
print(f"mean entropy inside the true tumour, of at most {np.log(2):.2f}:")
for name, x in kinds.items():
    inside = [segmenter.examine(x[k]).entropy[masks[k] == 1].mean() for k in range(16)]
    print(f"{name:20} {np.mean(inside):.2f}")

# %% [markdown]
# Without the cross the network misses most of the tumour, and its entropy there did not rise. Entropy shows doubt. It
# does not show error: who learned a wrong rule applies it with confidence.
#
# ## "Robust to noise and artefacts"
#
# The article's section 2.2 claims it. A claim can be measured. Our network was trained with noise of standard deviation
# 0.06, where black is 0 and white is 1. Add some more, and predict the mean Dice with 0.2 more. Within 0.15 counts.

# %%
noisy = ...
### BEGIN SOLUTION
noisy = 0.45
### END SOLUTION
predict("mean Dice with noise of 0.2 more", noisy)

# %%
rng = np.random.default_rng(0)
field = [rng.normal(size=x.shape) for x in images]
levels = (0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)


def worsen(s):
    """Return the test images with noise of s more."""
    return [(x + 255 * s * n).clip(0, 255) for x, n in zip(images, field, strict=True)]


curve = {s: mean_dice(worsen(s), masks) for s in levels}
reveal("mean Dice with noise of 0.2 more", curve[0.2], tolerance=0.4)

# %%
grid = {"layout": "constrained", "width_ratios": (2, 1, 1, 1)}
figure, panels = plt.subplots(1, 4, figsize=(11, 2.8), **grid)
panels[0].plot(levels, list(curve.values()), "o-", color=OUTPUT)
panels[0].axvline(0.06, color=KERNEL)
panels[0].set(xlabel="noise added (orange: as much as in training)")
panels[0].set(ylabel="mean Dice", ylim=(0, 1))
for axes, s in zip(panels[1:], (0.06, 0.15, 0.3), strict=True):
    axes.imshow(outlined(worsen(s)[1]))
    axes.set(xticks=[], yticks=[], title=f"{s} more")
plt.show()

# %% [markdown]
# Within what it was trained with, the article is right. Beyond, the score falls, and nothing in the output says so.
# Noise in the training (`--augmentation`) moves the cliff; it does not remove it. As to artefacts: a cross is one.
# "Robust" is no property of an architecture. It is a sentence with a kind of damage, an amount and a score in it.
#
# ## Whose scan is it?
#
# Section 8.2 names privacy. A DICOM file, the format of scanners, is pixels and a header of *entries*. Each has a tag of
# two hexadecimal numbers, its *group* and its element. This header went through an anonymiser. The patient is Ada Winterbottom, born on 1939-12-07, with number 48151623.

# %%
header = {
    "0008|0060": "MR",  # Modality
    "0008|103e": "T1 post contrast, repeat for Mrs Winterbottom",  # SeriesDescription
    "0009|1001": "PACS:48151623:OK",  # odd group: private, its maker knows the meaning
    "0010|0010": "ANONYMOUS",  # PatientName
    "0010|0020": "CASE-07",  # PatientID
    "0018|0050": "3.0",  # SliceThickness
    "0020|000d": "1.2.826.0.1.19391207.1142",  # StudyInstanceUID, by the scanner
    "0020|0032": "-31.5\\20.25\\-100.0",  # ImagePositionPatient
    "0020|0037": "1\\0\\0\\0\\1\\0",  # ImageOrientationPatient
    "0028|0030": "0.7\\0.9",  # PixelSpacing
    "0028|0301": "NO",  # BurnedInAnnotation: is there text in the pixels?
}

# %% [markdown]
# ### Exercise 6: find the identifiers left in the file
#
# Give the set of the tags in which name, birth date or number still stand. `{"0008|0060"}` would be a set of one.

# %%
left = ...
### BEGIN SOLUTION
left = {"0008|103e", "0009|1001", "0020|000d"}
### END SOLUTION

# %%
checks.left_in_header(left)

# %% [markdown]
# And the pixels? The header says that they hold no text. Both pictures below show the same numbers. On the left white
# is the largest, as a viewer would have it. On the right everything from 4 on is white.

# %%
canvas = Image.new("L", (192, 192))
ImageDraw.Draw(canvas).multiline_text((4, 150), "Mrs\nWinter-\nbottom", fill=2)
pixels = np.kron((bare[1].image[0] - 40).clip(0), np.ones((4, 4))) + np.asarray(canvas)
figure, panels = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
for axes, white in zip(panels, (pixels.max(), 4), strict=True):
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=white)
    axes.set(xticks=[], yticks=[], title=f"white is {white:.0f}")
plt.show()

# %% [markdown]
# A list of forbidden entries would not have helped. The library's own list of entries that name or trace a person
# finds in this header:

# %%
listed = [tag for tag in header if tag in IDENTIFYING]
print([f"{IDENTIFYING[tag]}: {header[tag]}" for tag in listed])
print("of those that you found:", [tag for tag in listed if tag in left])

# %% [markdown]
# Names hide in free text, private entries and numbers that someone made of them. So turn it round: keep what you *know*
# to be harmless and drop everything else. A pseudonym takes the place of the patient's number, the same one for all
# files of a patient. Otherwise nobody can split by patient any more (lesson 09).
#
# ### Exercise 7: a scrubber
#
# Return a *new* dict with the entries of `keep` that the header has, with the pseudonym as PatientID `0010|0020`, and
# with `0012|0062` (PatientIdentityRemoved) set to `"YES"`.


# %%
keep = {"0008|0060", "0018|0050", "0020|0032", "0020|0037", "0028|0030"}


def scrub(header, keep, pseudonym):
    """Return a header that holds nothing of the patient; change neither argument."""
    ### BEGIN SOLUTION
    clean = {tag: text for tag, text in header.items() if tag in keep}
    return clean | {"0010|0020": pseudonym, "0012|0062": "YES"}
    ### END SOLUTION


# %%
checks.scrub(scrub)

# %% [markdown]
# The place in the patient stays: without `0020|0032` and `0020|0037` slices cannot be put in order. Real files need
# unique numbers too; new ones are made up for the whole data set. The rules are in the standard (DICOM PS3.15, annex E).
# Text in pixels needs eyes, or a program that reads.
#
# ## What goes wrong in practice
#
# - **A map as decoration.** `tinyunet attribute RUN IMAGE --check` draws these maps, the deletion curves and the check of
#   the weights, and says of each map whether it beats chance.
# - **A score that is not what decides.** With two output channels and softmax only $z_1 - z_0$ matters. $z_1$ alone may
#   fall while the class wins. The library asks about $\log \frac{p}{1-p}$, which for one channel is $z$ itself.
# - **Blank patches** have edges, and another blank value gives another map.
# - **Doubt without a scale.** `tinyunet predict --uncertainty` writes the maps. Whether pixels with probability 0.8 are
#   right in 80 % of cases is another question: calibration (Guo et al., 2017).
# - **Names.** `tinyunet check DIR` tells which identifying entries DICOM files have, and whether a *file name* repeats
#   one. It never prints what they say. Checkpoints and masks of tinyunet get none of them. It reads no free text.
#
# ## Recap
#
# Saliency is a gradient in the image, occlusion an experiment, Seg-Grad-CAM a weighted sum of features. Test a map:
# with forgotten weights, by deletion, best by changing what it accuses. Doubt is not error. A claim of robustness is
# an experiment. Of a header, keep what you know.
#
# Three questions to take along:
# 1. Half of the training images carry a cross, chosen at random. What would occlusion show? And if only tumours that
#    the doctor thought malignant carry one?
# 2. Why does a map made of the image alone beat chance in the deletion check, if tumours are bright?
# 3. A pseudonym is the SHA-256 of an eight-digit number, a fingerprint that nobody can compute backward. How long does
#    it take to find the number all the same?
