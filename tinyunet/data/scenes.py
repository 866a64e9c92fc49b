"""The drawings behind the toy images: each function draws one anatomy and, from the same geometry, its mask.

Coordinates are relative to half of the shorter side, so a scene looks alike at every size. Brightness is 0
(black) to 1 (white). A *level function* is positive inside a shape and negative outside, roughly the distance
to the rim; combining shapes is then `np.maximum` (union) and `np.minimum` (intersection).
"""

from __future__ import annotations

import numpy as np

Scene = tuple[np.ndarray, np.ndarray]
"""Clean image (H, W) and mask (H, W) of class indices (or of bool: background, foreground)."""


def axes(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates y (H, 1) and x (1, W) of the pixel centres: 0 in the middle, 1 at the nearer edge."""
    H, W = size
    unit = min(H, W) / 2
    return (np.arange(H)[:, None] - (H - 1) / 2) / unit, (np.arange(W)[None] - (W - 1) / 2) / unit


def _texture(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """Smooth random field with mean 0 and standard deviation 1; `scale` is in units of the half-size."""
    sigma = scale * min(size) / 2
    field = _smooth(rng.normal(size=size), sigma)
    return (field - field.mean()) / field.std()


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Periodic Gaussian filter, by its transfer function exp(-2 (pi sigma f)^2)."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None]
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (fy * fy + fx * fx))
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, image.shape)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter with mirrored borders."""
    margin = int(np.ceil(4 * sigma))
    return _smooth(np.pad(image, margin, mode="symmetric"), sigma)[margin:-margin, margin:-margin]


def _blob(rng, y, x, centre, radius, stretch=1.0, roughness=0.1) -> np.ndarray:
    """Level function of a star-shaped blob: positive inside, about the distance to the rim (half-size units).

    The rim is r(t) = radius * (1 + sum_k a_k cos(k t + phase_k)), k = 2..6, with a_k falling as 1/k.
    """
    tilt = rng.uniform(0, np.pi)
    dy, dx = y - centre[0], x - centre[1]
    along = (dx * np.cos(tilt) + dy * np.sin(tilt)) / stretch
    across = (dy * np.cos(tilt) - dx * np.sin(tilt)) * stretch
    distance = np.hypot(along, across)
    direction = (along + 1j * across) / np.maximum(distance, 1e-9)  # exp(it)
    wave, rim = direction, np.ones_like(distance)
    for k in range(2, 7):
        wave = wave * direction  # exp(ikt)
        rim += roughness * rng.normal() / k * (np.exp(1j * rng.uniform(0, 2 * np.pi)) * wave).real
    return radius * rim - distance


def _ellipse(y, x, centre, radii) -> np.ndarray:
    """Level function of an upright ellipse: positive inside."""
    return (1 - np.hypot((y - centre[0]) / radii[0], (x - centre[1]) / radii[1])) * min(radii)


# -------------------------------------------------------------------------------------------------- scenes


def _head(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slice of a healthy head: image, depth below the brain's surface, and where findings may sit."""
    y, x = axes(size)
    turn = rng.normal(0, 0.08)
    y, x = y * np.cos(turn) - x * np.sin(turn), x * np.cos(turn) + y * np.sin(turn)
    radii = rng.uniform(0.86, 0.95), rng.uniform(0.70, 0.80)
    outside = _ellipse(y, x, (0, 0), radii) + 0.012 * _texture(rng, size, 0.25)
    depth = outside - rng.uniform(0.13, 0.16)

    image = np.where(outside > 0, 0.80 + 0.05 * _texture(rng, size, 0.05), 0.02)  # scalp
    image = np.where(outside > 0.07, 0.08, image)  # skull
    folds = 0.05 * _texture(rng, size, 0.07) + 0.02 * _texture(rng, size, 0.03)
    grey = 0.52 + 0.03 * _texture(rng, size, 0.05)
    white = 0.38 + 0.03 * _texture(rng, size, 0.10)
    brain = np.where(depth + folds < 0.11, grey, white)
    brain = np.where(depth + 1.6 * folds < 0.0, 0.15, brain)  # fluid in the furrows
    brain = np.where((abs(x + folds / 3) < 0.012) & (abs(y) > 0.28), 0.18, brain)  # between the halves
    fluid = np.full(size, -1.0)
    for side in (-1, 1):
        nucleus = _ellipse(y, x, (0.06, side * 0.27), (0.16, 0.09))
        brain = np.where(nucleus > 0.1 * folds, 0.49, brain)
        lean = 0.35 * side * (y + 0.05)
        horn = _ellipse(y, x - lean * np.sign(y), (-0.02, side * 0.085), (rng.uniform(0.25, 0.33), 0.055))
        fluid = np.maximum(fluid, horn)
    brain = np.where(fluid > 0, 0.12, brain)
    return np.where(depth > 0, brain, image), depth, (depth > 0.14) & (fluid < -0.03)


def _somewhere(rng: np.random.Generator, allowed: np.ndarray) -> tuple[float, float]:
    """Coordinates of a random pixel where `allowed` is true."""
    y, x = axes(allowed.shape)
    i, j = divmod(int(rng.choice(np.flatnonzero(allowed))), allowed.shape[1])
    return float(y[i, 0]), float(x[0, j])


def tumour(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """One bright, irregular mass in a head, with a swelling around it that is not part of the mask."""
    image, depth, allowed = _head(rng, size)
    y, x = axes(size)
    radius = rng.uniform(0.16, 0.30)
    level = _blob(rng, y, x, _somewhere(rng, allowed), radius, rng.uniform(1.0, 1.25), 0.16)
    level += 0.025 * _texture(rng, size, 0.05)
    inside_rim = (level > 0) & (depth > 0.02)
    swelling = 0.13 * np.exp(np.minimum(level, 0) / (0.3 * radius))
    image = np.where(depth > 0.02, image + swelling * (image > 0.3), image)
    inside = rng.uniform(0.66, 0.76) + 0.06 * _texture(rng, size, 0.07)
    heart = (level + 0.03 * _texture(rng, size, 0.05)) / radius
    core = rng.uniform(0.0, 0.25) * np.clip(3 * heart - 1.2, 0, 1)  # dead tissue in the middle is darker
    return np.where(inside_rim, inside - core, image), inside_rim


def lesion(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Four to eight faint spots in a head, together about 1 % of the image."""
    image, depth, allowed = _head(rng, size)
    y, x = axes(size)
    count = int(rng.integers(4, 9))
    typical = np.sqrt(0.01 * (2 * y[-1, 0]) * (2 * x[0, -1]) / (count * np.pi))  # 1 % of the area in all
    level = np.full(size, -1.0)
    for _ in range(count):
        radius = typical * rng.uniform(0.75, 1.25)
        centre = _somewhere(rng, allowed & (level < -2 * typical))
        level = np.maximum(level, _blob(rng, y, x, centre, radius, rng.uniform(1.0, 1.3), 0.15))
    lesion = level > 0
    return np.where(lesion, image + rng.uniform(0.18, 0.26), image), lesion


def organ(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """A liver in an abdomen; stomach, spleen, kidneys and bowel have nearly its brightness."""
    y, x = axes(size)
    wide = x[0, -1] / y[-1, 0] if size[1] > size[0] else 1.0
    x = x / wide
    body = _ellipse(y, x, (0.02, 0), (rng.uniform(0.70, 0.80), rng.uniform(0.90, 0.96)))
    body += 0.015 * _texture(rng, size, 0.3)
    wall = body - rng.uniform(0.07, 0.11)
    image = np.where(body > 0, 0.28 + 0.02 * _texture(rng, size, 0.05), 0.0)  # fat
    image = np.where(wall > 0, 0.50 + 0.02 * _texture(rng, size, 0.04), image)  # muscle
    cavity = wall - 0.06
    image = np.where(cavity > 0, 0.32 + 0.04 * _texture(rng, size, 0.08), image)

    grain = _texture(rng, size, 0.05)
    soft = rng.uniform(0.56, 0.64)  # the organ and its neighbours differ by less than the noise

    def place(centre, radius, stretch, value, roughness=0.15):
        nonlocal image
        jitter = rng.normal(0, 0.03, 2)
        level = np.minimum(_blob(rng, y, x, np.add(centre, jitter), radius, stretch, roughness), cavity)
        image = np.where(level > 0, value + 0.015 * grain, image)
        return level

    place((-0.08, 0.60), 0.22, 1.25, soft + rng.uniform(-0.05, 0.05))  # spleen
    stomach = place((-0.28, 0.20), 0.24, 1.2, soft + rng.uniform(-0.06, 0.03))
    image = np.where((stomach > 0.06) & (y < rng.uniform(-0.40, -0.30)), 0.03, image)  # gas collects on top
    for side in (-1, 1):
        place((0.30, side * 0.36), 0.14, 1.15, soft + rng.uniform(0.0, 0.10))  # kidneys
    for _ in range(5):
        bowel = rng.uniform(0.0, 0.35), rng.uniform(-0.15, 0.55)
        place(bowel, rng.uniform(0.05, 0.10), 1.2, soft - 0.03)
    for side in (-0.09, 0.07):
        vessel = _ellipse(y, x, (0.16, side), (0.055, 0.055))
        image = np.where(vessel > 0, soft + 0.05, image)
    spine = np.maximum(_ellipse(y, x, (0.36, 0), (0.12, 0.14)), _ellipse(y, x, (0.52, 0), (0.16, 0.05)))
    image = np.where(spine > 0, 0.82 + 0.06 * grain, image)
    for angle in np.linspace(0.1, np.pi - 0.1, 7) + rng.normal(0, 0.05, 7):  # ribs, cut across
        for side in (-1, 1):
            rib = _ellipse(y, x, (0.02 - 0.64 * np.cos(angle), side * 0.80 * np.sin(angle)), (0.035, 0.045))
            image = np.where((rib > 0) & (wall > 0), 0.85, image)

    centre = np.add((-0.10, -0.38), rng.normal(0, 0.03, 2))
    level = _blob(rng, y, x, centre, rng.uniform(0.38, 0.46), 1.12, 0.18)
    lobe = _blob(rng, y, x, (-0.28, -0.02), rng.uniform(0.20, 0.28), 1.25, 0.12)
    level = np.minimum(np.maximum(level, lobe), cavity - 0.01)
    organ = (level > 0) & (spine < -0.02)
    inside = soft + 0.02 * grain - 0.07 * (_texture(rng, size, 0.07) > 1.9)  # veins
    return np.where(organ, inside, image), organ


def cells(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Nuclei, many of them touching. Class 2 is the outermost pixel of each.

    Where two nuclei overlap, a pixel belongs to the one whose rim is farther away.
    """
    y, x = axes(size)
    reach = y[-1, 0], x[0, -1]
    wanted = int(rng.integers(8, 17) * reach[0] * reach[1])
    typical = rng.uniform(0.16, 0.21)
    best = np.full(size, 0.0)
    owner = np.zeros(size, np.int64)  # 0 = background, k = the nucleus that the pixel lies deepest in
    brightness, centres = [0.0], []
    for _ in range(8 * wanted):
        if len(centres) == wanted:
            break
        centre = rng.uniform(-1, 1, 2) * reach
        if centres and rng.random() < 0.7:  # beside an earlier nucleus, so that many touch
            angle = rng.uniform(0, 2 * np.pi)
            neighbour = centres[rng.integers(len(centres))]
            centre = neighbour + typical * rng.uniform(1.6, 2.0) * np.array([np.sin(angle), np.cos(angle)])
        if (abs(centre) > reach).any() or any(np.hypot(*(centre - c)) < 1.5 * typical for c in centres):
            continue
        level = _blob(rng, y, x, centre, typical * rng.uniform(0.8, 1.1), rng.uniform(1.0, 1.25), 0.12)
        centres.append(centre)
        owner = np.where(level > best, len(centres), owner)
        best = np.maximum(best, level)
        brightness.append(rng.uniform(0.2, 0.85))
    inside = np.minimum(1.0, 0.75 + 1.2 * best / typical)
    light = np.array(brightness)[owner] * inside * (1 + 0.12 * _texture(rng, size, 0.04))
    image = light + 0.06 + 0.25 * blur(light, 0.12 * min(size) / 2)

    padded = np.pad(owner, 1, mode="edge")
    H, W = size
    shifted = [padded[1 + u : 1 + u + H, 1 + v : 1 + v + W] for u in (-1, 0, 1) for v in (-1, 0, 1)]
    rim = (np.stack(shifted) != owner).any(0)  # one of the eight neighbours belongs to something else
    mask = np.where(owner == 0, 0, np.where(rim, 2, 1))
    image = np.where(mask == 2, 0.9 * image, image)
    return image, mask


def vessels(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Tubes that leave the optic disc, bend, branch and thin out from 3 pixels to 1."""
    H, W = size
    y, x = axes(size)
    disc = np.array([(H - 1) * rng.uniform(0.4, 0.6), (W - 1) * rng.choice([0.2, 0.8])])
    towards = np.arctan2((H - 1) / 2 - disc[0], (W - 1) / 2 - disc[1])
    walks = [(disc, towards + turn, rng.uniform(2.2, 3.0)) for turn in (-1.9, -0.7, 0.7, 1.9)]
    points = []  # i, j, width
    while walks:
        position, heading, width = walks.pop()
        bend = rng.normal(0, 1.0 / min(size))
        while width >= 1.0 and -2 < position[0] < H + 1 and -2 < position[1] < W + 1:
            points.append((*position, width))
            bend = (1 - 2 / min(size)) * bend + rng.normal(0, 2.2 / min(size) ** 1.5)
            heading += bend
            position = position + 0.5 * np.array([np.sin(heading), np.cos(heading)])
            width *= 1 - 0.15 / min(size)
            if rng.random() < 1.3 / min(size):  # a branch takes some of the width along
                side = rng.choice([-1, 1])
                away = heading + side * rng.uniform(0.5, 1.1)
                walks.append((position, away, width * rng.uniform(0.6, 0.85)))
                heading -= side * rng.uniform(0.1, 0.3)
                width *= 0.9
    i, j, width = np.array(points).T
    cover = np.zeros((H + 8, W + 8))  # share of each pixel inside a vessel; 1/2 on the vessel's edge
    for u in range(-2, 3):
        for v in range(-2, 3):
            p, q = np.rint(i).astype(int) + u, np.rint(j).astype(int) + v
            np.maximum.at(cover, (p + 4, q + 4), np.clip(width / 2 + 0.5 - np.hypot(p - i, q - j), 0, 1))
    cover = cover[4:-4, 4:-4]

    unit = min(size) / 2
    image = 0.62 + 0.05 * _texture(rng, size, 0.30) + 0.03 * _texture(rng, size, 0.05)
    macula = (np.arange(H)[:, None] - (H - 1) / 2) ** 2 + (np.arange(W)[None] - (W - 1 - disc[1])) ** 2
    image -= 0.12 * np.exp(-macula / (2 * (0.25 * unit) ** 2))
    nerve = np.hypot(np.arange(H)[:, None] - disc[0], np.arange(W)[None] - disc[1]) / unit
    image += 0.25 / (1 + np.exp((nerve - 0.22) / 0.03))
    image -= 0.12 * np.clip(np.hypot(y / y[-1, 0], x / x[0, -1]) - 0.4, 0, None)  # darker towards the corners
    return image - 0.32 * cover * (1 + 0.2 * _texture(rng, size, 0.2)), cover >= 0.5
