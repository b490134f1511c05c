"""Accuracy of given networks."""

import pytest
import torch
from torch import nn

from nars.data import open_data
from nars.errors import UserError
from nars.settings import DigitsSettings, TrainerSettings
from nars.training.weights.accuracy import Accuracy, measure_accuracy, outputs_of_classes, validation_accuracy

HERE = {"normalise": nn.Identity(), "accelerator": "cpu"}


class Ranks(nn.Module):
    """Guesses classes 0, 1, 2, ... in this order, whatever it sees."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -torch.arange(self.classes).expand(len(images), -1).float()


def batches(labels: list[int]) -> list:
    return [(torch.zeros(len(part), 3, 2, 2), torch.tensor(part)) for part in (labels[:3], labels[3:])]


def test_first_and_first_five_guesses_are_counted():
    loader = batches([0, 4, 5, 7, 0, 1, 9, 3])
    accuracy = measure_accuracy(Ranks(10), loader, outputs=range(10), **HERE)
    assert accuracy == Accuracy(top1=2 / 8, top5=5 / 8, images=8)
    accuracy = measure_accuracy(Ranks(3), batches([0, 1, 2, 2]), outputs=range(3), **HERE)
    assert accuracy == Accuracy(top1=1 / 4, top5=1.0, images=4)


class Listens(Ranks):
    """Keeps the precision in which it computes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See Ranks."""
        self.computed = (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        return super().forward(images)


def test_networks_are_measured_in_the_precision_of_trainings():
    for precision, dtype in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        network = Listens(3)
        accuracy = measure_accuracy(network, batches([0, 1, 2, 2]), outputs=range(3), precision=precision, **HERE)
        assert network.computed == dtype
        assert accuracy.top1 == 1 / 4
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        measure_accuracy(Ranks(3), batches([0, 1, 2, 2]), outputs=range(3), precision="16-mixed", **HERE)


def test_the_validation_images_are_measured_by_the_means_of_the_trainer(monkeypatch):
    data = open_data(DigitsSettings(name="digits"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # and is not used when the CPU is asked for
    for precision, dtype in (("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)):
        trainer, network = TrainerSettings(accelerator="cpu", precision=precision), Listens(10)
        means = {"image_size": 32, "batch_size": 200, "outputs": range(10), "trainer": trainer}
        accuracy = validation_accuracy(data, network, **means)
        assert network.computed == dtype
        zeros = sum(int((labels == 0).sum()) for _, labels in data.val_loader(image_size=32, batch_size=400))
        assert accuracy.images == data.val_size
        assert accuracy.top1 == zeros / data.val_size


def test_classes_go_by_name():
    outputs = outputs_of_classes(["c", "a"], ["a", "b", "c"], num_outputs=3)
    assert outputs == [2, 0]
    accuracy = measure_accuracy(Ranks(3), batches([0, 1, 1, 0]), outputs=outputs, **HERE)
    assert accuracy.top1 == 2 / 4
    assert outputs_of_classes(["x", "y"], None, num_outputs=2) == [0, 1]
    with pytest.raises(UserError, match="data has 2 classes, the weights 3"):
        outputs_of_classes(["x", "y"], None, num_outputs=3)
    with pytest.raises(UserError, match=r"class d .* is none of the 3"):
        outputs_of_classes(["a", "d"], ["a", "b", "c"], num_outputs=3)
