//! Runs a model whose blocks are read from files: every schedule of a group runs a block before the next block is read.
//!
//! Streams that have left the plain path move along with it: once the plain schedule has run a block, the streams that wait for
//! that block run it too. So a family such as `drop(l)`, whose schedules run blocks in order, reads each block once per group.
//! Streams that go back to an earlier block, as in `swap(l,l+1)`, run after the plain schedule, from the first block to the last.
//! So do all streams if an edit takes values of the plain run, because these are complete only at its end.

use super::{Branching, Cut, Handed, Run, Unit};
use crate::error::SweepError;
use crate::measure::Measure;
use layerwise_schedule::Step;
use layerwise_transformer::Workspace;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A residual stream at a node of the trie, or before a node's step.
struct Stream<'a, M: Measure> {
    unit: Arc<Unit<'a, M>>,
    node: usize,
    residual: Array2<f32>,
}

/// The streams of a group that have left the plain path.
pub(super) struct Streams<'a, M: Measure> {
    /// Streams before a node's step, by the first block that the step runs.
    waiting: BTreeMap<usize, Vec<Stream<'a, M>>>,
    /// Streams at a node where schedules end that are still to be measured.
    ended: Vec<Stream<'a, M>>,
}

impl<'a, M, E, F> Run<'a, M, E, F>
where
    M: Measure,
    E: From<SweepError> + Send,
    F: FnMut(Handed<M::Sums>) -> Result<(), E> + Send,
{
    /// Runs a group of items under all schedules.
    pub(super) fn begin_streamed(
        &self,
        group: usize,
        workspace: &mut Option<Workspace>,
    ) -> Result<(), Cut<E>> {
        let mut streams = Streams {
            waiting: BTreeMap::new(),
            ended: Vec::new(),
        };
        let unit = self.begin(group, workspace, Some(&mut streams))?;
        let mut block = 0;
        loop {
            for stream in streams.ended.drain(..) {
                if self.is_stopped() {
                    break;
                }
                match self.finish(&stream.unit, stream.node, &stream.residual) {
                    Err(Cut::GivenUp) => break,
                    outcome => outcome?,
                }
            }
            if self.is_stopped() {
                return self.hand_over_parts(&unit);
            }
            // Sweeps from the first block to the last, and repeats while streams wait for an earlier block.
            let next = streams.waiting.range(block..).next();
            let Some((&next, _)) = next.or(streams.waiting.iter().next()) else {
                return Ok(());
            };
            block = next;
            let workspace = self.workspace(workspace, &unit.batch);
            self.run_block(&mut streams, block, workspace);
        }
    }

    /// Stores the streams that leave the plain path, each before its first block off it.
    pub(super) fn leave(
        &self,
        streams: &mut Streams<'a, M>,
        branchings: impl Iterator<Item = Branching<'a, M>>,
    ) {
        for branching in branchings {
            let Branching {
                unit,
                node,
                on_path,
                residual,
                ..
            } = branching;
            let children = self.children(&unit, node, on_path);
            // At the path's end, the schedule that ends is the plain one.
            self.hold(
                streams,
                Stream {
                    unit,
                    node,
                    residual,
                },
                &children,
                on_path.is_some(),
            );
        }
    }

    /// Runs the streams that wait for a node's block on the plain path, if the next node is of another block.
    pub(super) fn go_along(
        &self,
        streams: &mut Streams<'a, M>,
        node: usize,
        next: Option<usize>,
        workspace: &mut Workspace,
    ) {
        let block = |node: usize| self.engine.plan.trie.step(node).and_then(first_block);
        if let Some(own) = block(node)
            && next.and_then(block) != Some(own)
        {
            self.run_block(streams, own, workspace);
        }
    }

    /// Runs all streams that wait for a block, until none is left or a stop.
    fn run_block(&self, streams: &mut Streams<'a, M>, block: usize, workspace: &mut Workspace) {
        while let Some(waiting) = streams.waiting.remove(&block) {
            for mut stream in waiting {
                if self.is_stopped() {
                    return;
                }
                self.advance(&stream.unit, stream.node, &mut stream.residual, workspace);
                let children = self.children(&stream.unit, stream.node, None);
                self.hold(streams, stream, &children, true);
            }
        }
    }

    /// Stores a stream that has reached a node: for the schedules that end there, and before each of some following nodes. The
    /// last of these takes the stream itself, the others get copies.
    fn hold(
        &self,
        streams: &mut Streams<'a, M>,
        stream: Stream<'a, M>,
        children: &[usize],
        may_end: bool,
    ) {
        let trie = &self.engine.plan.trie;
        let ends = may_end && !self.ends(&stream.unit, stream.node).is_empty();
        let Stream {
            unit,
            node,
            mut residual,
        } = stream;
        let mut left = children.len() + usize::from(ends);
        let mut taken = |node: usize| {
            left -= 1;
            Stream {
                unit: Arc::clone(&unit),
                node,
                residual: match left {
                    0 => std::mem::take(&mut residual),
                    _ => residual.clone(),
                },
            }
        };
        if ends {
            streams.ended.push(taken(node));
        }
        for &child in children {
            let block = trie.step(child).and_then(first_block).unwrap_or(0);
            let waiting = streams.waiting.entry(block).or_default();
            waiting.push(taken(child));
        }
    }
}

/// The first block that a step runs.
fn first_block(step: &Step) -> Option<usize> {
    match step {
        Step::Update(parts) => parts.first().map(|part| part.block()),
        Step::Branches(branches) => {
            let mut steps = branches.iter().flat_map(|branch| branch.steps());
            steps.find_map(first_block)
        }
    }
}
