"""What we run: data, recipes, run folders, reports and the command line."""
