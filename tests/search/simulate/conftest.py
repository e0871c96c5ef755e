import pytest

from search.simulate.replay import quiet


@pytest.fixture(autouse=True)
def without_messages():
    with quiet():
        yield
