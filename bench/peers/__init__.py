"""Our engine's peers: the same work on the same topic by the engines one would otherwise take."""
