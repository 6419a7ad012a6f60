"""Processor time, memory and open files of a process and its children, as one."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from prometheus_client import CollectorRegistry

from service.processes import Processes

FILL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
files = [open("/dev/null") for _ in range(60 - 3)]
print(flush=True)
input()
"""
BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process of ours that has used 0.3 seconds of a processor, and ends when it is told a line."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=-1, stdout=-1, text=True) as started:
        started.stdout.readline()
        yield started
        started.kill()


def taken(name: str) -> float:
    registry = CollectorRegistry()
    registry.register(Processes())
    return registry.get_sample_value(f"process_{name}")


def test_processor_time_of_a_child_is_in_it_and_stays_when_it_ends(child: subprocess.Popen[str]):
    seen = [taken("cpu_seconds_total")]
    assert seen[0] >= sum(psutil.Process().cpu_times()[:2]) - 0.2 + 0.3
    child.kill()
    while child.poll() is None:
        seen.append(taken("cpu_seconds_total"))
    seen += [taken("cpu_seconds_total") for _ in range(5)]
    assert sorted(seen) == seen


def test_files_of_a_child_are_in_it(child: subprocess.Popen[str]):
    assert taken("open_fds") >= psutil.Process().num_fds() + psutil.Process(child.pid).num_fds()


def test_one_process_that_has_all_its_files_open_is_seen_beside_others_that_may_have_more():
    ours = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)[0]
    before = taken("max_fds"), taken("open_fds_ratio")
    assert before[1] < 0.8
    with subprocess.Popen([sys.executable, "-c", FILL], stdin=-1, stdout=-1, text=True) as full:
        full.stdout.readline()
        assert taken("open_fds") < 0.8 * ours
        assert taken("open_fds_ratio") >= 60 / 64
        assert taken("max_fds") == before[0] + 64
        full.kill()


def test_the_service_started_when_its_workers_are_told_it_did():
    registry = CollectorRegistry()
    registry.register(Processes(5.0))
    assert registry.get_sample_value("process_start_time_seconds") == 5


def test_memory_that_processes_share_is_in_it_once(request: pytest.FixtureRequest):
    before = taken("resident_memory_bytes")
    its = psutil.Process(request.getfixturevalue("child").pid).memory_info()
    assert its.shared > 2**22
    assert taken("resident_memory_bytes") - before == pytest.approx(its.rss - its.shared, abs=2**21)


def test_a_process_that_has_ended_and_was_not_asked_for_yet_takes_nothing_more(child: subprocess.Popen[str]):
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        assert taken("cpu_seconds_total") > 0.3
    assert taken("cpu_seconds_total") > 0.3
    assert taken("open_fds") >= 1
