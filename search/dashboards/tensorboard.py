"""TensorBoard: event files in `<run folder>/tensorboard/`, a folder for each trial.

tensorboard --logdir runs/NAME/tensorboard
"""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from search.dashboards.dashboard import About, Known, plain
from search.record.schema import COMPLETE, PRUNED, RUNNING
from search.record.state import TrialRecord

FOLDER = "tensorboard"
PICTURES = "winners"  # the folder of the pictures


class TensorBoard:
    """A `search.dashboards.dashboard.Dashboard`."""

    def __init__(self, about: About):
        self._about, self._folder = about, about.folder / FOLDER
        self._writers: dict[str, EventFileWriter] = {}

    def open(self) -> None:
        if not self._folder.exists():
            names = [hparams.HParam(name) for name in (*self._about.hyperparameters, "preset")]
            best = hparams.Metric(f"best_{self._about.metric}")
            metrics = [best, *map(hparams.Metric, self._about.metrics)]
            self._add(".", hparams.hparams_config_pb(names, metrics, self._about.begun), 0)
            self._close(".")

    def known(self, trial: TrialRecord) -> Known:
        epochs, ended = set(), False
        for path in sorted((self._folder / trial.id).glob("events.*")):
            for event in _events(path):
                tags = {value.tag for value in event.summary.value}
                ended = ended or metadata.SESSION_END_INFO_TAG in tags
                if self._about.metrics and not tags.isdisjoint(self._about.metrics):
                    epochs.add(event.step)
        return Known(frozenset(epochs), ended)

    def write(self, trial: TrialRecord, state: str, records: list[dict]) -> None:
        if trial.id not in self._writers and not list((self._folder / trial.id).glob("events.*")):
            about = {**plain(trial.parameters), "preset": trial.origin}
            self._add(trial.id, hparams.hparams_pb(about, trial.id, trial.started), 0)
        for record in records:
            values = {name: value for name, value in record.items() if name != "epoch"}
            summary = Summary()
            for name, value in values.items():
                summary.MergeFrom(scalar_pb(name, value))
            self._add(trial.id, summary, record["epoch"])
        if state != RUNNING:
            self._end(trial, state)
        elif trial.id in self._writers:
            self._writers[trial.id].flush()

    def _end(self, trial: TrialRecord, state: str) -> None:
        reason = f" ({trial.reason}: {trial.detail})" if trial.reason else ""
        self._add(trial.id, text_pb("state", f"{state}{reason}"), trial.epochs)
        for name, value in self._about.best(trial).items():
            self._add(trial.id, scalar_pb(name, value), trial.epochs)
        finite = state in (COMPLETE, PRUNED)
        status = api_pb2.STATUS_SUCCESS if finite else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(
            status=status, end_time_secs=trial.ended or time.time()
        )
        data = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        summary = hparams._summary_pb(metadata.SESSION_END_INFO_TAG, data)
        self._add(trial.id, summary, trial.epochs)
        self._close(trial.id)

    def picture(self, name: str, image: np.ndarray) -> None:
        folder = self._folder / PICTURES
        if any(
            value.tag == name
            for path in folder.glob("events.*")
            for event in _events(path)
            for value in event.summary.value
        ):
            return
        encoded = io.BytesIO()
        Image.fromarray(image).save(encoded, "png")
        height, width = image.shape[:2]
        value = Summary.Image(
            height=height,
            width=width,
            colorspace=3 if image.ndim == 3 else 1,
            encoded_image_string=encoded.getvalue(),
        )
        self._add(PICTURES, Summary(value=[Summary.Value(tag=name, image=value)]), 0)
        self._close(PICTURES)

    def close(self) -> None:
        for name in list(self._writers):
            self._close(name)

    def _add(self, name: str, summary: Summary, step: int) -> None:
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = EventFileWriter(str(self._folder / name))
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def _close(self, name: str) -> None:
        self._writers.pop(name).close()


def _events(path: Path):
    """The events of a file, without a last one that is cut short."""
    return EventFileLoader(str(path)).Load()


make = TensorBoard
