"""The ConvNet's layers, shapes and gradients, and the accuracy that chapters report."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from helpers.data import load_dataset, make_loader
from helpers.model import ConvNet, accuracy, loss_and_accuracy

PARAMETERS = {
    "conv1.0.weight": (16, 1, 3, 3),
    "conv1.0.bias": (16,),
    "conv2.0.weight": (32, 16, 3, 3),
    "conv2.0.bias": (32,),
    "fc.0.weight": (128, 1568),
    "fc.0.bias": (128,),
    "fc.2.weight": (64, 128),
    "fc.2.bias": (64,),
    "out.weight": (10, 64),
    "out.bias": (10,),
}


def test_named_parameters():
    shapes = {name: tuple(value.shape) for name, value in ConvNet().named_parameters()}
    assert shapes == PARAMETERS


def test_docstring_counts_the_parameters():
    count = sum(parameter.numel() for parameter in ConvNet().parameters())
    assert f"{count:,} in {len(PARAMETERS)} tensors" in ConvNet.__doc__


def test_computes_the_same_as_the_original_written_out():
    """The layers one by one, from torch.nn.functional: a swapped pooling shows here."""
    torch.manual_seed(0)
    model, images = ConvNet(), torch.rand(3, 1, 28, 28)
    weights = dict(model.named_parameters())
    f = nn.functional
    x = f.conv2d(images, weights["conv1.0.weight"], weights["conv1.0.bias"], padding=1)
    x = f.avg_pool2d(f.relu(x), 2)
    x = f.conv2d(x, weights["conv2.0.weight"], weights["conv2.0.bias"], padding=1)
    x = f.max_pool2d(f.relu(x), 2)
    x = f.relu(x.reshape(3, 1568) @ weights["fc.0.weight"].T + weights["fc.0.bias"])
    x = f.relu(x @ weights["fc.2.weight"].T + weights["fc.2.bias"])
    logits = x @ weights["out.weight"].T + weights["out.bias"]
    torch.testing.assert_close(model(images), logits)


def test_channels_last_gives_the_same_logits_and_gradients():
    torch.manual_seed(0)
    model, images = ConvNet(), torch.rand(4, 1, 28, 28)
    last = ConvNet().to(memory_format=torch.channels_last)
    last.load_state_dict(model.state_dict())
    for network, batch in (
        (model, images),
        (last, images.contiguous(memory_format=torch.channels_last)),
    ):
        network(batch).logsumexp(1).sum().backward()
    assert last.conv2[0].weight.is_contiguous(memory_format=torch.channels_last)
    for one, two in zip(model.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 3, 28, 28), (2, 1, 29, 29), (2, 784)])
def test_a_wrong_shape_says_what_was_expected(shape):
    with pytest.raises(ValueError, match=r"expects a batch of shape \(N, 1, 28, 28\), got"):
        ConvNet()(torch.zeros(shape))


class Constant(nn.Module):
    """Always answers 3; remembers how it was called."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.eye(10)[3])
        self.dropout = nn.Dropout()
        self.batch_sizes, self.modes, self.grads = [], [], []

    def forward(self, images):
        self.batch_sizes.append(len(images))
        self.modes.append(self.training or self.dropout.training)
        self.grads.append(torch.is_grad_enabled())
        return self.logits.expand(len(images), 10)


def test_accuracy_counts_right_answers_in_batches_without_autograd():
    model, data = Constant(), load_dataset().test
    share_of_threes = (data.tensors[1] == 3).double().mean().item()
    assert accuracy(model, data, batch_size=300) == pytest.approx(share_of_threes, abs=1e-12)
    assert model.batch_sizes == [300] * 6 + [200]
    assert not any(model.modes)
    assert not any(model.grads)


def test_score_is_the_mean_loss_over_images_and_not_over_batches():
    torch.manual_seed(0)
    model, (images, labels) = ConvNet(), load_dataset().test.tensors
    some = TensorDataset(images[:310], labels[:310])
    with torch.no_grad():
        logits = model(images[:310])
    loss = nn.functional.cross_entropy(logits, labels[:310]).item()
    right = (logits.argmax(1) == labels[:310]).double().mean().item()
    assert loss_and_accuracy(model, some) == pytest.approx((loss, right), rel=1e-5)
    assert loss_and_accuracy(model, some, batch_size=300) == pytest.approx((loss, right), rel=1e-5)
    assert loss_and_accuracy(model, some).accuracy == accuracy(model, some)


def test_score_of_half_precision_and_of_weights_that_are_no_numbers():
    some = TensorDataset(*load_dataset().test[:50])
    half = ConvNet().bfloat16()
    half.register_forward_pre_hook(lambda _, inputs: inputs[0].bfloat16())
    assert loss_and_accuracy(half, some).loss == pytest.approx(2.3, abs=0.1)  # ln 10
    broken = ConvNet()
    nn.init.constant_(broken.out.weight, float("nan"))
    assert loss_and_accuracy(broken, some).loss != loss_and_accuracy(broken, some).loss


@pytest.mark.parametrize("mode", [True, False])
def test_accuracy_leaves_every_modules_mode_as_it_was(mode):
    model = Constant().train(mode)
    model.dropout.train(not mode)
    accuracy(model, load_dataset().test)
    assert model.training is mode
    assert model.dropout.training is not mode


def test_accuracy_restores_the_mode_after_an_error():
    model = ConvNet()
    with pytest.raises(ValueError, match="expects a batch"):
        accuracy(model, TensorDataset(torch.zeros(2, 28, 28), torch.zeros(2).long()))
    assert model.training


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match="empty dataset"):
        accuracy(ConvNet(), TensorDataset(torch.zeros(0, 1, 28, 28), torch.zeros(0).long()))


def test_it_learns_digits_it_has_not_seen():
    """One epoch of plain training; shuffled labels and swapped poolings both miss the bounds."""
    torch.manual_seed(0)
    data, model = load_dataset(), ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for images, labels in make_loader(data.train, batch_size=64):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 0.86 < accuracy(model, data.test) < 0.97
