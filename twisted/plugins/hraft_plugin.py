"""Tells `twist` that there is hraft. Imports nothing of it: `hraft.tap` is loaded when it is asked for.

Named unlike the package, and without an `__init__.py` beside or above it, or Twisted would not find it.
"""

from twisted.application.service import ServiceMaker

hraft = ServiceMaker("hraft", "hraft.tap", "A replicated key-value store: one node of it.", "hraft")
