"""The search behind `limbeck compress`: which small net meets a limit at least cost.

    limits.py     what a file may take, and what it takes
    candidate.py  a way to a smaller net: cut the one given, or a student; 8 or 4 bits
    trials.py     candidates that were tried, kept in Optuna's study
    proxies.py    candidates, judged before any training
    short.py      the promising ones, trained for a short time
    lessons.py    from how many images a training learns
    pace.py       how long a training will take
    chosen.py     which one is trained in full, and which file is taken in the end
    compress.py   all of it, in the time that it was given

Choices are made on validation images. Test images are looked at once, at the end.
"""
