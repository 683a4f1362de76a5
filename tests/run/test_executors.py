"""Jobs on any executor: in order, the first error as it is and by name, nothing left running."""

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from npscore._run.executors import as_executor, submit_all


class Future:
    """All that may be assumed of a future."""

    def __init__(self, call):
        self.call, self.cancelled = call, False

    def result(self):
        return self.call()

    def cancel(self):
        self.cancelled = True


class Eager:
    """All that may be assumed of an executor; the work is done when it is asked for."""

    def __init__(self):
        self.futures = []

    def submit(self, function, *args):
        self.futures.append(Future(lambda: function(*args)))
        return self.futures[-1]


def refuse_two(job):
    if job == 2:
        raise KeyError("two")
    return -job


def test_results_come_in_the_order_of_the_jobs_whichever_is_done_first():
    gates = [threading.Event() for _ in range(4)]

    def after_the_next(k):
        if k + 1 < len(gates):
            assert gates[k + 1].wait(10)
        gates[k].set()
        return k

    with ThreadPoolExecutor(4) as pool:
        assert list(submit_all(pool, after_the_next, range(4))) == [0, 1, 2, 3]
    assert (
        list(submit_all(Eager(), refuse_two, [1, 3]))
        == list(submit_all(None, refuse_two, [1, 3]))
        == [-1, -3]
    )


def test_the_first_error_in_the_order_of_the_jobs_comes_as_it_is_and_names_its_job():
    executor, got = Eager(), []
    with pytest.raises(KeyError, match="two") as caught:
        for result in submit_all(executor, refuse_two, [1, 2, 3], names=["first", "second", "third"]):
            got.append(result)
    assert got == [-1]
    notes = getattr(caught.value, "__notes__", [str(caught.value.__cause__)])
    assert len(notes) == 1 and notes[0].startswith("in second on Eager ")
    assert [future.cancelled for future in executor.futures] == [False, True, True]
    with pytest.raises(KeyError) as caught:
        list(submit_all(Eager(), refuse_two, [1, 1, 2]))
    assert "in job 3 of 3 on Eager " in str(getattr(caught.value, "__notes__", caught.value.__cause__))


def test_without_notes_the_name_is_the_errors_cause_and_the_workers_traceback_is_kept():
    from npscore._run.executors import _name

    class OldError(Exception):
        add_note = property()  # not there, as on Python 3.10

    error, remote = OldError("it"), RuntimeError("the worker's traceback")
    error.__cause__ = remote
    _name(error, "in job 1")
    assert str(error.__cause__) == "in job 1" and error.__cause__.__cause__ is remote


@pytest.mark.parametrize("at", ["submit", "result"])
def test_an_interrupt_cancels_what_waits(at):
    executor = Eager()

    def interrupted(job):
        raise KeyboardInterrupt

    if at == "submit":

        def third_fails(function, job, submit=executor.submit):
            return interrupted(job) if job == 3 else submit(function, job)

        executor.submit = third_fails
    with pytest.raises(KeyboardInterrupt):
        list(submit_all(executor, interrupted if at == "result" else abs, [1, 2, 3]))
    assert len(executor.futures) == (2 if at == "submit" else 3)
    assert all(future.cancelled for future in executor.futures)


def test_jobs_whose_results_are_no_longer_wanted_are_cancelled():
    executor = Eager()
    results = submit_all(executor, abs, [-1, -2, -3])
    assert next(results) == 1
    results.close()
    assert [future.cancelled for future in executor.futures] == [False, True, True]


def test_a_result_that_has_been_handed_over_is_held_no_longer():
    executor = Eager()
    results = submit_all(executor, abs, [-1, -2, -3])
    next(results)
    first, second, _ = map(weakref.ref, executor.futures)
    executor.futures.clear()
    assert first() is None and second() is not None


def test_an_error_about_pickling_names_the_argument_and_other_errors_stay_as_they_are():
    def unpicklable(job):
        raise TypeError("cannot pickle this")

    sent = {"fine": 3, "score": lambda x: x}
    with pytest.raises(
        TypeError, match=r"^score must be picklable to go to another process, got function .*lambda"
    ):
        list(submit_all(Eager(), unpicklable, [1], sent=sent))
    with pytest.raises(TypeError, match=r"^cannot pickle this"):
        list(submit_all(Eager(), unpicklable, [1], sent={"fine": 3}))
    with pytest.raises(KeyError, match="two"):
        list(submit_all(Eager(), refuse_two, [2], sent=sent))


class Local:
    """It cannot be pickled, and the error does not say so: what Python 3.13 says of local functions."""

    def __reduce__(self):
        raise AttributeError("Can't get local object 'f.<locals>.<lambda>'")


def test_an_error_that_is_what_pickling_an_argument_says_is_about_pickling():
    def fails(job):
        raise AttributeError(job)

    sent = {"score": Local()}
    with pytest.raises(TypeError, match=r"^score must be picklable .*Can't get local object"):
        list(submit_all(Eager(), fails, ["Can't get local object 'f.<locals>.<lambda>'"], sent=sent))
    with pytest.raises(
        AttributeError, match="another"
    ):  # the caller's own error, though the score is unpicklable
        list(submit_all(Eager(), fails, ["another"], sent=sent))


def test_what_can_submit_is_an_executor_and_its_class_is_not():
    executor = Eager()
    assert as_executor(executor) is executor and as_executor(None) is None
    for wrong in (4, "pool", Eager, ThreadPoolExecutor, abs):
        with pytest.raises(
            TypeError, match=r"^pool must be None or an executor with a submit method, .*, got "
        ):
            as_executor(wrong, "pool")
