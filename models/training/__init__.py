"""How a network is trained: the loop, augmentation and noise, and the objectives.

The loop is a generator that yields a record per epoch. In a notebook:

    from models.data import load
    from models.networks.autoencoder import AutoencoderConfig
    from models.training import TrainingConfig, train
    for record in train(AutoencoderConfig(), TrainingConfig(max_epochs=3), load("mnist5k", "data")):
        print(record["epoch"], record["validation_mse"])
"""

from models.training.loop import TrainingConfig
from models.training.train import train

__all__ = ["TrainingConfig", "train"]
