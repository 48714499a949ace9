"""Records, dossier and digests: what an audit rests on."""
