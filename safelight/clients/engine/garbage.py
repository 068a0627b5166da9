"""How often Python looks for garbage: less often than it would, in processes that make much and end soon.

It looks through all that was made lately at every 700th object more, though nearly all of ours go by themselves: a
tenth of the time of a command that verifies a large space.
"""

import gc

_OBJECTS_BETWEEN = 50_000


def collect_seldom() -> None:
    """Keep what is there from being looked through again, and look through the rest after many objects more."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN)
