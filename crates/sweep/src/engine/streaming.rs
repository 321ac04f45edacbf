//! A model whose blocks are read from files when they are run: every schedule of a group runs a block before the next is read.
//!
//! Streams that have left the plain path go along with it: once the plain schedule has run a block, those that wait for it run
//! it too. So a family such as `drop(l)`, whose schedules run blocks in their order, reads each block once for a group.
//! What goes back to an earlier block, as `swap(l,l+1)` does, is run after the plain schedule, from the first block to the last,
//! and so is everything where an edit takes values of the plain run, which are there at its end.

use super::{Branching, Handed, Run, Unit};
use crate::error::SweepError;
use crate::measure::Measure;
use layerwise_schedule::Step;
use layerwise_transformer::Workspace;
use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A residual stream at a node of the trie, or before one.
struct Stream<'a, M: Measure> {
    unit: Arc<Unit<'a, M>>,
    node: usize,
    residual: Array2<f32>,
}

/// The streams of a group that have left the plain path.
pub(super) struct Streams<'a, M: Measure> {
    /// Those before a node, by the block that its step runs first.
    waiting: BTreeMap<usize, Vec<Stream<'a, M>>>,
    /// Those at a node where schedules end that are to be measured.
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
    ) -> Result<(), E> {
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
                self.finish(&stream.unit, stream.node, &stream.residual)?;
            }
            if self.is_stopped() {
                return self.hand_over_parts(&unit);
            }
            // From the first block to the last, and again while there are streams that wait for an earlier one.
            let next = streams.waiting.range(block..).next();
            let Some((&next, _)) = next.or(streams.waiting.iter().next()) else {
                return Ok(());
            };
            block = next;
            let workspace = self.workspace(workspace, &unit.batch);
            self.run_block(&mut streams, block, workspace);
        }
    }

    /// Takes what leaves the plain path, before its first block off it.
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
            // At the path's end it is the plain schedule that ends.
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

    /// Runs what waits for the block of a node on the plain path, if the next node is of another block.
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

    /// Runs all streams that wait for a block, until none does, or until a stop.
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

    /// Keeps a stream that has come to a node: for the schedules that end there, and before each of some nodes that follow. The
    /// last of all these takes it, the others get copies.
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
