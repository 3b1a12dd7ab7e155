"""Weights and activations in few bits: codes, scales and calibration."""
