"""Removing channels: what goes together, what is kept, the smaller net."""
