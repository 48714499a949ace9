"""Whether the data is what the plan says, by Great Expectations; refused before any training."""

import os

# Great Expectations reports usage to its makers unless this is set before its first import.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
