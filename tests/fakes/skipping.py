"""Skip a test for want of a program, but not where somebody made sure that it is there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

VARIABLE = "HUBCORD_TESTS_NEED"


def skip_without(program: str, advice: str) -> NoReturn:
    """Skip this test for want of a program; fail where the environment says that the tests need it (`.ci/run`)."""
    if program in os.environ.get(VARIABLE, "").split():
        pytest.fail(f"{VARIABLE} names {program}, but it isn't found: {advice}")
    pytest.skip(f"{program} isn't installed: {advice}")
