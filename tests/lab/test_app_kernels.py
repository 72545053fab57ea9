"""So many visitors as the memory holds, and a sentence for the next one."""

import asyncio

import pytest
from tornado.web import HTTPError

from compactlib.lab.app import kernels
from compactlib.lab.app.serve import configuration


def test_four_visitors_fit_into_8_gb_and_one_anywhere():
    assert [kernels.most_kernels(gb * 10**9) for gb in (0.5, 2, 8, 64)] == [1, 1, 5, 42]
    assert 4 * kernels.KERNEL_BYTES < 8e9 and kernels.most_kernels() >= 1


def test_one_more_is_turned_away_with_a_sentence(monkeypatch):
    manager = configuration().VoilaConfiguration.multi_kernel_manager_class()
    monkeypatch.setattr(kernels, "most_kernels", lambda: 0)
    with pytest.raises(HTTPError) as error:
        asyncio.run(manager.start_kernel())
    assert error.value.status_code == 503 and "0 visitors" in error.value.log_message % error.value.args
    assert not len(manager)
