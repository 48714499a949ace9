"""Great Expectations warns of its own modules when it is imported; its rules are judged all the same."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import tasks.validate.validate  # noqa: F401
