"""Training losses."""

import pytest
import torch

from nars.training.single.losses import training_loss


@pytest.mark.parametrize("seed", range(5))
def test_a_teacher_s_share_of_the_loss_is_its_cross_entropy(seed):
    """By hand: minus the mean over images of the sum over classes of probability times log-probability."""
    generator = torch.Generator().manual_seed(seed)
    logits, teacher = torch.randn(2, 6, 4, generator=generator)
    labels = torch.randint(4, (6,), generator=generator)
    logs = logits - logits.exp().sum(1, keepdim=True).log()
    learned = -(teacher.exp() / teacher.exp().sum(1, keepdim=True) * logs).sum(1).mean()
    given = -logs[torch.arange(6), labels].mean()
    loss = training_loss(logits, labels, label_smoothing=0.0, teacher_logits=teacher, teacher_share=0.8)
    torch.testing.assert_close(loss, 0.8 * learned + 0.2 * given)
    torch.testing.assert_close(training_loss(logits, labels, label_smoothing=0.0), given)
    mixed = torch.nn.functional.one_hot(labels, 4).float()  # what mixup makes of labels
    torch.testing.assert_close(training_loss(logits, mixed, label_smoothing=0.0), given)


def test_labels_are_smoothed_and_a_teacher_is_not():
    logits, labels = torch.tensor([[3.0, 0.0]]), torch.tensor([0])
    smooth = training_loss(logits, labels, label_smoothing=0.2)
    assert smooth > training_loss(logits, labels, label_smoothing=0.0)
    with_teacher = [
        training_loss(logits, labels, label_smoothing=s, teacher_logits=logits, teacher_share=1.0) for s in (0.0, 0.2)
    ]
    assert with_teacher[0] == with_teacher[1]
