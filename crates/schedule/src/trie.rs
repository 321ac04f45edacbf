use std::collections::HashMap;

use crate::schedule::Schedule;
use crate::stage::Stage;
use crate::step::Step;

/// The schedules of a run as a prefix trie: every common prefix is stored once.
///
/// Each node but the root is one [`Stage`], run on the stream that its parent left: a step with the part of the schedule's
/// overlay that concerns its blocks. So schedules part at the first block where they differ.
/// A schedule is the path from the root to the node where it ends.
/// The number of schedules that end in a node's subtree is the node's *weight*; children are ordered by weight,
/// the heaviest last, ties by first insertion.
///
/// A depth-first walk saves a copy of the stream at a node before each child but the last, which may overwrite the stream itself.
/// A child that is not the last has at most half of its parent's weight, so at most ⌊log₂(schedules)⌋ copies are held
/// at once, besides the current stream.
/// A walk must not recurse into the last child: schedules may be 65,536 steps deep.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack, Trie};
///
/// let plain = Schedule::plain(Stack::new(12, Residual::Sequential))?;
/// let dropped = "drop(5)".parse::<Edit>()?.apply(&plain)?;
/// let trie = Trie::new(&[plain, dropped]);
/// assert_eq!(trie.naive_steps(), 24 + 22);
/// // Blocks 0..5 are shared.
/// assert_eq!(trie.planned_steps(), 24 + 22 - 10);
/// assert_eq!(trie.saved_streams(), 1);
///
/// // The calls above a node hold the copies that exist while the walk is at the node.
/// fn walk(trie: &Trie, mut node: usize, found: &mut Vec<usize>) {
///     loop {
///         found.extend(trie.ends(node));
///         let Some((last, others)) = trie.children(node).split_last() else { return };
///         for &child in others {
///             walk(trie, child, found);
///         }
///         node = *last;
///     }
/// }
/// let mut found = Vec::new();
/// walk(&trie, Trie::ROOT, &mut found);
/// found.sort();
/// assert_eq!(found, [0, 1]);
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trie {
    nodes: Vec<Node>,
    naive_steps: usize,
    saved_streams: usize,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// `None` for the root.
    stage: Option<Stage>,
    children: Vec<usize>,
    ends: Vec<usize>,
}

impl Trie {
    /// The node of the empty prefix.
    pub const ROOT: usize = 0;

    /// The trie of `schedules`, which are named by their position in the slice.
    ///
    /// All of them should be over the same stack: steps are compared by their blocks alone.
    pub fn new(schedules: &[Schedule]) -> Self {
        let mut nodes = vec![Node::default()];
        let mut edges: HashMap<(usize, Stage), usize> = HashMap::new();
        let mut naive_steps = 0;
        for (index, schedule) in schedules.iter().enumerate() {
            let mut node = Self::ROOT;
            for stage in schedule.stages() {
                naive_steps += 1;
                node = *edges.entry((node, stage)).or_insert_with_key(|(_, stage)| {
                    let child = nodes.len();
                    nodes.push(Node {
                        stage: Some(stage.clone()),
                        ..Node::default()
                    });
                    nodes[node].children.push(child);
                    child
                });
            }
            nodes[node].ends.push(index);
        }
        let saved_streams = order_children(&mut nodes);
        Self {
            nodes,
            naive_steps,
            saved_streams,
        }
    }

    /// The stage that leads to `node`; `None` for the root.
    ///
    /// # Panics
    ///
    /// If `node` is not a node of this trie; so do the other methods that take a node.
    pub fn stage(&self, node: usize) -> Option<&Stage> {
        self.nodes[node].stage.as_ref()
    }

    /// The step that leads to `node`; `None` for the root and for a stage that changes the embedding.
    pub fn step(&self, node: usize) -> Option<&Step> {
        self.stage(node)?.step()
    }

    /// The children of `node`, the heaviest last.
    pub fn children(&self, node: usize) -> &[usize] {
        &self.nodes[node].children
    }

    /// The positions of the schedules that end at `node`, ascending; several if schedules are equal.
    pub fn ends(&self, node: usize) -> &[usize] {
        &self.nodes[node].ends
    }

    /// The number of top-level steps of all schedules together.
    pub fn naive_steps(&self) -> usize {
        self.naive_steps
    }

    /// The number of steps that a walk runs: the distinct non-empty prefixes.
    pub fn planned_steps(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The largest number of saved streams that a depth-first walk holds at once, besides the current one.
    pub fn saved_streams(&self) -> usize {
        self.saved_streams
    }
}

/// Puts the heaviest child of every node last and returns the number of saved streams of the walk.
fn order_children(nodes: &mut [Node]) -> usize {
    let mut weights = vec![0; nodes.len()];
    let mut saved = vec![0; nodes.len()];
    // Children come after their parents, so the reverse order visits children first.
    for index in (0..nodes.len()).rev() {
        let node = &mut nodes[index];
        // The sort is stable.
        node.children.sort_by_key(|&child| weights[child]);
        weights[index] = node.ends.len() + node.children.iter().map(|&c| weights[c]).sum::<usize>();
        if let Some((&last, others)) = node.children.split_last() {
            let before_last = others.iter().map(|&child| saved[child] + 1).max();
            saved[index] = saved[last].max(before_last.unwrap_or(0));
        }
    }
    saved[Trie::ROOT]
}
