"""A worker that tests fork is a process like one that is started; what it does itself, the other tests hold."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests import forked
from tests.patience import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no worker is forked")
#: What makes a program one that is forked.
SAMPLER = "# as if it were p2p's\n"


def ran(program: str, *arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", SAMPLER + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


@pytest.fixture
def waiting():
    """A process that has said that it is there, and waits."""
    program = f"{SAMPLER}import sys, time\nprint('there', flush=True)\ntime.sleep({PATIENCE})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        yield process
        process.kill()


def test_it_has_the_libraries_and_nothing_of_ours():
    program = "import sys; print('torch' in sys.modules, [n for n in ('jobs', 'p2p', 'process') if n in sys.modules])"

    assert ran(program).stdout == "True []\n"


def test_the_service_has_its_own_and_no_torch():
    done = subprocess.run([sys.executable, "-m", "admin", "--help"], capture_output=True, text=True)
    server = psutil.Process(forked._servers["service"]._process.pid)

    assert (done.returncode, done.stdout[:6]) == (0, "usage:")
    assert [mapped.path for mapped in server.memory_maps() if "torch" in mapped.path] == []


def test_threads_that_are_set_make_no_program_of_the_service_import_torch(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "admin.py").write_text("import sys; print('redis' in sys.modules, 'torch' in sys.modules)")

    done = subprocess.run([sys.executable, "-m", "admin"], capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout == "True False\n"


def test_its_parent_is_the_process_that_started_it(waiting):
    assert psutil.Process(waiting.pid).ppid() == os.getpid()


def test_its_arguments_folder_and_environment_are_its_own(tmp_path):
    program = "import os, sys; print(sys.argv, os.getcwd(), sorted(os.environ))"

    done = ran(program, "--model", "tiny", cwd=tmp_path, env={**_read_at_import(), "NAMED": "é"})

    assert done.stdout.split("] ") == [
        "['-c', '--model', 'tiny'",
        f"{tmp_path} {sorted([*_read_at_import(), 'NAMED'])}\n",
    ]


def test_it_has_the_threads_that_its_environment_says():
    program = "import torch; print(torch.get_num_threads())"

    assert ran(program, env={**os.environ, "OMP_NUM_THREADS": "2"}).stdout == "2\n"


def test_what_another_may_not_read_it_keeps(tmp_path):
    ran("open('kept', 'w')", cwd=tmp_path, umask=0o077)

    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600


def test_it_has_a_session_of_its_own_where_it_is_asked_for():
    program = "import os; print(os.getsid(0) == os.getpid())"

    assert [ran(program, start_new_session=own).stdout for own in (True, False)] == ["True\n", "False\n"]


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('why it ends')", 1, "why it ends\n"),
        ("raise ValueError('what was wrong')", 1, "ValueError: what was wrong\n"),
        ("import os; os._exit(7)", 7, ""),
    ],
)
def test_its_exit_status_and_last_line_are_those_of_any_process(program, status, said):
    done = ran(program)

    assert (done.returncode, "".join(done.stderr.splitlines(keepends=True)[-1:])) == (status, said)


def test_what_it_registered_for_its_end_is_done():
    assert ran("import atexit; atexit.register(print, 'over')").stdout == "over\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_it(waiting, number):
    waiting.send_signal(number)

    assert waiting.wait(PATIENCE) == -number


def test_it_can_be_stopped_and_go_on(waiting):
    waiting.send_signal(signal.SIGSTOP)
    assert eventually(lambda: psutil.Process(waiting.pid).status() == psutil.STATUS_STOPPED)

    waiting.send_signal(signal.SIGCONT)
    assert eventually(lambda: psutil.Process(waiting.pid).status() == psutil.STATUS_SLEEPING)
    assert waiting.poll() is None


def test_a_module_that_cannot_start_says_so():
    done = subprocess.run([sys.executable, "-m", "worker", "--modell"], capture_output=True, text=True)

    assert done.returncode == 2
    assert "unrecognized arguments: --modell" in done.stderr


@pytest.mark.parametrize(
    "changed", [{"HF_HUB_OFFLINE": "on"}, {"TRANSFORMERS_CACHE": "x"}, {"PYTHONPATH": "x"}, {"OMP_WAIT_POLICY": "x"}]
)
def test_one_whose_libraries_would_read_another_setting_is_started_anew(changed):
    program = "import sys; print('torch' in sys.modules)"

    assert ran(program, env={**os.environ, **changed}).stdout == "False\n"


def test_a_setting_of_the_test_itself_is_another_setting(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "on")

    assert ran("import sys; print('torch' in sys.modules)").stdout == "False\n"


def test_one_that_should_be_as_users_start_it_is_started_anew(as_users_start_it):
    assert ran("import sys; print('torch' in sys.modules)").stdout == "False\n"


def test_the_fork_server_ends_with_the_process_that_started_it(tmp_path):
    program = f"""
import subprocess, sys
from tests import forked
forked.install()
with subprocess.Popen([sys.executable, "-c", {SAMPLER!r}], stdin=subprocess.DEVNULL) as process:
    process.wait()
print(forked._servers["worker"]._process.pid, flush=True)
sys.stdin.read()
"""
    with forked.paused():
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        server = psutil.Process(int(process.stdout.readline()))
        process.kill()

    server.wait(PATIENCE)


def _read_at_import() -> dict[str, str]:
    return forked._read_at_import(os.environ, "worker")
