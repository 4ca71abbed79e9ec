//! The hourly numbers of partners in dbsp: `dbsp-contacts CONTACTS OUT RATE [STATE/]`. `RATE` 0 reads as fast as
//! possible.
//!
//! The circuit emits changes: `hour,person,partners,diff`, where a diff of -1 takes a row back. With STATE/ it keeps
//! a checkpoint a second. dbsp checkpoints its own state and nothing around it. So a checkpoint's name says how much
//! of the input is in it, and how long the output was. A start reads on from there, and cuts the output there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dbsp::circuit::checkpointer::Checkpointer;
use dbsp::circuit::{CircuitConfig, CircuitStorageConfig, StorageConfig, StorageOptions};
use dbsp::dynamic::DynData;
use dbsp::mimalloc::MiMalloc;
use dbsp::typed_batch::{IndexedZSetReader, SpineSnapshot};
use dbsp::utils::{Tup2, Tup3};
use dbsp::{DBSPHandle, OrdIndexedZSet, OutputHandle, RootCircuit, Runtime, Stream, TypedBox, ZSetHandle, ZWeight};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rows that a transaction takes at most.
const TRANSACTION: usize = 10_000;
const CHECKPOINT: Duration = Duration::from_secs(1);
const HOUR: i64 = 3600;

type Contact = Tup3<i64, String, String>;
type Answer = OrdIndexedZSet<Tup2<i64, String>, ZWeight>;

fn partners(circuit: &mut RootCircuit) -> Result<(ZSetHandle<Contact>, OutputHandle<SpineSnapshot<Answer>>)> {
    let (contacts, input) = circuit.add_input_zset::<Contact>();
    let hour = |t: &i64| t.div_euclid(HOUR) * HOUR;
    let people = contacts.flat_map_index(move |Tup3(t, i, j)| {
        [(Tup2(hour(t), i.clone()), j.clone()), (Tup2(hour(t), j.clone()), i.clone())]
    });
    // The rows come in order. The state of an hour goes when the hour after it has ended.
    let kept: Stream<RootCircuit, TypedBox<i64, DynData>> =
        contacts.waterline_monotonic(|| i64::MIN, move |Tup3(t, ..)| hour(t) - HOUR);
    let keep = |Tup2(hour, _): &Tup2<i64, String>, kept: &i64| hour >= kept;
    people.accumulate_integrate_trace_retain_keys(&kept, keep);
    let partners = people.distinct().aggregate_linear_retain_keys(&kept, keep, |_| 1);
    partners.accumulate_integrate_trace_retain_keys(&kept, keep);
    Ok((input, partners.accumulate_output()))
}

struct Run {
    circuit: DBSPHandle,
    input: ZSetHandle<Contact>,
    answer: OutputHandle<SpineSnapshot<Answer>>,
    rows: Vec<Tup2<Contact, ZWeight>>,
    out: BufWriter<File>,
    /// Whether there is a folder for checkpoints.
    keeps: bool,
    kept: Instant,
}

impl Run {
    /// Takes the pending rows as a transaction and writes what they change; a checkpoint follows where one is due.
    /// `read` is the offset behind the rows.
    fn transact(&mut self, read: u64, last: bool) -> Result<()> {
        if !self.rows.is_empty() {
            self.input.append(&mut self.rows);
            self.circuit.transaction()?;
            for (Tup2(hour, person), partners, diff) in self.answer.concat().iter() {
                writeln!(self.out, "{hour},{person},{partners},{diff}")?;
            }
        }
        if self.kept.elapsed() >= CHECKPOINT || last {
            self.out.flush()?;
            if self.keeps {
                self.out.get_ref().sync_data()?;
                let written = self.out.stream_position()?;
                self.circuit.checkpoint().with_name(format!("{read} {written}")).run()?;
                self.circuit.gc_checkpoint(HashSet::new())?;
            }
            self.kept = Instant::now();
        }
        Ok(())
    }
}

/// The storage in `folder` at its last checkpoint, and that one's offsets in the input and the output.
fn restore(folder: &str) -> Result<(CircuitStorageConfig, Option<(u64, u64)>)> {
    fs::create_dir_all(folder)?;
    let config = StorageConfig { path: folder.into(), cache: Default::default() };
    let storage = CircuitStorageConfig::for_config(config, StorageOptions::default())?;
    let Some(last) = Checkpointer::read_checkpoints(&*storage.backend)?.pop_back() else {
        return Ok((storage, None));
    };
    let name = last.identifier.context("a checkpoint without a name")?;
    let (read, written) = name.split_once(' ').context("a checkpoint of another name")?;
    Ok((storage.with_init_checkpoint(Some(last.uuid)), Some((read.parse()?, written.parse()?))))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (contacts, out, rate, state) = match &arguments[..] {
        [contacts, out, rate] => (contacts, out, rate, None),
        [contacts, out, rate, state] => (contacts, out, rate, Some(state)),
        _ => anyhow::bail!("usage: dbsp-contacts CONTACTS OUT RATE [STATE/]"),
    };
    let rate: f64 = rate.parse()?;
    let (storage, offsets) = match state {
        Some(folder) => restore(folder).map(|(storage, offsets)| (Some(storage), offsets))?,
        None => (None, None),
    };
    let config = CircuitConfig::with_workers(1).with_storage(storage).with_allow_input_during_commit(false);
    let (circuit, (input, answer)) = Runtime::init_circuit(config, partners)?;

    let mut file = BufReader::with_capacity(1 << 16, File::open(contacts)?);
    let mut line = String::new();
    let mut read = file.read_line(&mut line)? as u64;
    let mut written = File::options().create(true).truncate(false).write(true).open(out)?;
    let (from, length) = offsets.unwrap_or((read, 0));
    read = file.seek(SeekFrom::Start(from))?;
    written.set_len(length)?;
    written.seek(SeekFrom::End(0))?;

    let out = BufWriter::new(written);
    let mut run = Run { circuit, input, answer, rows: Vec::new(), out, keeps: state.is_some(), kept: Instant::now() };
    let (began, mut first, mut before) = (Instant::now(), None, None);
    loop {
        line.clear();
        let length = file.read_line(&mut line)?;
        if length == 0 {
            break;
        }
        let mut fields = line.trim_end().split(',');
        let mut field = || fields.next().context("a row of fewer than three fields");
        let (t, i, j): (i64, _, _) = (field()?.parse()?, field()?.to_owned(), field()?.to_owned());
        if before != Some(t) {
            if rate > 0.0 {
                let due = Duration::from_secs_f64((t - *first.get_or_insert(t)) as f64 / rate);
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
            if run.kept.elapsed() >= CHECKPOINT {
                run.transact(read, false)?;
            }
            before = Some(t);
        }
        run.rows.push(Tup2(Tup3(t, i, j), 1));
        read += length as u64;
        if run.rows.len() == TRANSACTION {
            run.transact(read, false)?;
        }
    }
    run.transact(read, true)?;
    run.circuit.kill().map_err(|_| anyhow::anyhow!("a worker panicked"))
}
