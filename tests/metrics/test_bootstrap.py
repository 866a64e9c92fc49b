from __future__ import annotations

import numpy as np
import pytest

from tinyunet.data.sample import DataError
from tinyunet.metrics import bootstrap_interval, bootstrap_means


def test_spread_of_the_means_is_that_of_theory():
    values = np.random.default_rng(1).normal(size=(50, 2)) * [1, 3]
    means = bootstrap_means(values, resamples=4000)
    assert (abs(means.mean(0) - values.mean(0)) < 0.02 * values.std(0)).all()
    np.testing.assert_allclose(means.std(0), values.std(0) / np.sqrt(50), rtol=0.05)


def test_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for k in range(300):
        low, high = bootstrap_interval(bootstrap_means(rng.normal(size=(30, 1)), resamples=300, seed=k)[:, 0], 0.9)
        inside += low <= 0 <= high
    assert 0.83 < inside / 300 < 0.94


def test_slices_of_one_patient_are_one_case():
    """Ten slices of each patient say nearly the same, so they must not narrow the interval."""
    rng = np.random.default_rng(0)
    patient = rng.uniform(0.6, 1, 12)
    values = np.repeat(patient, 10)[:, None] + rng.normal(0, 0.001, (120, 1))
    groups = np.repeat([f"patient {k}" for k in range(12)], 10).tolist()
    alone = bootstrap_means(values).std()
    together = bootstrap_means(values, groups).std()
    assert together == pytest.approx(patient.std() / np.sqrt(12), rel=0.1)
    assert together > 2.5 * alone


def test_a_group_each_is_no_group_at_all():
    values = np.random.default_rng(0).random((7, 3))
    assert np.array_equal(bootstrap_means(values), bootstrap_means(values, list("abcdefg")))


def test_unequal_groups_keep_the_mean_over_images():
    values = np.array([[1.0], [0.0], [0.0], [0.0]])
    means = bootstrap_means(values, ["a", "b", "b", "b"], resamples=500)[:, 0]
    assert set(means.tolist()) == {1.0, 0.25, 0.0}  # a twice, a and b, b twice


def test_images_without_a_score_are_left_out():
    values = np.array([[0.5, np.nan], [0.5, np.nan], [np.nan, np.nan]])
    means = bootstrap_means(values, resamples=200)
    assert set(means[~np.isnan(means)].tolist()) == {0.5}
    assert np.isnan(means[:, 0]).any()  # the third image three times
    assert bootstrap_interval(means[:, 0]) == (0.5, 0.5) and np.isnan(bootstrap_interval(means[:, 1])).all()


def test_the_seed_decides():
    values = np.random.default_rng(0).random((9, 1))
    assert np.array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=3))
    assert not np.array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=4))


@pytest.mark.parametrize("table, groups", [(np.zeros((0, 2)), None), (np.zeros((3, 2)), ["a"])])
def test_bad_arguments(table, groups):
    with pytest.raises(DataError, match="expected one for each"):
        bootstrap_means(table, groups)
