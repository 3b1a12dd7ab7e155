"""No stage is about microcontrollers: none is tried."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _no_board(no_board):
    yield
