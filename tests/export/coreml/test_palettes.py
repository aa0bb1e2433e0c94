import numpy as np
import pytest

from export.quantize.palettes import palette

WEIGHTS = np.random.default_rng(0).normal(0, 0.05, (96, 64)).astype(np.float16)


def _error(weights, bits):
    entries, places = palette(weights, bits)
    assert (entries.dtype, places.dtype) == (weights.dtype, np.uint8)
    assert len(entries) == 2**bits
    return np.square(entries[places].astype(np.float64) - weights.ravel()).mean()


def test_every_value_goes_to_its_nearest_place():
    entries, places = palette(WEIGHTS, 4)
    distances = np.abs(WEIGHTS.ravel()[:, None].astype(np.float64) - entries)
    taken = np.take_along_axis(distances, places[:, None].astype(int), axis=1)[:, 0]
    # Palettes are rounded to the type of the weights after places were given.
    assert (taken <= distances.min(axis=1) + np.spacing(np.float16(0.2))).all()


@pytest.mark.parametrize(("bits", "of_optimum"), [(1, 0.3634), (2, 0.1175), (4, 0.009497)])
def test_error_is_that_of_the_best_palette_of_a_bell_curve(bits, of_optimum):
    # Lloyd-Max quantisers of a normal distribution: Max (1960), "Quantizing for minimum
    # distortion", Table I.
    assert _error(WEIGHTS, bits) / WEIGHTS.astype(np.float64).var() < of_optimum * 1.03


def test_more_bits_are_never_worse_on_heavy_tails():
    random = np.random.default_rng(1)
    folded = random.normal(size=(256, 1, 3, 3)) * np.exp(random.normal(0, 1.5, (256, 1, 1, 1)))
    errors = [_error(folded.astype(np.float32), bits) for bits in (1, 2, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-5 * folded.var()


@pytest.mark.parametrize(("different", "bits"), [(2, 1), (3, 2), (16, 4), (139, 8), (256, 8)])
def test_few_different_values_stay_exact_in_the_smallest_palette_that_holds_them(different, bits):
    grid = ((np.arange(different) - different // 2) * 0.01).astype(np.float16)
    weights = np.random.default_rng(0).permutation(np.resize(grid, 4096)).reshape(64, 64)
    entries, places = palette(weights, 8)
    assert len(entries) == 2**bits
    np.testing.assert_array_equal(entries[places].reshape(64, 64), weights)


def test_one_value_alone():
    entries, places = palette(np.full((4, 4), 0.5, np.float16), 4)
    assert entries[places].tolist() == [0.5] * 16
