from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyunet.data.sample import IGNORE, DataError
from tinyunet.metrics import METRICS, Scores, confusion, dice, iou, precision, recall, surface_distances


def brute_force(prediction, target, k, empty):
    """Dice, IoU, precision and recall of class k, pixel by pixel."""
    tp = fp = fn = 0
    for p, t in zip(prediction.ravel().tolist(), target.ravel().tolist(), strict=True):
        if t == IGNORE:
            continue
        tp += p == k and t == k
        fp += p == k and t != k
        fn += p != k and t == k
    pairs = {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
    }
    return {name: (a / b if b else empty) for name, (a, b) in pairs.items()}


@given(
    classes=st.integers(2, 5),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    images=st.integers(1, 4),
    policy=st.sampled_from([("skip", np.nan), ("one", 1.0), ("zero", 0.0)]),
    seed=st.integers(0, 2**32),
)
def test_against_counting_pixel_by_pixel(classes, size, images, policy, seed):
    rng = np.random.default_rng(seed)
    scores = Scores([f"c{k}" for k in range(classes)], empty=policy[0])
    pairs = [(rng.integers(0, classes, size), rng.integers(IGNORE, classes, size)) for _ in range(images)]
    for prediction, target in pairs:
        scores.add(prediction, target)
    whole = [np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1)]
    for metric in METRICS:
        table = np.array([[brute_force(p, t, k, policy[1])[metric] for k in range(classes)] for p, t in pairs])
        assert np.allclose(scores.per_image(metric), table, equal_nan=True)
        pooled = [brute_force(*whole, k, policy[1])[metric] for k in range(classes)]
        assert np.allclose(scores.pooled(metric), pooled, equal_nan=True)
        for k in range(classes):
            kept = table[:, k][~np.isnan(table[:, k])]
            assert scores.skipped(metric)[k] == images - len(kept)
            assert np.allclose(scores.mean(metric)[k], kept.mean() if len(kept) else np.nan, equal_nan=True)


@given(seed=st.integers(0, 2**32))
def test_dice_and_iou_say_the_same(seed):
    rng = np.random.default_rng(seed)
    counts = confusion(rng.integers(0, 3, 20), rng.integers(0, 3, 20), 3)
    j = iou(counts)
    assert np.allclose(dice(counts), 2 * j / (1 + j), equal_nan=True)
    p, r = precision(counts), recall(counts)
    hit = np.diagonal(counts) > 0
    assert np.allclose(dice(counts)[hit], (2 * p * r / (p + r + (p + r == 0)))[hit])


def test_confusion_index_is_target_then_prediction():
    counts = confusion(np.array([1, 1, 1, 0, 2]), np.array([0, 0, 1, 0, IGNORE]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion(np.array([True, False]), np.array([1, 1], np.uint8), 2).tolist() == [[0, 0], [1, 1]]


def test_pooled_and_mean_may_differ_widely():
    """A large object found and a small one missed: 0.98 pooled, 0.50 mean."""
    scores = Scores(["background", "tumour"])
    large, small = np.zeros((20, 20), int), np.zeros((20, 20), int)
    large[:10] = 1
    small[0, :8] = 1
    scores.add(large, large)
    scores.add(np.zeros_like(small), small)
    assert round(scores.pooled()[1], 2) == 0.98 and scores.mean()[1] == 0.5
    assert scores.average(scores.mean()) == 0.5


@pytest.mark.parametrize("empty, mean, skipped", [("skip", 1.0, 2), ("one", 1.0, 0), ("zero", 1 / 3, 0)])
def test_empty_policy(empty, mean, skipped):
    scores = Scores(["background", "lesion"], empty=empty)
    healthy, ill = np.zeros((3, 3), int), np.eye(3, dtype=int)
    for mask in (healthy, ill, healthy):
        scores.add(mask, mask)
    assert scores.mean()[1] == pytest.approx(mean) and scores.skipped()[1] == skipped
    assert scores.pooled()[1] == 1


def test_false_alarm_on_an_empty_image_is_not_skipped():
    scores = Scores(["background", "lesion"])
    scores.add(np.array([[1, 0]]), np.array([[0, 0]]))
    assert scores.mean("dice")[1] == 0 and scores.skipped("dice")[1] == 0
    assert scores.skipped("recall")[1] == 1


def test_class_that_never_occurs():
    scores = Scores(["background", "a", "b"])
    scores.add(np.array([[0, 1]]), np.array([[0, 1]]))
    assert np.isnan(scores.mean()[2]) and np.isnan(scores.pooled()[2])
    assert scores.average(scores.mean()) == 1  # of class a alone


def test_ignored_pixels_do_not_count():
    scores = Scores(["background", "a"])
    scores.add(np.array([[1, 1, 0]]), np.array([[1, IGNORE, IGNORE]]))
    assert scores.counts.sum() == 1 and scores.pooled()[1] == 1


@pytest.mark.parametrize("background, expected", [(False, 0.5), (True, 0.7)])
def test_background_in_averages(background, expected):
    scores = Scores(["background", "a"], background=background)
    assert scores.average(np.array([0.9, 0.5])) == pytest.approx(expected)


def test_bootstrap_interval():
    scores = Scores(["background", "a"])
    rng = np.random.default_rng(0)
    for _ in range(60):
        target = rng.integers(0, 2, (8, 8))
        scores.add(np.where(rng.random((8, 8)) < rng.uniform(0.6, 1), target, 1 - target), target)
    values = scores.per_image()[:, 1]
    low, high = scores.interval()
    normal = 1.96 * values.std() / np.sqrt(len(values))  # close to normal for 60 images
    assert low == pytest.approx(values.mean() - normal, abs=0.3 * normal)
    assert high == pytest.approx(values.mean() + normal, abs=0.3 * normal)
    assert scores.interval() == (low, high)
    nothing = Scores(["background", "a"])
    nothing.add(np.zeros((2, 2), int), np.zeros((2, 2), int))
    nothing.add(np.zeros((2, 2), int), np.zeros((2, 2), int))
    assert np.isnan(nothing.interval()).all()
    one = Scores(["background", "a"])
    one.add(np.ones((2, 2), int), np.ones((2, 2), int))
    assert np.isnan(one.interval()).all() and "95 % interval -" in one.table()  # one image does not vary


def filled() -> Scores:
    scores = Scores(["background", "tumour", "average"])  # a class may be called like a row of the table
    scores.add(np.array([[0, 1, 1]]), np.array([[0, 1, 0]]), name="first")
    scores.add(np.array([[0, 0, 2]]), np.array([[0, 0, 2]]), name="first")  # and two images alike
    return scores


def test_to_dict_is_json():
    result = json.loads(json.dumps(filled().to_dict(), allow_nan=False))
    assert result["images"] == ["first", "first"] and result["empty"] == "skip" and not result["background"]
    assert result["dice"]["per_image"] == [[pytest.approx(2 / 3), pytest.approx(2 / 3), None], [1, None, 1]]
    assert result["dice"]["mean"] == [pytest.approx(5 / 6), pytest.approx(2 / 3), 1]
    assert result["dice"]["average_mean"] == pytest.approx(5 / 6)
    assert result["dice"]["skipped"] == [0, 1, 1]


def test_table():
    lines = filled().table().splitlines()
    assert lines[3].split() == ["tumour"] + ["0.6667"] * 2 + ["0.5000"] * 4 + ["1.0000"] * 2
    assert lines[5].split()[:3] == ["average", "0.8333", "0.8333"]
    assert "0/0, left out of the mean dice, iou, precision, recall (images): tumour 1, average 1" in lines


def test_csv(tmp_path):
    filled().save_csv(tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert list(rows[1].values()) == [
        "first",
        "tumour",
        "1",
        "1",
        "0",
        "1",
        "0.666667",
        "0.500000",
        "0.500000",
        "1.000000",
    ]
    assert rows[4]["dice"] == ""


@pytest.mark.parametrize(
    "prediction, target, word",
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"\(2, 2\) and target \(2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has dtype float64.*argmax"),
        (np.zeros((2, 2), int), np.zeros((2, 2)), "target has dtype float64"),
        (np.full((2, 2), 255), np.zeros((2, 2), int), "prediction holds labels 255..255; expected 0..1"),
        (np.full((2, 2), IGNORE), np.zeros((2, 2), int), "prediction holds labels -1"),
        (np.zeros((2, 2), int), np.full((2, 2), -2), "target holds labels -2..-2; expected -1..1"),
        (np.zeros((2, 2), int), np.full((2, 2), 255, np.uint8), "target holds labels 255..255"),
    ],
)
def test_bad_labels(prediction, target, word):
    scores = Scores(["background", "a"])
    with pytest.raises(DataError, match=word):
        scores.add(prediction, target)
    assert len(scores) == 0


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: Scores(["background"]), "at least background and one class"),
        (lambda: Scores(["a", "b"], empty="nan"), "empty is 'nan'; expected one of skip, one, zero"),
        (lambda: dice(np.zeros((2, 2), int), "nan"), "empty is 'nan'"),
        (lambda: filled().mean("f1"), "unknown metric 'f1'; expected one of dice, iou"),
        (lambda: Scores(["a", "b"]).pooled(), "no images to score"),
    ],
)
def test_bad_arguments(call, word):
    with pytest.raises(DataError, match=word):
        call()


# ------------------------------------------------------------------------------------------- surfaces and objects


def detailed(**options) -> Scores:
    """Two touching squares told apart, one of three missed, a false alarm, and nothing to find."""
    scores = Scores(["background", "nucleus"], detailed=True, **options)
    instances = np.zeros((12, 16), int)
    instances[2:6, 2:6], instances[2:6, 6:10] = 1, 2
    target = (instances > 0).astype(int)
    scores.add(target, target, "merged", instances=instances)
    apart = target.copy()
    apart[:, 6] = 0
    scores.add(apart, target, "apart", instances=instances)
    nothing = np.zeros_like(target)
    scores.add(nothing, target, "missed")
    scores.add(target, nothing, "false alarm")
    scores.add(nothing, nothing, "nothing")
    return scores


def test_detailed_scores():
    scores = detailed()
    assert scores.objects[:, 1].tolist() == [[0, 1, 2], [2, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_equal(scores.per_image("object_f1")[:, 1], [0, 1, 0, 0, np.nan])
    np.testing.assert_equal(scores.per_image("hd95")[:, 1], [0, 1, 20, 20, np.nan])
    np.testing.assert_equal(scores.per_image("surface_dice")[:, 1], [1, 1, 0, 0, np.nan])
    assert scores.mean("hd95")[1] == 10.25 and np.isnan(scores.pooled("hd95")[1])
    assert scores.pooled("object_f1")[1] == pytest.approx(2 * 2 / (2 * 2 + 2 + 3))
    surface = [20, 20, 20, 22, 20, 20]  # pixels: merged, its prediction; apart; missed; false alarm
    assert scores.pooled("surface_dice")[1] == pytest.approx(sum(surface[:4]) / sum(surface))
    assert scores.one_sided().tolist() == [0, 2] and scores.skipped("hd95")[1] == 1
    assert np.isnan(scores.per_image("hd95")[:, 0]).all()  # the surface of the background is no object's


def test_pooled_surface_scores_are_those_of_all_pixels_together():
    rng = np.random.default_rng(0)
    scores = Scores(["background", "a", "b"], detailed=True, tolerance=1.5)
    pairs = [(rng.integers(0, 3, (9, 9)), rng.integers(0, 3, (9, 9))) for _ in range(3)]
    for pair in pairs:
        scores.add(*pair, spacing=(1.0, 1.4))
    for k in (1, 2):
        found = [surface_distances(p == k, t == k, (1.0, 1.4)) for p, t in pairs]
        away = np.concatenate([d for one in found for d in one[:2]])
        assert scores.pooled("assd")[k] == pytest.approx(away.mean())
        assert scores.pooled("surface_dice")[k] == pytest.approx((away <= 1.5).mean())
    assert scores.unit == "mm" and "surface Dice at 1.5 mm" in scores.table() and "HD95 [mm]" in scores.table()


def test_ignored_pixels_belong_to_no_surface_and_no_object():
    target = np.zeros((8, 12), int)
    target[2:6, 2:6] = 1
    target[:, 8:] = IGNORE
    prediction = (target == 1).astype(int)
    prediction[3, 9:] = 1
    scores = Scores(["background", "a"], detailed=True)
    scores.add(prediction, target)
    assert scores.mean("hd95")[1] == 0 and scores.objects[0, 1].tolist() == [1, 0, 0]


def test_a_volume_is_measured_as_a_whole():
    """Two slices of one object: in the volume one object, and its surface lies on both sides."""
    target = np.zeros((3, 8, 8), int)
    target[:2, 2:6, 2:6] = 1
    prediction = np.roll(target, 1, axis=0)
    scores = Scores(["background", "a"], detailed=True)
    scores.add(prediction, target, spacing=(3.0, 1.0, 1.0))
    assert scores.objects[0, 1].tolist() == [0, 1, 1]  # IoU 1/3
    assert scores.mean("hd95")[1] == 3 and scores.shapes == [(3, 8, 8)]


def test_patients_widen_the_interval():
    rng = np.random.default_rng(0)
    alone, together = Scores(["background", "a"]), Scores(["background", "a"])
    for patient in range(6):
        wrong = rng.uniform(0, 0.4)
        for _ in range(8):
            target = rng.integers(0, 2, (16, 16))
            prediction = np.where(rng.random((16, 16)) < wrong, 1 - target, target)
            alone.add(prediction, target)
            together.add(prediction, target, group=f"patient {patient}")
    (a, b), (c, d) = alone.interval(), together.interval()
    assert d - c > 1.5 * (b - a) and together.intervals("dice")[1].tolist() == [c, d]
    assert "48 images of 6 patients" in together.table() and len(together.to_dict()["patients"]) == 48


def test_detailed_output(tmp_path):
    scores = detailed()
    result = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert result["hd95"]["pooled"] == [None, None] and result["unit"] == "px" and result["one_sided"] == [0, 2]
    assert [row[1] for row in result["objects"]["missed"]] == [2, 0, 1, 0, 0]
    text = scores.table()
    assert "nucleus: 5 objects, 4 predicted, 2 are pairs" in text
    assert "only in the masks or only predicted, distance = diagonal (images): nucleus 2" in text
    assert "0/0, left out of the mean dice, iou, surface_dice, hd95, assd, object_f1 (images): nucleus 1" in text
    scores.save_csv(tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["hd95"], rows[1]["hd95"], rows[9]["hd95"]) == ("", "0.000000", "")
    assert (rows[3]["objects"], rows[3]["objects_predicted"], rows[3]["unit"]) == ("2", "2", "px")


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda s, m: s.add(m, m, "x", spacing=(1, 1)), "x is measured in mm, the images before it in px"),
        (lambda s, m: filled().mean("hd95"), "unknown metric 'hd95'.*detailed=True"),
        (lambda s, m: Scores(["a", "b"], tolerance=-1), "tolerance is -1"),
    ],
)
def test_bad_details(call, word):
    with pytest.raises(DataError, match=word):
        call(detailed(), np.ones((4, 4), int))


@pytest.mark.parametrize("empty", ["skip", "one", "zero"])
def test_scribbles_have_no_surfaces(empty):
    rng = np.random.default_rng(0)
    dense, prediction = rng.integers(0, 2, (9, 9)), rng.integers(0, 2, (9, 9))
    sparse = np.where(rng.random((9, 9)) < 0.3, dense, IGNORE)
    scores, whole = (Scores(["background", "a"], empty, detailed=True) for _ in range(2))
    whole.add(prediction, dense)
    for target in (dense, sparse, sparse):
        scores.add(prediction, target)
    assert scores.sparse == 2 and whole.sparse == 0
    for metric in ("surface_dice", "hd95", "assd", "object_f1"):
        assert np.isnan(scores.per_image(metric)[1:, 1]).all()
        assert scores.mean(metric)[1] == whole.mean(metric)[1]
        np.testing.assert_array_equal(scores.pooled(metric), whole.pooled(metric))
    assert not np.isnan(scores.per_image("dice")).any()
    assert "fewer than half of the pixels labelled, so no surfaces and objects (images): 2" in scores.table()
    nothing = Scores(["background", "a"], empty, detailed=True)
    nothing.add(prediction, sparse)
    assert np.isnan(nothing.pooled("surface_dice")).all() and "HD95" not in nothing.table()
    json.dumps(nothing.to_dict(), allow_nan=False)
