"""What keeps persons out of sight: keys, tokens, recognisers, tombstones and the search for leaks."""
