"""What a student can learn from a teacher, one paper a file.

`base.py` says what every loss is, `logit_loss.py` and `feature_loss.py` what those
between logits and between inner features share; `geometry.py` and `pooling.py` are the
mathematics that several need. One more loss is one more file in `logits/` or
`features/`, listed in `compression.distillation`.
"""
