"""Section 3 of "Distilling the Knowledge in a Neural Network", again."""
