"""Comparisons of runs at the edges: no seeds, one seed, no scatter, no such method; and known truth."""

import numpy as np

from collab_seg.studies.compare import holm, paired, paired_test, scores
from collab_seg.studies.labels import best_peer
from collab_seg.studies.made_up import made_up_study


def test_differences_without_scatter():
    same = paired_test([2, 2])
    assert paired_test([0, 0]).p == 1 and np.isnan(same.p) and np.isnan(same.low)


def test_fewer_than_two_seeds_give_no_interval():
    one, none = paired_test([5.0]), paired_test([])
    assert one.mean == 5 and np.isnan(one.low) and np.isnan(none.mean)


def test_an_imagined_study_gives_its_truth_back():
    table = scores(made_up_study()[0])
    result = paired(table, "collab", "alone", "cnn")
    assert result.low < 4 < result.high and best_peer(table) == "dml"
    assert paired(table, "collab", "skd").seeds == 0


def test_holm_of_none_and_of_large_ones():
    assert holm([]) == [] and holm([0.7, 0.8]) == [1.0, 1.0]
