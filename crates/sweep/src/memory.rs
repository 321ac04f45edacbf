//! What a worker may hold.

use crate::plan::Plan;
use crate::sums::Sums;
use layerwise_kernels::vocabulary::{self, Summary};
use layerwise_schedule::Step;
use layerwise_transformer::{Model, Workspace};

/// The most memory, in bytes, that the engine takes for each worker thread, with sequences of at most `seq` tokens.
///
/// In units of one residual stream, `seq · model · 4` bytes, that is
///
/// - one for each [branch point](Plan::branch_points) of the plan, kept until a worker takes it up;
/// - one in hand and at most ⌊log₂ schedules⌋ saved on the way through its subtree;
/// - two for what the plain model leaves for the comparison, one final-norm output;
/// - two for each level of `parallel` within a step;
///
/// and the buffers of one block, one tile of logits, and a few numbers for each position and schedule.
/// There is nothing of the size positions × vocabulary, and nothing that grows with the number of sequences.
/// A worker begins a sequence only when no kept stream waits, so that there are never more sequences under way than
/// workers, and the bound holds for all workers together: one may hold more while another holds less.
///
/// Not included: the weights, which all workers share; thread stacks; the token ids; and what `finished` of
/// [`run`](crate::run) does with the [`Sums`] that it is handed.
pub fn worker_bytes(model: &Model, plan: &Plan, seq: usize) -> usize {
    let config = model.config();
    let nested = plan.trie_steps().map(levels).max().unwrap_or(0);
    let streams = plan.branch_points() + 1 + plan.saved_streams() + 3 + 2 * nested;
    let position = size_of::<u32>() + 2 * size_of::<Summary>();
    // The handles of kept streams, in a queue that grows by doubling, and locks.
    let handles = 512 * (plan.branch_points() + 2);
    streams * seq * config.model * size_of::<f32>()
        + Workspace::most_bytes(config, seq)
        + vocabulary::most_bytes(seq, config.model, config.vocab)
        + seq * position
        + plan.entries().len() * size_of::<Sums>()
        + handles
}

/// How deep branches are nested in a step.
fn levels(step: &Step) -> usize {
    match step {
        Step::Update(_) => 0,
        Step::Branches(branches) => {
            let steps = branches.iter().flat_map(|branch| branch.steps());
            1 + steps.map(levels).max().unwrap_or(0)
        }
    }
}
