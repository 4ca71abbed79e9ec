//! Several processes of one plan: here each is a thread with a pipeline of its own, and all that they share are sockets.

use std::net::TcpListener;
use std::time::Duration;

use thalweg::cluster::{Cluster, quiet_network_panics};
use thalweg::sink::Collect;
use thalweg::stage::{Inbox, Outbox};
use thalweg::{BoxError, Epoch, Error, Next, Pipeline, Report, Source, Stage};

/// The numbers below `end`, an epoch each.
struct Numbers(u64, u64);

impl Source for Numbers {
    type Item = u64;
    fn name(&self) -> String {
        "numbers".into()
    }
    fn next(&mut self) -> Result<Next<u64>, BoxError> {
        self.0 += 1;
        Ok(if self.0 > self.1 { Next::End } else { Next::Item(self.0 - 1) })
    }
}

/// Sends each number to two owners, who add it to what they have; fails at `fails`.
struct Sums {
    sum: u64,
    fails: Option<u64>,
}

impl Stage for Sums {
    type Input = u64;
    type Exchange = (u64, Vec<f32>);
    type Output = (u64, String);
    fn name(&self) -> &'static str {
        "sums"
    }
    fn phases(&self) -> usize {
        3
    }
    fn step(
        &mut self,
        epoch: Epoch,
        phase: usize,
        inbox: Inbox<u64, (u64, Vec<f32>)>,
        out: &mut Outbox<(u64, Vec<f32>), (u64, String)>,
    ) -> Result<(), BoxError> {
        match inbox {
            Inbox::Input(numbers) => {
                for number in numbers {
                    (0..2).for_each(|i| out.send((number + i) as usize, (number, vec![number as f32; 3])));
                }
            }
            Inbox::Exchange(mail) if phase == 1 => {
                for (_, (number, copies)) in mail {
                    if self.fails == Some(number) {
                        return Err(format!("found {number}, expected another").into());
                    }
                    self.sum += number + copies.len() as u64;
                    // All sums of an epoch come together on its own shard.
                    out.send(epoch as usize, (self.sum, copies));
                }
            }
            Inbox::Exchange(mail) => {
                let sums: u64 = mail.iter().map(|(_, (sum, _))| *sum).sum();
                out.give((epoch, format!("{} letters, {sums}", mail.len())));
            }
        }
        Ok(())
    }
    fn end(&mut self, epoch: Epoch, out: &mut Outbox<(u64, Vec<f32>), (u64, String)>) -> Result<(), BoxError> {
        out.give((epoch, "end".into()));
        Ok(())
    }
}

fn addresses(processes: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

type Ran = (Result<Report, Error>, Vec<(u64, (u64, String))>);

/// Runs the plan in so many processes; what each gave.
fn run(processes: usize, workers: usize, epochs: u64, fails: Option<u64>, secrets: &[&str]) -> Vec<Ran> {
    quiet_network_panics();
    let addresses = addresses(processes);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..processes)
            .map(|process| {
                let secret = secrets[process % secrets.len()].as_bytes().to_vec();
                let cluster = Cluster::new(addresses.clone(), process, secret).unwrap();
                let cluster = (processes > 1).then_some(cluster.with_patience(Duration::from_secs(3)));
                scope.spawn(move || {
                    let sink = Collect::default();
                    // Only the leader's source is read.
                    let end = if process == 0 { epochs } else { 1_000_000 };
                    let pipeline = Pipeline::from_source(Numbers(0, end)).workers(workers).cluster(cluster);
                    let stats = pipeline.stats();
                    let ran = pipeline.run(
                        |numbers| {
                            numbers
                                .map("count", move |n| {
                                    stats.nodes(1);
                                    Ok(n)
                                })
                                .stage(move |_| Sums { sum: 0, fails })
                        },
                        sink.clone(),
                    );
                    (ran, sink.items())
                })
            })
            .collect();
        started.into_iter().map(|process| process.join().unwrap()).collect()
    })
}

#[test]
fn processes_give_what_threads_give() {
    for (processes, workers) in [(2, 1), (2, 2), (3, 1), (4, 2)] {
        let shards = processes * workers;
        let one = run(1, shards, 300, None, &[""]).remove(0);
        let many = run(processes, workers, 300, None, &["secret"]);
        assert_eq!(many[0].1, one.1, "{processes} processes of {workers} workers");
        assert_eq!(one.1.len(), 300 + shards);
        let report = many[0].0.as_ref().unwrap();
        assert_eq!((report.frames, report.nodes), (300, 300), "what others counted is in the leader's report");
        assert!(report.latency.contains_key("count"));
        assert!(many[1..].iter().all(|(ran, items)| ran.is_ok() && items.is_empty()));
    }
}

#[test]
fn an_error_in_any_process_ends_all_of_them_with_its_message() {
    for fails in [0, 1, 17] {
        let ran = run(2, 1, 300, Some(fails), &["secret"]);
        let message = ran[0].0.as_ref().unwrap_err().to_string();
        assert!(message.starts_with("stage sums, epoch "), "{message}");
        assert!(message.ends_with(&format!(": found {fails}, expected another")), "{message}");
        assert!(ran[1].0.is_err());
    }
}

#[test]
fn an_empty_source_ends_all_processes() {
    let ran = run(2, 1, 0, None, &["secret"]);
    assert_eq!(ran[0].1.iter().filter(|(_, (_, text))| text == "end").count(), 2);
}

#[test]
fn strangers_are_not_let_in() {
    let ran = run(2, 1, 10, None, &["one", "another"]);
    assert!(ran.iter().all(|(ran, items)| ran.is_err() && items.is_empty()));
    assert!(ran[1].0.as_ref().unwrap_err().to_string().contains("without a proof"));
}

#[test]
fn one_that_does_not_come_is_named() {
    let cluster = Cluster::new(addresses(2), 0, Vec::new()).unwrap().with_patience(Duration::from_millis(100));
    let ran = Pipeline::from_source(Numbers(0, 3)).cluster(Some(cluster)).run(|n| n, Collect::default());
    let message = ran.unwrap_err().to_string();
    assert!(message.starts_with("process 1: 127.0.0.1:") && message.contains("expected it to answer"), "{message}");
}

#[test]
fn other_settings_are_refused() {
    let addresses = addresses(2);
    let ran: Vec<_> = std::thread::scope(|scope| {
        let process = |process: usize| {
            let cluster = Cluster::new(addresses.clone(), process, Vec::new()).unwrap();
            let cluster = cluster.with_settings(format!("k={process}")).with_patience(Duration::from_secs(3));
            scope.spawn(move || {
                Pipeline::from_source(Numbers(0, 3)).cluster(Some(cluster)).run(|n| n, Collect::default())
            })
        };
        let started = [process(0), process(1)];
        started.into_iter().map(|process| process.join().unwrap().unwrap_err().to_string()).collect()
    });
    assert!(ran.iter().all(|message| message.contains("found another plan, other settings")), "{ran:?}");
}
