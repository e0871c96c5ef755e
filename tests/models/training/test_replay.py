"""A step of fixed tensors: what it computes, and what it holds."""

from __future__ import annotations

import copy
import math
import weakref

import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.augmentation import Affine, augment
from models.training.loop import AVERAGE_POWER, TrainingConfig, _seed, has_fast_bf16
from models.training.reconstruction import Reconstruction, autoencoder_run
from tests.models.made_data import prepared_glyphs

MODEL = AutoencoderConfig(depth=3, width=8, latent_size=12, dropout=0.2)
NOISY = TrainingConfig(
    max_epochs=2, batch_size=40, noise="block", noise_level=0.2, affine=1.0, l1=0.01, l2=0.1
)


def plainly_written(training: TrainingConfig, data) -> tuple[list[float], torch.nn.Module]:
    """The training losses and the averaged weights of a loop as a textbook has it."""
    torch.manual_seed(_seed(training.seed, 0))
    network = Autoencoder(MODEL).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        network.parameters(), training.learning_rate, (0.9, 0.99), weight_decay=training.l2
    )
    objective, losses, step = Reconstruction(training), [], 0
    for epoch in range(1, training.max_epochs + 1):
        generator = torch.Generator().manual_seed(_seed(training.seed, epoch))
        torch.manual_seed(_seed(training.seed, epoch))
        epoch_losses = []
        for rows in data.epoch(generator).split(training.batch_size):
            step += 1
            rate = min(1, step / 50) * min(1, math.sqrt(1000 / step))
            optimizer.param_groups[0]["lr"] = training.learning_rate * rate
            affine = Affine.of_strength(training.affine)
            images = augment(data.batch(rows), affine, training.elastic, generator)
            loss = objective.loss(network, images, data.labels[rows], generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            kept = (1 - 1 / step) ** (AVERAGE_POWER + 1)
            with torch.no_grad():
                for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
                    mean.mul_(kept).add_(weight, alpha=1 - kept)
            epoch_losses.append(loss.item())
        losses.append(sum(epoch_losses) / len(epoch_losses))
    return losses, average


def test_a_training_equals_the_loop_of_a_textbook():
    data = prepared_glyphs(20, validation=2)
    assert len(data.train) % NOISY.batch_size == 0
    losses, average = plainly_written(NOISY, data)
    run = autoencoder_run(MODEL, NOISY, data)
    found = [record["train_loss"] for record in run.epochs()]
    tolerance = 1e-3 if has_fast_bf16(torch.device("cpu")) else 1e-5
    assert found == pytest.approx(losses, rel=tolerance)
    for mean, expected in zip(run.average.parameters(), average.parameters(), strict=True):
        assert torch.allclose(mean, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("images", "size", "steps"), [(280, 40, 7), (280, 128, 3), (280, 999, 1)])
def test_all_batches_of_an_epoch_have_one_shape_and_every_image_is_in_one(images, size, steps):
    data = prepared_glyphs(20, validation=2)
    assert len(data.train) == images
    run = autoencoder_run(MODEL, TrainingConfig(max_epochs=1, batch_size=size), data)
    next(run.epochs())
    assert run.step == steps and run._order.shape == (steps, min(size, images))
    assert set(run._order.flatten().tolist()) == set(data.train.tolist())


def test_a_training_that_is_over_holds_no_memory_until_the_collector_comes():
    run = autoencoder_run(MODEL, NOISY, prepared_glyphs(20, validation=2))
    next(run.epochs())
    gone = weakref.ref(run)
    del run
    assert gone() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_the_step_to_the_same_records():
    data = prepared_glyphs(20, validation=2, device="cuda")
    records = {}
    for replay in (True, False):
        run = autoencoder_run(MODEL, NOISY, data)
        if not replay:
            run._replay.refusal = "for comparison"
        records[replay] = [record["train_loss"] for record in run.epochs()]
        assert (run.plain_because is None) == replay
    assert records[True] == records[False]
