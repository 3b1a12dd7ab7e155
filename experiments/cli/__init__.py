"""The command line, `limbeck`: a file a verb; `main.py` runs the one asked for."""
