"""The workflows can't run here; what can be run of them is, and the rest is read."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def run_step(workflow, script, folder, **variables):
    """Run the step of a workflow whose script holds ``script``, as bash on a runner does.

    The folder is laid out as the checkout would be; ``variables`` stand for the step's ``env``, of
    which no name may be missing.
    """
    (step,) = [
        step
        for step in steps(ROOT / ".github" / "workflows" / f"{workflow}.yml")
        if script in step.get("run", "")
    ]
    assert set(step.get("env", {})) <= set(variables)
    assert "${{" not in step["run"]  # what is put into a script can be injected into it
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )


def stub(folder, name, script):
    """Put a command of that name into ``folder``/bin, and return a PATH that finds it first."""
    (folder / "bin").mkdir(exist_ok=True)
    command = folder / "bin" / name
    command.write_text(f"#!/bin/bash\n{textwrap.dedent(script)}\n")
    command.chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def checkout(tmp_path):
    """A folder with the scripts of CI in it."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    return tmp_path


@workflows
def test_actions_are_pinned_to_commits_and_say_which_release(path):
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_an_action_is_the_same_release_everywhere():
    text = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = set(re.findall(r"uses: (actions/[\w-]+)@", text))
    assert len(set(re.findall(r"uses: (.+)", text))) == len(pins)


@workflows
def test_a_workflow_may_do_no_more_than_it_needs(path):
    workflow = read(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        writes = {name for name, right in job["permissions"].items() if right == "write"}
        assert len(writes - {"id-token"}) <= 1
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_the_tests_run_on_two_systems_and_three_pythons():
    job = read(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"] == {
        "system": ["ubuntu-latest", "macos-latest"],
        "python": ["3.11", "3.12", "3.13"],
    }
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_every_make_target_in_a_workflow_is_one():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in WORKFLOWS:
        for step in steps(path):
            for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                assert target in targets


def test_every_script_in_a_workflow_can_be_run():
    named = {
        script
        for path in WORKFLOWS
        for step in steps(path)
        for script in re.findall(r"\.ci/[\w.-]+", step.get("run", ""))
    }
    assert named
    for script in named:
        assert script.endswith(".py") or os.access(ROOT / script, os.X_OK)


def test_ci_s_own_step_runs_make_test(checkout):
    path = stub(checkout, "make", 'echo "make $*"; pwd')
    result = run_step("tests", ".ci/run", checkout, PATH=path)
    assert result.stdout.splitlines() == ["make test", str(checkout)]


GH = """
    echo "$@" >>"${0%/*}/gh.log"
    case "$1 $2" in "issue list") printf '%s' "$OPEN" ;; esac
    for last; do :; done
    [ ! -f "$last" ] || cat "$last" >>"${0%/*}/body.md"
"""


@pytest.mark.parametrize("number", ["", "7"], ids=["none is open", "one is open"])
def test_the_issue_names_the_chapter_that_broke(checkout, number):
    (checkout / "broken.md").write_text("On the newest releases\n\n**04_visdom_gallery**\n\n- x\n")
    path = stub(checkout, "gh", GH)
    facts = {"GH_TOKEN": "t", "GH_REPO": "o/r", "RUN": "https://forge/run/1", "OPEN": number}
    result = run_step("newest", "report-broken", checkout, PATH=path, **facts)
    assert result.returncode == 0, result.stderr
    called = (checkout / "bin" / "gh.log").read_text()
    body = (checkout / "bin" / "body.md").read_text()
    assert "04_visdom_gallery" in body and "https://forge/run/1" in body
    assert ("issue comment 7" in called) == bool(number)
    assert (
        "issue create --title On the newest releases, these break: 04_visdom" in called
    ) != bool(number)


def test_an_issue_comes_also_when_nothing_could_be_said(checkout):
    path = stub(checkout, "gh", GH)
    facts = {"GH_TOKEN": "t", "GH_REPO": "o/r", "RUN": "https://forge/run/1", "OPEN": ""}
    assert run_step("links", "report-broken", checkout, PATH=path, **facts).returncode == 0
    assert "It stopped before" in (checkout / "bin" / "body.md").read_text()


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@invalid")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_copies_come_to_a_branch_of_their_own(checkout):
    remote = checkout / "remote.git"
    git(checkout, "init", "--quiet", "--bare", str(remote))
    for round_ in ("first", "second"):
        shutil.rmtree(checkout / "copies", ignore_errors=True)
        (checkout / "copies").mkdir()
        (checkout / "copies" / f"{round_}.ipynb").write_text("{}")
        facts = {"GH_TOKEN": "t", "REMOTE": str(remote)}
        result = run_step("site", "publish-copies", checkout, **facts)
        assert result.returncode == 0, result.stderr
    assert git(remote, "ls-tree", "--name-only", "launch").split() == ["second.ipynb"]


def test_a_pull_request_lists_the_pages_that_it_changes(checkout):
    git(checkout, "init", "--quiet")
    for name in ("notebooks/01_a.ipynb", "docs/tools.md", "helpers/visdom/__init__.py", "other.md"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("1")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "one")
    base = git(checkout, "rev-parse", "HEAD").strip()
    summary = checkout / "summary.md"
    facts = {"BASE": base, "SITE": "https://site", "GITHUB_STEP_SUMMARY": str(summary)}
    assert run_step("site", "changed-pages", checkout, **facts).returncode == 0
    assert "None." in summary.read_text()

    for name in ("notebooks/01_a.ipynb", "docs/tools.md", "helpers/visdom/__init__.py", "other.md"):
        (checkout / name).write_text("2")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "two")
    summary.unlink()
    assert run_step("site", "changed-pages", checkout, **facts).returncode == 0
    listed = re.findall(r"- `(.+?)` \(on main: <https://site/(.+?)>", summary.read_text())
    assert listed == [
        (page, page)
        for page in ("docs/tools.html", "helpers/visdom/index.html", "notebooks/01_a.html")
    ] or listed == [
        (page, page) for page in ("tools.html", "helpers/visdom/index.html", "notebooks/01_a.html")
    ]


def test_actionlint_finds_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.nope }}\n"
    )
    command = [sys.executable, ROOT / ".ci" / "actionlint.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([*command, wrong], env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert f'{wrong}:6:23: property "nope" is not defined' in result.stdout
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_zizmor_finds_what_is_wrong(tmp_path):
    def check(folder):
        command = [f"{sys.prefix}/bin/zizmor", "--offline", "--quiet", folder]
        return subprocess.run(command, capture_output=True, text=True)

    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    text = (ROOT / ".github/workflows/links.yml").read_text().replace("permissions: {}\n", "")
    (workflows / "a.yml").write_text(re.sub(r"@[0-9a-f]{40}", "@main", text))
    assert check(tmp_path / ".github").returncode != 0
    assert check(ROOT / ".github").returncode == 0


def test_hooks_call_what_make_lint_calls():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = "\n".join(hook["entry"] for hook in hooks[0]["hooks"])
    lint = re.search(r"^lint:.*?\n\n", (ROOT / "Makefile").read_text(), re.M | re.S).group(0)
    for call in ("ruff check", "ruff format --check", "reuse lint", ".ci/actionlint.py", "zizmor"):
        assert call in entries and call in lint


def test_a_dead_link_is_found_and_a_slow_one_is_not_called_dead(tmp_path, monkeypatch):
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        import check_links
    finally:
        sys.path.remove(str(ROOT / ".ci"))
    (tmp_path / "page.md").write_text(
        "[a](https://good/x#part) [b](https://gone/) [c](https://slow)"
    )
    cell = {"cell_type": "markdown", "source": ["[d](https://gone/)"]}
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": [cell]}))
    answers = {"https://gone/": "gone: status 404", "https://slow": "unclear: timed out"}
    monkeypatch.setattr(check_links, "ask", lambda address: answers.get(address, ""))
    assert check_links.main(tmp_path) == 1
    assert (tmp_path / "broken.md").read_text() == (
        "- <https://gone/> gone: status 404 (in n.ipynb, page.md)\n"
    )
    answers.pop("https://gone/")
    assert check_links.main(tmp_path) == 0


def test_what_broke_is_said_per_chapter(tmp_path):
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        import releases
    finally:
        sys.path.remove(str(ROOT / ".ci"))
    test = tmp_path / "test_every_chapter.py"
    test.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('path', ['01_architecture_graphs', '04_visdom_gallery'])\n"
        "def test_runs(path):\n    assert path[:2] != '04', 'panes are gone'\n"
    )
    (tmp_path / "test_02_tensorboardx_training.py").write_text(
        "def test_x():\n    raise OSError('y')\n"
    )
    (tmp_path / "test_model.py").write_text("def test_model():\n    assert 1 == 2\n")
    results = tmp_path / "results.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
    ]
    subprocess.run([*command, f"--junitxml={results}", tmp_path], cwd=tmp_path, capture_output=True)
    found = releases.broken(results)
    assert set(found) == {"04_visdom_gallery", "02_tensorboardx_training", "the helpers"}
    assert "panes are gone" in found["04_visdom_gallery"][0]
    said = releases.report("newest", found, ["torch==9.9", "six==1"])
    assert "**04_visdom_gallery**" in said and "torch==9.9" in said and "six" not in said


@pytest.mark.parametrize("kind", ["newest", "lowest"])
def test_only_the_newest_releases_are_held_to_the_records(kind, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    import releases

    ran = []
    monkeypatch.setattr(releases.subprocess, "run", lambda command, **_: ran.append(command))
    releases.run_tests(tmp_path / "venv" / "bin" / "python", kind)
    (command,) = ran
    assert ("--ignore=tests/chapters/test_records.py" in command) == (kind == "lowest")
    assert {"tests/chapters", "tests/helpers"} <= set(command)
