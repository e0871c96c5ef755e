"""The device of a worker process."""

from __future__ import annotations

import os

import ray
import torch


def claim_device() -> str:
    """ "cuda" if Ray gave this worker a GPU or a part of one, else "cpu".

    Ray 2.60 lets a worker that was given no GPU see all GPUs of its node, and code that asks torch
    would take one. They are hidden here, before torch looks."""
    if ray.get_gpu_ids() and torch.cuda.is_available():
        return "cuda"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return "cpu"
