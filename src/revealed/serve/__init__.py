"""Decisions over HTTP: the service, its learner and its keys. May import every room."""
