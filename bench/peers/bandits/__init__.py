"""Bandit libraries as peers: one script each, all in one form (:mod:`bench.peers.bandits.form`)."""
