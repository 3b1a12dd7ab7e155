"""What a student can learn from a teacher, one method a file.

`base.py` says what every loss is, `feature_loss.py` what those between inner features
share; `geometry.py` and `pooling.py` are the mathematics that several need.
"""
