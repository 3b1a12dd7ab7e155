"""The stages of an experiment, one kind a file; each reads models and writes one."""
