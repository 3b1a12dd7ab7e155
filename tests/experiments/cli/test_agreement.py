"""How far a file agrees with its model is said once, whoever else listens."""

import io
import logging

from experiments.cli.agreement import agreement_on_stderr


def test_it_is_said_once(capsys):
    root, text = logging.getLogger(), io.StringIO()
    elsewhere = logging.StreamHandler(text)
    root.addHandler(elsewhere)
    try:
        with agreement_on_stderr():
            logging.getLogger("compression.export.quantized").info("it agrees")
        assert capsys.readouterr().err == "limbeck: it agrees\n"
        assert text.getvalue() == ""
        logging.getLogger("compression.export.quantized").warning("it does not")
        assert text.getvalue() == "it does not\n"
    finally:
        root.removeHandler(elsewhere)
