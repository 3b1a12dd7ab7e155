"""Losses between the logits of teacher and student, one paper a file."""
