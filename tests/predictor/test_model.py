"""Blending: the share follows the better prediction, and folds leave every record out once."""

import pytest
import torch

from nars.predictor.model import blend_share, folds, left_out


def test_the_share_goes_to_whichever_predicts_left_out_records_better():
    g = torch.Generator().manual_seed(0)
    y, noise = torch.randn(500, generator=g).double(), torch.randn(2, 500, generator=g).double()
    assert blend_share(y, y + 0.1 * noise[0], y + noise[1]) > 0.9
    assert blend_share(y, y + noise[0], y + 0.1 * noise[1]) < 0.1
    assert blend_share(y, y + noise[0], y + noise[1]) == pytest.approx(0.5, abs=0.1)
    assert blend_share(y, y, y) == 0.5
    few = blend_share(y[:2], y[:2], y[:2] + 1)
    assert 0.5 < few < 0.7


@pytest.mark.parametrize("rows", [2, 3, 5, 48])
def test_every_record_is_left_out_by_one_member(rows):
    taken = folds(rows, 4, generator=torch.Generator().manual_seed(0))
    assert (taken.sum(dim=1) == 3).all()
    assert (taken.sum(dim=0) >= rows - -(-rows // 4)).all()
    predicted = torch.randn(4, rows)
    expected = [predicted[int(taken[i].argmin()), i] for i in range(rows)]
    torch.testing.assert_close(left_out(predicted, taken).float(), torch.stack(expected))


@pytest.mark.parametrize(("rows", "members"), [(1, 4), (9, 1)])
def test_nothing_is_left_out_where_nothing_would_be_left(rows, members):
    taken = folds(rows, members, generator=torch.Generator().manual_seed(0))
    assert (taken == 1).all()
    predicted = torch.randn(members, rows)
    torch.testing.assert_close(left_out(predicted, taken).float(), predicted.mean(dim=0))
