"""What every suite shares: its fixtures, and how its tests are spread over processes."""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tepat_local.testing"]

WHOLE_SYSTEM = "tests/e2e"
"""The folder of tests that share one running system."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no process has much left when the others have nothing."""
    items.sort(key=lambda item: ("e2e" not in item.keywords, "integration" not in item.keywords))


class _ByFile(LoadFileScheduling):
    """Files go to processes whole, and those that share a system together."""

    def _split_scope(self, nodeid: str) -> str:
        return WHOLE_SYSTEM if nodeid.startswith(WHOLE_SYSTEM) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """Take the place of ``--dist loadfile``."""
    return _ByFile(config, log)
