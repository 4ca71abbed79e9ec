"""The hourly numbers of partners in Pathway: `python pathway_flow.py CONTACTS OUT/ RATE [STATE/]`.

Each start writes a file of its own in OUT/, as Pathway's own tests of persistence do: its CSV output begins its file anew.
"""

import sys
import time
from pathlib import Path

import pathway as pw

SNAPSHOT = 1000  # ms
COMMIT = 0.1  # s


class Contact(pw.Schema):
    t: int
    i: str
    j: str


class Paced(pw.io.python.ConnectorSubject):
    """Rows of a CSV file, `rate` seconds of event time a second, committed ten times a second with the offset behind them."""

    def __init__(self, path, rate):
        super().__init__()
        self._path, self._rate, self._offset = path, rate, None

    def _seek(self, state):
        self._offset = int(state)

    def _keep(self, offset):
        self._report_offset(str(offset).encode())
        self.commit()

    def run(self):
        with open(self._path) as file:
            file.readline()
            if self._offset is not None:
                file.seek(self._offset)
            begun = kept = time.time()
            first = last = None
            before = file.tell()
            while line := file.readline():
                t, i, j = line.rstrip().split(",")
                t = int(t)
                first = first or t
                if t != last:
                    time.sleep(max(0.0, begun + (t - first) / self._rate - time.time()))
                    if time.time() - kept > COMMIT:
                        self._keep(before)
                        kept = time.time()
                self.next(t=t, i=i, j=j)
                last, before = t, file.tell()
            self._keep(before)

    @property
    def _deletions_enabled(self):
        return False


def main():
    contacts, out, rate, *state = sys.argv[1:]
    rate, out = float(rate), Path(out)
    out.mkdir(exist_ok=True)
    if rate:
        rows = pw.io.python.read(Paced(contacts, rate), schema=Contact, autocommit_duration_ms=None, name="contacts")
    else:
        rows = pw.io.csv.read(contacts, schema=Contact, mode="static", name="contacts")
    ways = [rows.select(rows.t, person=a, partner=b) for a, b in ((rows.i, rows.j), (rows.j, rows.i))]
    people = pw.Table.concat_reindex(*ways)
    # Without a behaviour each commit would revise the rows of the hour; a table that is read whole has one commit.
    behavior = pw.temporal.exactly_once_behavior() if rate else None
    hours = people.windowby(people.t, window=pw.temporal.tumbling(duration=3600), instance=people.person, behavior=behavior)
    partners = hours.reduce(
        hour=pw.this._pw_window_start, person=pw.this._pw_instance, partners=pw.reducers.count_distinct(pw.this.partner)
    )
    pw.io.csv.write(partners, out / f"{len(list(out.iterdir())):04}.csv")
    config = None
    if state:
        config = pw.persistence.Config(pw.persistence.Backend.filesystem(state[0]), snapshot_interval_ms=SNAPSHOT)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=config)


if __name__ == "__main__":
    main()
