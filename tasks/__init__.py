"""One room per clause of the mission sentence."""
