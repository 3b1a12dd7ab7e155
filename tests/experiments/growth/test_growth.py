"""What starts workers under SLURM and Kubernetes, checked as far as neither is here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli import main as cli
from experiments.runs.claims import BEAT, DEAD
from experiments.runs.layout import RunFolder

ROOT = Path(__file__).resolve().parents[3]
GROWTH = ROOT / "experiments/growth"
SBATCH, JOB = GROWTH / "limbeck.sbatch", GROWTH / "limbeck-job.yaml"
README = (GROWTH / "README.md").read_text(encoding="utf-8")
SLURM = {
    "SLURM_JOB_ID": "123",
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_CPUS_PER_TASK": "2",
}


def parses(words):
    return callable(cli.parser().parse_args(words).run)


def test_every_command_parses():
    texts = [README, *(path.read_text(encoding="utf-8") for path in (SBATCH, JOB))]
    found = re.findall(r"\b(limbeck (?:work|reproduce|demo|compress) [^`#&;\n]+)",
                       "\n".join(texts))  # fmt: skip
    assert len(found) >= 8
    for command in found:
        words = shlex.split(command.replace('"$run"', "RUN"))[1:]
        assert parses(words), command


def test_the_page_says_what_the_code_does():
    assert f"every {BEAT:g} s" in README and f"{DEAD:g} s" in README
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (GROWTH / target).exists(), target


def test_no_file_names_a_host():
    for path in GROWTH.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://|\b[\w-]+\.(?:io|com|org|net|dev)\b", text)


def test_the_batch_script_is_bash_and_its_options_are_seen():
    """SLURM looks at no #SBATCH behind the first command."""
    subprocess.run(["bash", "-n", SBATCH], check=True)
    lines = SBATCH.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    first = next(i for i, line in enumerate(lines) if line and line[0] != "#")
    at = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert at and max(at) < first
    for i in at:
        assert re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", lines[i]), lines[i]
    options = dict(lines[i].split()[1].partition("=")[::2] for i in at)
    assert options["--array"] == "0-3" and "--requeue" in options
    assert options["--signal"].startswith("B:TERM")  # the shell's, which is limbeck


def started(words, folder, limbeck, **variables):
    """The script, as SLURM starts it, with a `limbeck` of these lines."""
    there = folder / "bin"
    there.mkdir(exist_ok=True)
    (there / "limbeck").write_text(f"#!/bin/bash\n{limbeck}\n")
    (there / "limbeck").chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    environment = kept | SLURM | {"SLURM_SUBMIT_DIR": str(folder)} | variables
    environment["PATH"] = f"{there}:{os.environ['PATH']}"
    copied = shutil.copy(SBATCH, folder / "slurm_script")  # SLURM runs a copy
    return subprocess.Popen(
        ["bash", copied, *words],
        cwd="/",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_dry_run_of_the_batch_script(tmp_path):
    limbeck = 'echo "$PWD: $* | $LIMBECK_CACHE $OMP_NUM_THREADS $$"; exit 2'
    variables = {"SLURM_TMPDIR": "/scratch"}
    worker = started(["runs/my run"], tmp_path, limbeck, **variables)
    printed, _ = worker.communicate()
    first, second = printed.splitlines()
    assert first.startswith("worker 1 of job 123 on ")
    asked = f"{tmp_path}: work runs/my run | /scratch/limbeck-teachers-{os.getuid()} 2"
    assert second == f"{asked} {worker.pid}"  # SIGTERM of SLURM's reaches it
    assert worker.returncode == 2
    worker = started([], tmp_path, limbeck)
    assert "no run folder: sbatch limbeck.sbatch RUN" in worker.communicate()[0]
    assert worker.returncode == 1


@pytest.fixture(scope="module")
def documents():
    yaml = pytest.importorskip("yaml", reason="PyYAML, which comes with optuna")
    return list(yaml.safe_load_all(JOB.read_text(encoding="utf-8")))


def test_the_job_is_one_of_kubernetes(documents):
    claim, job = documents
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] > 1
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    # Kubernetes asks for it where there is a podFailurePolicy.
    assert pod["restartPolicy"] == "Never" and spec["backoffLimitPerIndex"] > 0
    for rule in spec["podFailurePolicy"]["rules"]:
        assert rule["action"] in ("Ignore", "FailIndex", "FailJob", "Count")
        if codes := rule.get("onExitCodes"):
            assert codes["containerName"] == container["name"]
            assert codes["values"] == [2]  # of `main`, where it says what is wrong
    command, *words = container["command"]
    assert command == "limbeck" and parses(words) and words[0] == "work"
    assert words[1].rpartition("/")[2] in job["metadata"]["name"]


def test_workers_meet_in_a_volume_that_all_can_write(documents):
    claim, job = documents
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert {*mounts.values()} == volumes.keys()
    shared = volumes[mounts[container["workingDir"]]]["persistentVolumeClaim"]
    assert shared["claimName"] == claim["metadata"]["name"]
    for variable in container["env"]:
        assert any(variable["value"].startswith(f"{mount}/") for mount in mounts)
    for size in container["resources"].values():
        assert size == {"cpu": "4", "memory": "8Gi"}


@pytest.mark.slow
def test_two_workers_of_the_batch_script_do_a_run(tmp_path):
    """Prepared in a folder, taken up there by an array of two."""
    limbeck = f'exec env PYTHONPATH={ROOT} {sys.executable} -m experiments.cli "$@"'
    words = ["train", "mlp(widths=(8,))", "--data", "digits", "--seeds", "2"]
    words += ["--epochs", "2", "--out", "runs/small", "--prepare"]
    subprocess.run(
        [sys.executable, "-m", "experiments.cli", *words],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    workers = [
        started(
            ["runs/small"],
            tmp_path,
            limbeck,
            SLURM_ARRAY_TASK_ID=str(i),
            SLURM_TMPDIR=str(tmp_path / "local"),
        )
        for i in range(2)
    ]
    printed = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], printed
    assert "".join(printed).count("  done in ") == 2
    rows = RunFolder(tmp_path / "runs/small").read_rows()
    assert [(row["stage"], row["seed"]) for row in rows] == [("train", 0), ("train", 1)]
    assert (tmp_path / "runs/small/report.html").exists()
