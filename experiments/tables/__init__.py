"""Rows of several seeds -> summaries -> tables and pictures, without Keras."""
