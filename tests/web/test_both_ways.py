"""All other tests of the web once more, with every connection on twisted.web and Klein from its beginning.

Where httptools is missing that is the only way; everywhere it is where the front hands over what it does not understand.
"""

from __future__ import annotations

from types import ModuleType
from unittest import TestCase

import test_cluster_routes
import test_dashboard
import test_hraftd_contract
import test_keys
import test_site
import test_v1_keys
import test_v1_leases
import test_v1_listing
import test_v1_transactions
import test_watch
import web_doubles


class _WithoutFront:
    """A mixin that turns the front off while a class of tests runs."""

    @classmethod
    def setUpClass(cls) -> None:
        web_doubles.front["is_used"] = False

    @classmethod
    def tearDownClass(cls) -> None:
        web_doubles.front["is_used"] = web_doubles.HAS_FRONT


def _without_front(module: ModuleType) -> dict[str, type]:
    """Each class of tests of a module, to be run without the front."""
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, TestCase)]
    own = [value for value in classes if value.__module__ == module.__name__]
    return {f"{value.__name__}WithoutFront": type(f"{value.__name__}WithoutFront", (_WithoutFront, value), {}) for value in own}


_MODULES = (
    *(test_cluster_routes, test_dashboard, test_hraftd_contract, test_keys, test_site, test_watch),
    *(test_v1_keys, test_v1_leases, test_v1_listing, test_v1_transactions),
)
for _module in _MODULES:
    globals().update(_without_front(_module))
