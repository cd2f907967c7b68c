"""The chart: what it logs is what happened, it disturbs nothing, and it logs to the end."""

import itertools
import math

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import TensorDataset

from helpers.clinic.chart import Chart, read_chart


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def images_and_labels(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, 4, 4, generator=generator)
    return images, torch.randint(3, (count,), generator=generator)


TEST = TensorDataset(*images_and_labels(40, seed=1))


def steps(model, count, rate=0.1):
    """A training loop; yields what a chart logs, between backward() and step()."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    images, labels = images_and_labels(count * 5, seed=2)
    for some, their in zip(images.split(5), labels.split(5), strict=True):
        logits = model(some)
        loss = nn.functional.cross_entropy(logits, their)
        optimizer.zero_grad()
        loss.backward()
        yield some, their, logits, loss
        optimizer.step()


def charted(folder, model, count=24, rate=0.1, **options):
    with Chart(folder, model, TEST, **options) as chart:
        for what in steps(model, count, rate):
            chart.log(*what)
    return read_chart(folder)


def test_entries_are_at_the_early_steps_at_every_tenth_and_at_the_end(tmp_path):
    record = charted(tmp_path, network())
    assert record.scalars["loss/test"][0].tolist() == [0, 1, 2, 3, 5, 10, 20, 24]
    assert record.scalars["accuracy/test_counted_again"][0].tolist() == [0, 10, 24]
    assert list(record.histograms["weights/1"]) == [0, 10, 24]
    assert record.last_step == 24
    assert record.layers() == ["1", "4"]


def test_what_is_logged_is_what_happened(tmp_path):
    model = network()
    losses, norms = [], []
    with Chart(tmp_path, model, TEST) as chart:
        for images, labels, logits, loss in steps(model, 24):
            losses.append(loss.item())
            norms.append(math.hypot(model[4].weight.grad.norm(), model[4].bias.grad.norm()))
            chart.log(images, labels, logits, loss)
    record = read_chart(tmp_path)
    logged = record.scalars["loss/train"][1]
    assert logged[0] == pytest.approx(losses[0])
    assert logged[5] == pytest.approx(np.mean(losses[6:11]))  # since the entry at step 5
    assert logged[-1] == pytest.approx(np.mean(losses[21:]))
    expected = [norms[step] for step in (0, 1, 2, 3, 5, 10, 20, 23)]  # no new ones at the end
    assert record.scalars["gradient/4"][1] == pytest.approx(expected)

    model.eval()
    answers = model(TEST.tensors[0]).argmax(1)
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (TEST.tensors[1].numpy(), answers.numpy()), 1)
    assert record.confusion.tolist() == expected.tolist()
    assert record.scalars["accuracy/test"][1][-1] == pytest.approx(expected.trace() / 40)
    edges, counts = record.histograms["weights/4"][24]
    assert counts.sum() == 27
    assert edges[-1] == pytest.approx(max(p.max().item() for p in model[4].parameters()))
    images, labels = images_and_labels(5, seed=2)
    assert record.labels["train"] != record.labels["test"][:5]
    assert record.scalars["pixels/test_highest"][1] == pytest.approx(TEST.tensors[0].max().item())
    assert record.batch["test"].shape == (2 * 4, 8 * 4, 3)


def test_a_unit_is_silent_if_no_test_image_wakes_it(tmp_path):
    model = network()
    with torch.no_grad():
        model[1].bias[:3] = -100
        model[1].weight[3:] = model[1].weight[3:].abs()
        model[1].bias[3:] = 1
    record = charted(tmp_path, model, count=1)
    assert record.scalars["silent/2"][1][0] == pytest.approx(3 / 8)


def test_a_channel_counts_as_one_unit(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        model[0].bias[:] = torch.tensor([-100.0, 100, 100, 100])
    record = charted(tmp_path, model, count=1)
    assert record.scalars["silent/1"][1][0] == pytest.approx(1 / 4)


def test_a_layer_that_no_gradient_reaches_is_logged_with_0(tmp_path):
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()

    model = network()
    model[2] = nn.Sequential(nn.ReLU(), Cut())
    record = charted(tmp_path, model)
    assert not record.scalars["gradient/1"][1].any()
    assert record.scalars["gradient/4"][1].all()
    assert "log10_gradients/1" not in record.histograms


def test_a_training_that_ends_in_nan_is_logged_to_its_end(tmp_path, capsys):
    model = network()
    record = charted(tmp_path, model, rate=1e30)
    assert model[4].weight.isnan().all()
    assert record.scalars["loss/train"][0][-1] == 24
    assert np.isfinite(record.scalars["loss/train"][1][0])
    assert np.isnan(record.scalars["loss/train"][1][-1])
    assert list(record.histograms["weights/4"]) == [0]  # what isn't finite has no histogram
    assert record.confusion.sum() == 40
    assert capsys.readouterr() == ("", "")


def test_a_chart_changes_nothing_in_the_training(tmp_path):
    plain, watched = network(), network()
    for _ in steps(plain, 24):
        pass
    charted(tmp_path, watched)
    for one, two in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_model_is_left_in_its_modes_and_without_hooks(tmp_path):
    model = network()
    model[0].eval()
    charted(tmp_path, model)
    assert [module.training for module in model] == [False, True, True, True, True]
    assert not any(module._forward_hooks for module in model.modules())


def test_two_counts_differ_only_if_the_test_images_are_answered_in_training_mode(tmp_path):
    for mode in (True, False):
        model = network()
        model[3].p = 0.9  # what is left of eight numbers answers nearly at random
        model[4].bias.data.zero_()
        record = charted(tmp_path / str(mode), model, rate=0.0, eval_mode=mode)
        at = np.isin(record.scalars["accuracy/test"][0], [0, 10, 24])
        first, again = (
            record.scalars["accuracy/test"][1][at],
            record.scalars["accuracy/test_counted_again"][1],
        )
        assert (first == again).all() == mode


def test_the_same_numbers_are_the_same_bytes(tmp_path):
    contents = []
    for name in "ab":
        charted(tmp_path / name, network(), clock=itertools.count(1000).__next__)
        (file,) = (tmp_path / name).iterdir()
        contents.append((file.name, file.read_bytes()))
    assert contents[0] == contents[1]


def test_tensorboard_reads_it(tmp_path):
    charted(tmp_path, network())
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()
    assert {"loss/train", "gradient/1", "silent/2"} <= set(tags["scalars"])
    assert set(tags["images"]) == {"batch/train", "batch/test"}


def test_what_was_logged_before_an_error_is_kept(tmp_path):
    model = network()
    with pytest.raises(KeyboardInterrupt), Chart(tmp_path, model, TEST) as chart:
        for number, what in enumerate(steps(model, 24)):
            chart.log(*what)
            if number == 12:
                raise KeyboardInterrupt
    assert read_chart(tmp_path).last_step == 13


def test_a_model_that_breaks_takes_nothing_with_it(tmp_path):
    class Breaks(nn.Identity):
        broken = False

        def forward(self, x):
            if self.broken:
                raise RuntimeError("the model broke")
            return x

    model = nn.Sequential(*network(), Breaks())
    with pytest.raises(RuntimeError, match="the model broke"), Chart(tmp_path, model, TEST) as c:
        for number, what in enumerate(steps(model, 24)):
            c.log(*what)
            model[-1].broken = number == 7
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss/train")] == [0, 1, 2, 3, 5]


def test_a_chart_without_images_has_everything_else(tmp_path):
    model = network()
    with Chart(tmp_path, model[1:], TensorDataset(torch.rand(9, 16), torch.zeros(9).long())) as c:
        logits = model[1:](torch.rand(5, 16))
        loss = logits.logsumexp(1).mean()
        loss.backward()
        c.log(torch.rand(5, 16), torch.zeros(5).long(), logits, loss)
    assert read_chart(tmp_path).batch == {}


def test_a_folder_takes_one_chart(tmp_path):
    charted(tmp_path / "one", network(), count=1)
    with pytest.raises(FileExistsError, match="another folder"):
        Chart(tmp_path / "one", network(), TEST)
    Chart(tmp_path / "two", network(), TEST).close()  # the remedy


def test_no_test_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="there are none"):
        Chart(tmp_path, network(), TensorDataset(torch.zeros(0, 1, 4, 4), torch.zeros(0).long()))


def test_reading_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no chart"):
        read_chart(tmp_path)
    model = network()
    chart = Chart(tmp_path, model, TEST)
    for what in steps(model, 3):
        chart.log(*what)
    chart._file.flush()
    with pytest.raises(ValueError, match=r"close\(\) it"):
        read_chart(tmp_path)
    chart.close()  # the remedy
    assert read_chart(tmp_path).last_step == 3
