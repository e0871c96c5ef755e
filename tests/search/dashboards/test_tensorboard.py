"""TensorBoard, read by its own reader."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.search.dashboards.made import PICTURE, two_sessions

pytest.importorskip("tensorboard")


def read(folder):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    found = EventMultiplexer()
    found.AddRunsFromDirectory(str(folder))
    return found.Reload()


def test_tensorboard_has_every_trial_once_with_hyperparameters_states_and_pictures(tmp_path):
    from tensorboard.plugins.hparams import metadata

    logbook = two_sessions("tensorboard", tmp_path / "run")
    found = read(tmp_path / "run" / "tensorboard")
    for trial in logbook.state.trials:
        if trial.records:
            # Sorted: the files of two sessions that begin in one second are read in any order.
            points = sorted(found.Tensors(trial.id, "value"), key=lambda point: point.step)
            steps = [p.step for p in points]
            assert steps == [record["epoch"] for record in trial.records]
            values = [p.tensor_proto.float_val[0] for p in points]
            np.testing.assert_allclose(values, [record["value"] for record in trial.records])

    assert found.Tensors("trial_00000", "best_value")[0].tensor_proto.float_val[0] == np.float32(
        1 / 3
    )
    started, ended = {}, {}
    for trial in logbook.state.trials:
        plugin = found.SummaryMetadata(trial.id, metadata.SESSION_START_INFO_TAG).plugin_data
        started[trial.number] = metadata.parse_session_start_info_plugin_data(plugin.content)
        plugin = found.SummaryMetadata(trial.id, metadata.SESSION_END_INFO_TAG).plugin_data
        ended[trial.number] = metadata.parse_session_end_info_plugin_data(plugin.content)
    x = logbook.state.trials[0].parameters["x"]
    assert started[0].hparams["x"].number_value == x
    assert [ended[number].status for number in range(4)] == [1, 1, 2, 1]  # 1: success, 2: failure
    state = found.Tensors("trial_00002", "state")[0].tensor_proto.string_val[0]
    assert b"ValueError: told to" in state
    config = found.SummaryMetadata(".", metadata.EXPERIMENT_TAG).plugin_data
    named = metadata.parse_experiment_plugin_data(config.content).hparam_infos
    assert {each.name for each in named} == {"size", "x", "preset"}

    (shown,) = found.Images("winners", "winner-1")
    picture = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
    np.testing.assert_array_equal(picture, PICTURE)


def test_a_killed_driver_s_half_written_event_is_sent_again(tmp_path):
    from search.store.folder import RunFolder
    from search.tune.logbook import Logbook
    from tests.search.dashboards.made import epoch, first_session, follow
    from tests.search.toy import ToyTask

    logbook = first_session(tmp_path / "run")
    follow("tensorboard", logbook).close()
    (events,) = (tmp_path / "run" / "tensorboard" / "trial_00003").glob("events.*")
    events.write_bytes(events.read_bytes()[:-5])  # the last of the three values of epoch 1

    logbook = Logbook(RunFolder(tmp_path / "run"), ToyTask(max_epochs=3, checkpoints=False))
    follower = follow("tensorboard", logbook)
    epoch(logbook, 3, 2)
    assert follower.close() == ""
    points = read(tmp_path / "run" / "tensorboard").Tensors("trial_00003", "value")
    assert [point.step for point in points] == [1, 2]
