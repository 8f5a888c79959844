"""Ctrl-C and SIGTERM end a run after the update in hand, and lose nothing."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from course_utils.training import loop
from course_utils.training.checkpoints import checkpoints
from course_utils.training.stopping import Interrupted, StopSignals
from tests.conftest import ROOT
from tests.trainer import assert_same, short_run
from tests.training.commands import ENV, QUICK, losses

KEPT = {"save_image_steps": 0, "save_model_steps": 0, "eval_inference_steps": 1}


@pytest.fixture(autouse=True)
def in_the_foreground():
    """In the background of a shell, where Ctrl-C is nobody's business, it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop_at(monkeypatch, step, number=signal.SIGINT, times=1):
    """Get a signal, or two, in the middle of an update."""
    draw = loop.draw_batch

    def drawn(config, data, scheduler, now, classes):
        if now == step:
            for _ in range(times):
                signal.raise_signal(number)
        return draw(config, data, scheduler, now, classes)

    monkeypatch.setattr(loop, "draw_batch", drawn)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_update_keeps_a_checkpoint_and_says_how_to_go_on(
    tmp_path, monkeypatch, number
):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        stop_at(patch, 2, number)
        with pytest.raises(KeyboardInterrupt, match=r"3 of 6 updates.*000003.*resume") as stopped:
            short_run(output_dir=str(tmp_path), **KEPT)
    assert stopped.value.number == number
    assert "\n" not in str(stopped.value)
    assert [path.name[-1] for path in checkpoints(tmp_path / "checkpoints")] == ["3"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert_same(short_run(resume=True, output_dir=str(tmp_path), **KEPT), short_run())


def test_a_second_one_stops_at_once(tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    stop_at(monkeypatch, 2, times=2)
    with pytest.raises(Interrupted, match="at once"):
        short_run(output_dir=str(tmp_path), **KEPT)
    assert checkpoints(tmp_path / "checkpoints") == []
    assert signal.getsignal(signal.SIGINT) == before


def test_without_a_folder_it_is_told_that_nothing_was_kept(monkeypatch):
    stop_at(monkeypatch, 2)
    with pytest.raises(Interrupted, match=r"3 of 6 updates\. Nothing was kept"):
        short_run()


def test_in_the_last_update_the_run_is_finished(monkeypatch):
    stop_at(monkeypatch, 5)
    assert_same(short_run(), short_run())


def test_in_another_thread_signals_are_left_alone():
    before, runs = signal.getsignal(signal.SIGINT), []

    def work():
        with StopSignals():
            runs.append(signal.getsignal(signal.SIGINT))
        runs.append(short_run(num_steps=2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert runs[0] == before
    assert len(runs[1].losses) == 2


def test_a_signal_that_is_ignored_stays_so():
    """As under nohup."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGTERM)
            assert signals.number == 0
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(os.name != "posix", reason="torchrun's processes are stopped otherwise there")
def test_two_processes_stop_after_the_same_update(tmp_path):
    """One SIGTERM to the launcher, as a cluster sends it; it passes it on to both."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command = ["course_utils", "train", "digits", *QUICK, "--num-steps", "2000", "--tracker"]
    command += ["tensorboard", "--output-dir", str(tmp_path / "run"), "--save-model-steps", "5000"]
    process = subprocess.Popen(
        [sys.executable, "-m", *launcher, *command],
        cwd=ROOT,
        env=ENV | {"ACCELERATE_USE_CPU": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "run" / "logs").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=120)[1]
    done = len(losses(tmp_path / "run"))
    assert 0 < done < 2000
    assert told.count(f"Stopped after {done} of 2000 updates") == 2, told[-3000:]
