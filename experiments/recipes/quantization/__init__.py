"""Nets in few bits: post-training by calibration, corrected, mixed, and QAT."""
