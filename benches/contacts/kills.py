"""Kills a system with SIGKILL at random moments, starts it again with the same command, and compares what it wrote in the end.

A moment is drawn evenly between the opening of the input and the end that the run would have if nothing happened. A process that
ends before its moment comes is not counted. After `IN_A_ROW` kills a run may finish; then the next begins anew.
"""

import os
import resource
import signal
import time
from collections import Counter

from systems import end, fresh, start

IN_A_ROW = 5


def compare(expected, found):
    """Rows that are lost, rows that are there more often than once, rows that should not be there."""
    there = {key[:2] for key, count in found.items() if count > 0}
    lost = sum(found[key] <= 0 and key[:2] not in there for key in expected)
    doubled = sum(max(found[key] - 1, 0) for key in expected)
    return Counter(lost=lost, doubled=doubled, different=sum(abs(count) for key, count in found.items() if key not in expected))


def opened(process, contacts):
    """Waits until `process` has the file open: seconds of `monotonic`, or `None` where it has ended."""
    while process.poll() is None:
        try:
            held = os.scandir(f"/proc/{process.pid}/fd")
            if any(os.path.realpath(entry.path) == contacts for entry in held):
                return time.monotonic()
        except OSError:
            continue  # a descriptor was closed meanwhile, or the process is gone
        time.sleep(0.002)
    return None


def processor_seconds():
    """Of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def undisturbed(system, contacts, folder, rate, expected):
    """A run that nobody kills: seconds from the opening to the end, processor seconds, and how the output differs."""
    fresh(system, folder)
    before = processor_seconds()
    process = start(system, contacts, folder, rate)
    begun = opened(process, contacts)
    end(system, process, folder)
    length, processor = time.monotonic() - begun, processor_seconds() - before
    return length, processor, compare(expected, system.answer(folder))


def killed(system, contacts, folder, rate, expected, *, kills, length, random):
    """How the outputs of runs with `kills` kills in all differ, added up, and how many runs there were; `length` is a run's."""
    done, runs, sums = 0, 0, Counter()
    while done < kills:
        fresh(system, folder)
        left, of_run = length, 0
        while done < kills and of_run < IN_A_ROW:
            process = start(system, contacts, folder, rate)
            begun = opened(process, contacts)
            wait = random.uniform(0, max(left, 1.0))
            if begun is None or ended_within(system, process, folder, begun + wait - time.monotonic()):
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            done, of_run, left = done + 1, of_run + 1, left - wait
        end(system, start(system, contacts, folder, rate), folder)
        sums.update(compare(expected, system.answer(folder)))
        runs += 1
    return sums, runs


def ended_within(system, process, folder, seconds):
    """Whether `process` comes to its own end within `seconds`; a failure ends the benchmark."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None or done_reading(system, folder):
            end(system, process, folder)
            return True
        time.sleep(0.002)
    return False


def done_reading(system, folder):
    return getattr(system, "follow", False) and "caught up" in (folder / "log").read_text()
