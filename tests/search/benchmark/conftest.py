import pytest

from models.data import load


@pytest.fixture(scope="session")
def images():
    return load("mnist5k", "data", train_size=60)
