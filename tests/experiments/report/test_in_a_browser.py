"""The page in Chromium, as Qt brings it: tables sort, long ones can be searched."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from experiments import report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("PySide6") is None,
        reason="the browser is in the extra `browser`",
    ),
]
# Qt must not share a process with what else is tested; two arguments: page, script.
BROWSER = """
import sys
from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineCore import QWebEnginePage
from PySide6.QtWidgets import QApplication

class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):
        sys.exit(f"{message} in line {line}")

app = QApplication(sys.argv[:1])
page = Page()
def told(answer):
    print("answer", answer)
    app.quit()
page.loadFinished.connect(lambda _: page.runJavaScript(sys.argv[2], told))
page.load(QUrl.fromLocalFile(sys.argv[1]))
QTimer.singleShot(60_000, lambda: app.exit(3))
sys.exit(app.exec())
"""
ROWS = """
const rows = table => [...table.tBodies[0].rows].filter(row => !row.hidden);
const texts = (table, at) =>
  rows(table).map(row => row.cells[at].firstChild.textContent);
const head = (table, text) => [...table.tHead.rows[0].cells].find(
  cell => cell.firstChild.textContent === text);
const tables = [...document.querySelectorAll("figure.table table")];
const [stages, files] = [tables.at(0), tables.at(-1)];
"""


def in_browser(page, script):
    done = subprocess.run(
        [sys.executable, "-c", BROWSER, page, f"(() => {{ {ROWS} {script} }})()"],
        capture_output=True,
        text=True,
        env=os.environ
        | {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
        | {"QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-500:]
    [answer] = [x for x in done.stdout.splitlines() if x.startswith("answer ")]
    return json.loads(answer.removeprefix("answer "))


def test_a_click_sorts_by_number_and_the_third_restores(make_run):
    page = report.write(make_run())
    found = in_browser(
        page,
        """
        const bytes = head(stages, "zipped"), orders = [texts(stages, 0)];
        for (const _ of [1, 2, 3]) {
          bytes.click();
          orders.push([bytes.ariaSort, ...texts(stages, 0)]);
        }
        return JSON.stringify(orders);
        """,
    )
    written, up, down, again = found
    assert written == ["teacher", "distill", "prune", "int8"]
    assert up == ["ascending", "int8", "prune", "distill", "teacher"]
    assert down == ["descending", "teacher", "distill", "prune", "int8"]
    assert again == [None, *written]


def test_words_choose_the_rows_of_a_long_table(make_run):
    page = report.write(make_run())
    found = in_browser(
        page,
        """
        const fields = document.querySelectorAll("input[type=search]");
        fields[0].value = "INT8 saved";
        fields[0].dispatchEvent(new Event("input"));
        return JSON.stringify([fields.length, texts(files, 0), texts(files, 1)]);
        """,
    )
    assert found == [1, ["int8"], ["saved_model"]]


def test_points_say_what_they_are(make_run):
    found = in_browser(
        report.write(make_run()),
        """
        const tips = [...document.querySelectorAll("figure svg title")];
        return JSON.stringify(tips.map(each => each.textContent));
        """,
    )
    assert "int8 (litert int8): 96.50 % at 16.0 kB" in found
