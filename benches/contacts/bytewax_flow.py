"""Partners an hour as a Bytewax dataflow: `python -m bytewax.run "bytewax_flow:flow('contacts.csv', 'out.csv', 0)"`."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.files import CSVSource, FileSink
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SLOT_ROWS = 100


class PacedPartition(StatefulSourcePartition):
    """Another partition, a slot of rows a batch, `rate` seconds of event time a second."""

    def __init__(self, part, rate):
        self._part, self._rate, self._first, self._awake = part, rate, None, None

    def next_batch(self):
        rows = self._part.next_batch()
        t, now = int(rows[-1]["t"]), datetime.now(timezone.utc)
        self._first = self._first or (t, now)
        self._awake = self._first[1] + timedelta(seconds=(t - self._first[0]) / self._rate)
        return rows

    def next_awake(self):
        return self._awake

    def snapshot(self):
        return self._part.snapshot()

    def close(self):
        self._part.close()


class PacedSource(FixedPartitionedSource):
    def __init__(self, path, rate):
        self._source, self._rate = CSVSource(path, batch_size=SLOT_ROWS), rate

    def list_parts(self):
        return self._source.list_parts()

    def build_part(self, step_id, for_part, resume_state):
        return PacedPartition(self._source.build_part(step_id, for_part, resume_state), self._rate)


def both_ways(row):
    """A contact as each of its two people sees it."""
    at = EPOCH + timedelta(seconds=int(row["t"]))
    return (row["i"], (at, row["j"])), (row["j"], (at, row["i"]))


def add(partners, value):
    partners.add(value[1])
    return partners


def line(item):
    person, (window, partners) = item
    return "answer", f"{3600 * window},{person},{len(partners)}"


def flow(contacts, out, rate):
    """`rate` 0 reads as fast as possible."""
    flow = Dataflow("contacts")
    source = PacedSource(Path(contacts), rate) if rate else CSVSource(Path(contacts))
    rows = op.input("contacts", flow, source)
    people = op.flat_map("both_ways", rows, both_ways)
    # The clock runs on while a person has no rows, through a restart too: ten minutes of it make nothing late. A window ends in
    # 1970, so to wake up at that time would be to wake up always.
    wait = timedelta(minutes=10)
    clock = EventClock(lambda value: value[0], wait_for_system_duration=wait, to_system_utc=lambda _: None)
    hours = TumblingWindower(length=timedelta(hours=1), align_to=EPOCH)
    partners = fold_window("partners", people, clock, hours, set, add, set.union, ordered=False)
    op.output("out", op.map("line", partners.down, line), FileSink(Path(out)))
    return flow
