"""The run folder: what was asked, what is finished, what was measured; and resuming."""
