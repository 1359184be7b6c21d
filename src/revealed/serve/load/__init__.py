"""Drives a running service with the visitors of a simulated store, and measures it. Imports choices, decide, errors."""
