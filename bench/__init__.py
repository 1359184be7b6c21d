"""Ours against the peers a user would pick, side by side in one run. See CONTRIBUTING.md."""
