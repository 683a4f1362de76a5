"""One thread in BLAS: from the first to open it to the last to close it, whichever threads, and over a fork."""

import os
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from npscore._run import blas
from npscore._run.blas import one_blas_thread

SECONDS = 20  # a child that has not ended by then is stuck


def blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    return [
        library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"
    ]


def test_blas_has_one_thread_from_the_first_to_open_to_the_last_to_close():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        assert blas_threads() == [1] * len(before)
        second.__enter__()
        first.__exit__(None, None, None)  # as two threads would: not in the order of a stack
        assert blas_threads() == [1] * len(before)
        second.__exit__(None, None, None)
        assert blas_threads() == before
        with pytest.raises(KeyError), one_blas_thread():
            raise KeyError
        assert blas_threads() == before


def test_any_thread_may_limit_blas_and_any_other_lift_it():
    """As threadpoolctl 3.8 has it, OpenBLAS listens to one thread only, here one of the user's that stays alive."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    at_first = blas_threads()
    with (
        threadpoolctl.threadpool_limits(limits=2, user_api="blas"),
        ThreadPoolExecutor(1) as users,  # ends first, or what it set would stay
        ThreadPoolExecutor(1) as first,
        ThreadPoolExecutor(1) as second,
    ):
        before = blas_threads()
        users.submit(threadpoolctl.threadpool_limits, 2, "blas").result()
        for opener, closer in ((first, second), (second, first)):
            with_one_thread = one_blas_thread()
            opener.submit(with_one_thread.__enter__).result()
            assert blas_threads() == [1] * len(before)
            closer.submit(with_one_thread.__exit__, None, None, None).result()
            assert blas_threads() == before
        users.submit(threadpoolctl.threadpool_limits, 1, "blas").result()
        assert blas_threads() == [1] * len(before)  # heard as before
    assert blas_threads() == at_first


def test_without_threadpoolctl_nothing_happens(monkeypatch):
    monkeypatch.setattr("npscore._run.blas.threadpoolctl", lambda: None)
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == before


# Forks ----------------------------------------------------------------------------------------------------

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def exit_code_of_child(work):
    """Fork and run ``work`` in the child: 0 where it returns, 1 where it raises, SIGALRM's where it is stuck."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: other threads are running
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(SECONDS)
        work()
        code = 0
    finally:
        os._exit(code)


def open_and_close():
    assert not blas._open
    with one_blas_thread():
        if blas.threadpoolctl() is not None:
            assert blas_threads() == [1] * len(blas_threads())
    assert not blas._open and blas._limiter is None


@forks
def test_a_fork_waits_for_a_thread_that_is_changing_the_limit_and_the_child_finds_the_lock_free():
    held, forked = threading.Event(), threading.Event()

    def hold():
        with blas._lock:
            held.set()
            assert not forked.wait(0.2)  # the fork waits

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(hold)
        assert held.wait(SECONDS)
        code = exit_code_of_child(open_and_close)
        forked.set()
        holding.result()
    assert code == 0


@forks
def test_a_child_takes_back_the_limit_that_was_open_at_the_fork_and_the_parent_keeps_its_own():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()

        def lifted():
            open_and_close()
            assert blas_threads() == before

        with ThreadPoolExecutor(1) as other:
            with_one_thread = one_blas_thread()
            other.submit(with_one_thread.__enter__).result()
            assert exit_code_of_child(lifted) == 0
            assert blas_threads() == [1] * len(before)
            other.submit(with_one_thread.__exit__, None, None, None).result()
        assert blas_threads() == before


@forks
def test_forks_while_a_thread_opens_and_closes_the_limit_never_block_a_child():
    done = threading.Event()

    def open_and_close_on():
        while not done.is_set():
            with one_blas_thread():
                pass

    with ThreadPoolExecutor(1) as other:
        working = other.submit(open_and_close_on)
        try:
            codes = [exit_code_of_child(open_and_close) for _ in range(40)]
        finally:
            done.set()
        working.result()
    assert codes == [0] * 40


@forks
def test_who_forks_within_the_limit_may_leave_it_in_the_child():
    def leave(limit):
        limit.__exit__(None, None, None)
        open_and_close()

    with one_blas_thread():
        pass
    limit = one_blas_thread()
    limit.__enter__()
    assert exit_code_of_child(lambda: leave(limit)) == 0
    limit.__exit__(None, None, None)
    assert not blas._open and blas._limiter is None
