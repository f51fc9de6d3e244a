"""The garbage of a process that stays."""

import gc

NEW_OBJECTS = 10_000  # between two collections: a batch of 1,000 makes some thousand tuples that die without one


def freeze_startup() -> None:
    """Take what start-up made out of the collector's sight, once, when everything is imported.

    Records are many small objects, so publishing and fetching batches leads to full collections. Each would
    walk all of Django for nothing, which was a fifth of the time of publishing 1,000 at once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
