"""How the tutorials train: what the benchmark compares this project with.

The network and the numbers are ours, the loop is theirs (ray/tune/examples/mnist_pytorch.py and
optuna-examples/pytorch/pytorch_simple.py). A data set in torchvision's style turns one image at a
time into a PIL image and, with `ToTensor`, into floats; a `DataLoader` makes batches of them;
everything is float32 in PyTorch's default memory layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from models.data import ImageData
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.augmentation import Affine, augment
from models.training.loop import TrainingConfig
from models.training.noise import corrupt


class ImageSet(Dataset):
    """Images one by one, as torchvision.datasets.MNIST gives them."""

    def __init__(self, images: Tensor, transform: Callable):
        self._images, self._transform = images, transform  # uint8 (N, 28, 28)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        image = Image.fromarray(self._images[index].numpy(), mode="L")
        return self._transform(image)  # (1, 28, 28) in [0, 1]


@dataclass
class Tutorial:
    """One network with a tutorial's loop: `train_epoch`, then `validation_mse`."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    train: DataLoader
    validation: DataLoader
    training: TrainingConfig
    device: torch.device

    def train_epoch(self) -> None:
        self.network.train()
        generator = torch.Generator(self.device).manual_seed(self.training.seed)
        for batch in self.train:
            images = batch.to(self.device)
            self.optimizer.zero_grad()
            self._loss(images, generator).backward()
            self.optimizer.step()

    def _loss(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The same objective as ours, because the same parameters must mean the same."""
        training = self.training
        images = augment(images, Affine.of_strength(training.affine), training.elastic, generator)
        noised = corrupt(images, training.noise, training.noise_level, generator)
        outputs, codes = self.network(noised)
        loss = F.mse_loss(outputs, images)
        return loss + training.l1 * codes.abs().mean() if training.l1 else loss

    @torch.no_grad()
    def validation_mse(self) -> float:
        self.network.eval()
        total = pixels = 0
        for batch in self.validation:
            images = batch.to(self.device)
            outputs, _ = self.network(images)
            total += float((outputs - images).square().sum())
            pixels += images.numel()
        return total / pixels


def tutorial(
    model: AutoencoderConfig, training: TrainingConfig, data: ImageData, device: str
) -> Tutorial:
    """A new network with the loaders that a tutorial makes for each trial."""
    network = Autoencoder(model).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.l2
    )
    loaders = (
        DataLoader(ImageSet(data.images[rows], ToTensor()), training.batch_size, shuffle=True)
        for rows in (data.train, data.validation)
    )
    return Tutorial(network, optimizer, *loaders, training, torch.device(device))
