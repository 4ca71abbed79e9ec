//! The nodes of a plan: what each does, and which it takes its input from.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::erased::{AnySink, AnySource, CopyItem, MakeStage};
use crate::Error;
use crate::dataflow::{Control, MailStream};

/// What a node does.
pub(crate) enum Work {
    /// Reads; taken out by the run.
    Source(Mutex<Option<Box<dyn AnySource>>>),
    /// Runs a stage over the items of its inputs.
    Stage(Box<MakeStage>),
    /// Asks a differential query.
    Query(Box<Install>),
    /// Writes; taken out by the run.
    Sink(Mutex<Option<Box<dyn AnySink>>>),
}

/// Installs a node of one input.
pub(crate) type Install =
    dyn for<'scope> Fn(MailStream<'scope>, Option<CopyItem>, &Arc<Control>) -> MailStream<'scope> + Send + Sync;

/// A node.
pub(crate) struct Node {
    /// How messages call it; empty for the stage's own name.
    pub name: String,
    pub work: Work,
    /// The nodes that it takes items from, all before it in the plan.
    pub inputs: Vec<usize>,
    /// Copies an item of its output; set where a flow of it was cloned.
    pub copy: Option<CopyItem>,
}

/// A plan in the making.
#[derive(Default)]
pub(crate) struct Plan {
    pub nodes: Vec<Node>,
    /// What its sinks write.
    pub destinations: BTreeSet<PathBuf>,
    /// What is wrong with it, to be said before it runs.
    pub problem: Option<String>,
}

impl Plan {
    /// Appends a node; its number.
    pub fn add(&mut self, name: String, work: Work, inputs: Vec<usize>) -> usize {
        self.nodes.push(Node { name, work, inputs, copy: None });
        self.nodes.len() - 1
    }

    /// Checks that it can run, and keeps what leads to a sink.
    ///
    /// # Errors
    /// [`Error::Plan`]: no sink, a source whose items reach none, flows of two pipelines, two sinks into one file.
    pub fn finished(mut self) -> Result<Plan, Error> {
        if let Some(problem) = self.problem {
            return Err(Error::Plan(problem));
        }
        let mut wanted = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            wanted[i] |= matches!(node.work, Work::Sink(_));
            if wanted[i] {
                node.inputs.iter().for_each(|&input| wanted[input] = true);
            }
        }
        if !wanted.contains(&true) {
            return Err(Error::Plan("found no sink, expected one at least: `flow.sink(...)`".into()));
        }
        let idle = |(node, wanted): &(&Node, &bool)| matches!(node.work, Work::Source(_)) && !**wanted;
        if let Some((node, _)) = self.nodes.iter().zip(&wanted).find(idle) {
            return Err(Error::Plan(format!("{}: found no sink behind this source, expected one", node.name)));
        }
        let mut number = vec![0; self.nodes.len()];
        let mut kept = Vec::new();
        for (i, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate().filter(|(i, _)| wanted[*i]) {
            node.inputs.iter_mut().for_each(|input| *input = number[*input]);
            number[i] = kept.len();
            kept.push(node);
        }
        Ok(Plan { nodes: kept, ..Plan::default() })
    }
}
