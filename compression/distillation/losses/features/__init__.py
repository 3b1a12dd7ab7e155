"""Losses between features inside teacher and student, one paper a file."""
