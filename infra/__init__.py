"""Settings, servers and what runs them: everything around the flows."""
