"""What a Ray of this machine is started with."""

from __future__ import annotations

import os
import signal

import ray

from search.cluster import connection


def test_ray_gets_the_cores_that_this_process_may_use_and_leaves_sigterm_alone(monkeypatch):
    given, before = {}, signal.getsignal(signal.SIGTERM)

    def init(**settings):
        given.update(settings)
        ray._private.utils.set_sigterm_handler(lambda number, frame: os._exit(number))

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connection, "usable_cores", lambda: 3)
    connection.start_ray(None)
    assert given["num_cpus"] == 3
    assert signal.getsignal(signal.SIGTERM) == before
