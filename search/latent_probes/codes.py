"""The codes that probes are fitted on: the autoencoders are brought into the run folder, by a copy
or by a training, and every image is encoded once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import ray
import torch

from models.data import ImageData
from models.files import write_atomically
from models.machine import usable_cores
from models.networks.presets import AUTOENCODER_PRESETS
from probes.codes.encoding import CodedData, attach_codes, load_autoencoder
from search.autoencoders.task import AutoencoderTask
from search.cluster.gpu_check import cluster_has_gpu
from search.cluster.jobs import finish, on_node_that_sees
from search.latent_probes.source import AUTOENCODERS, find_run
from search.latent_probes.task import ProbeTask
from search.session.final.retraining import train_to_end
from search.store.checkpoints import CheckpointStore
from search.store.files import Files, json_bytes, write_json
from search.store.folder import RunFolder
from search.store.storage import open_storage
from search.task.protocol import arrays_from_data, data_from_arrays
from search.task.settings import Settings
from search.tune.worker.device import claim_device

PRESET = "sae"  # the report's autoencoder, which is trained if there is no run
EPOCHS = {"quick": 5, "full": 40}  # of that training
CODES = ".codes"  # in the storage path: shared by all searches there


def gather_codes(
    task: ProbeTask, data: ImageData, folder: RunFolder, settings: Settings
) -> CodedData:
    """The data with the codes of all code sizes of the task."""
    home = folder.path / AUTOENCODERS
    missing = [
        size for size in task.latent_sizes if not (home / str(size) / "config.json").exists()
    ]
    source = settings.options["autoencoders"]
    if source:
        print(f"autoencoders: the best of {source}", flush=True)
        for size in missing:
            run = find_run(source, open_storage(settings.storage_path))
            _copy(run, size, home / str(size))
    elif missing:
        _train_all(missing, data, folder, settings)
        folder.fetch()
    folder.publish()
    networks = {size: load_autoencoder(home / str(size))[0] for size in task.latent_sizes}
    cores = min(usable_cores(), int(ray.cluster_resources().get("CPU", 1)))
    torch.set_num_threads(max(1, cores))
    cache = folder.path.parent / CODES
    return attach_codes(data, networks, task.searched_views, cache, task.scale.device, task.warps)


def _copy(source: Path, size: int, folder: Path) -> None:
    network, config = load_autoencoder(source / "best" / str(size))
    config = {**config, "source": source.name}
    write_atomically(folder / "weights.pt", lambda file: torch.save(network.state_dict(), file))
    write_json(folder / "config.json", config)


def _train_all(sizes: list[int], data: ImageData, folder: RunFolder, settings: Settings) -> None:
    """Train the report's autoencoder at each code size, on the cluster."""
    print(
        f"no run of search.autoencoders on {data.name} in {settings.storage_path}: training the "
        f"preset {PRESET} at code size {', '.join(map(str, sizes))} first, "
        f"{EPOCHS[settings.budget]} epochs each (a searched one makes better codes: "
        "--autoencoders RUN)",
        flush=True,
    )
    gpus = 0.25 if cluster_has_gpu() else 0
    train = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(on_node_that_sees)
    begin = partial(train.remote, folder.files, folder.begin_session(), _train)
    arrays, home = ray.put(arrays_from_data(data)), folder.files.child(AUTOENCODERS)
    jobs = {f"autoencoder {size}": partial(begin, size, arrays, home, settings) for size in sizes}
    for _ in finish(jobs, settings.max_failures):
        pass


def _train(size: int, arrays: dict, home: Files, settings: Settings) -> None:
    """As a trial of search.autoencoders trains; keeps the weights of the best epoch."""
    torch.set_num_threads(1)
    data = data_from_arrays(arrays)
    task = AutoencoderTask(
        (size,),
        EPOCHS[settings.budget],
        settings.budget,
        image_side=data.side,
        image_channels=data.channels,
    )
    parameters = {**AUTOENCODER_PRESETS[PRESET], "latent_size": size}
    run = task.start(parameters, settings.seed, task.prepare(data, claim_device()))
    store = CheckpointStore(home)
    record, weights = train_to_end(task, run, store, str(size), None)
    config = {
        "source": "trained for this search",
        "preset": PRESET,
        **record,
        "parameters": parameters,
        **task.describe(parameters, settings.seed),
        "data": data.summary(),
    }
    folder = home.child(str(size))
    folder.write("weights.pt", lambda file: torch.save(weights, file))
    folder.write("config.json", lambda file: file.write(json_bytes(config)))
    store.delete(str(size))
