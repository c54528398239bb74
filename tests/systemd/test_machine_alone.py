"""The same of one machine without a cloud, where all that it knows is on its own disk."""

import pytest

from .test_machine import (
    test_a_machine_that_goes_under_load_finishes_the_work_once_it_is_back,
    test_after_a_reboot_it_is_there_again,
    test_all_of_it_runs_once_it_is_installed,
    test_it_answers_an_upload,
)

__all__ = [
    "test_a_machine_that_goes_under_load_finishes_the_work_once_it_is_back",
    "test_after_a_reboot_it_is_there_again",
    "test_all_of_it_runs_once_it_is_installed",
    "test_it_answers_an_upload",
]

pytestmark = [
    pytest.mark.machine,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("place", ["embedded"], indirect=True, scope="module"),
]
