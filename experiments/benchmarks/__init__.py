"""Ratios against peers: each benchmark times all of them in turns, in one run."""
