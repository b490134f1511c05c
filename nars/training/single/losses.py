"""What a training minimises."""

import torch
from torch.nn import functional


def training_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    label_smoothing: float,
    teacher_logits: torch.Tensor | None = None,
    teacher_share: float = 0.0,
) -> torch.Tensor:
    """Mean cross-entropy of logits (b, c) with labels, classes (b,) or, after mixup, probabilities (b, c).

    With a teacher's logits (b, c), `teacher_share` of it is the cross-entropy with the teacher's probabilities.
    """
    loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if teacher_logits is None:
        return loss
    learned = functional.cross_entropy(logits, teacher_logits.softmax(dim=1))
    return teacher_share * learned + (1 - teacher_share) * loss
