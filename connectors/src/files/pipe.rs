//! Standard input and FIFOs: read on a thread of their own, packed or not.

use std::io::{BufReader, ErrorKind, Read};

use crossbeam_channel::{Receiver, bounded};
use flate2::read::MultiGzDecoder;

use super::gzip::GZIP;

/// Reads a pipe on a thread of its own, since nothing else can wait for it and be stopped. The thread ends with the pipe or the process.
pub(super) fn piped<R: Read + Send>(
    open: impl FnOnce() -> std::io::Result<R> + Send + 'static,
) -> std::io::Result<Receiver<std::io::Result<Vec<u8>>>> {
    let (sender, receiver) = bounded(16);
    let read = move || {
        let chunks = move |mut from: Box<dyn Read + '_>| loop {
            let mut chunk = vec![0; 1 << 16];
            match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => {
                    chunk.truncate(read);
                    if sender.send(Ok(chunk)).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    // Nobody listens any more where this fails.
                    let _ = sender.send(Err(e));
                    return;
                }
            }
        };
        match open() {
            Ok(mut pipe) => {
                let mut head = Vec::new();
                match (&mut pipe).take(GZIP.len() as u64).read_to_end(&mut head) {
                    Err(e) => chunks(Box::new(Broken(Some(e)))),
                    Ok(_) if head == GZIP => {
                        chunks(Box::new(MultiGzDecoder::new(BufReader::new((&head[..]).chain(pipe)))))
                    }
                    Ok(_) => chunks(Box::new((&head[..]).chain(pipe))),
                }
            }
            Err(e) => chunks(Box::new(Broken(Some(e)))),
        }
    };
    std::thread::Builder::new().name("pipe".into()).spawn(read)?;
    Ok(receiver)
}

/// A pipe that could not be read.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
