//! The remaining work of a group for which an earlier run has left results of some schedules.

use crate::plan::Plan;

/// The part of a plan's trie that leads to schedules without a result. It always includes the plain path, because all other
/// schedules need the plain reference.
#[derive(Debug)]
pub(super) struct Needed {
    /// Whether a node's step runs.
    pub(super) nodes: Vec<bool>,
    /// Whether the schedules that end at a node are measured.
    pub(super) ends: Vec<bool>,
    /// The number of steps that run.
    pub(super) steps: usize,
    /// The number of schedules that are measured.
    pub(super) schedules: usize,
}

impl Needed {
    /// The remaining work of a group; `is_missing` says whether some item lacks the result of a schedule.
    pub(super) fn of(plan: &Plan, is_missing: impl Fn(usize) -> bool) -> Self {
        let count = plan.planned_steps() + 1;
        let (mut nodes, mut ends) = (vec![false; count], vec![false; count]);
        for &node in &plan.plain_path {
            nodes[node] = true;
        }
        ends[plan.plain_path[plan.plain_path.len() - 1]] = true;
        let mut schedules = 0;
        // Children come after their parents, so the reverse order visits children first.
        for node in (0..count).rev() {
            let own = plan.trie.ends(node);
            ends[node] |= own.iter().any(|schedule| is_missing(*schedule));
            nodes[node] |= ends[node] || plan.trie.children(node).iter().any(|child| nodes[*child]);
            schedules += match ends[node] {
                true => own.len(),
                false => 0,
            };
        }
        Self {
            steps: nodes.iter().filter(|needed| **needed).count() - 1,
            schedules,
            nodes,
            ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_transformer::{Model, ModelConfig};

    #[test]
    fn what_leads_to_missing_schedules_is_left() {
        let model = Model::random(ModelConfig::tiny(), 0);
        let plan = Plan::new(model.stack(), &["drop(l)".parse().unwrap()], 4096).unwrap();
        // Four blocks of two steps each; schedules with small l leave the plain path early.
        let check = |missing: &[usize], steps: usize| {
            let needed = Needed::of(&plan, |schedule| missing.contains(&schedule));
            assert_eq!(needed.steps, steps, "{missing:?}");
            assert_eq!(
                needed.schedules,
                1 + missing.iter().filter(|at| **at > 0).count()
            );
        };
        check(&[], 8);
        check(&[0], 8);
        check(&[4], 8);
        check(&[3], 8 + 2);
        check(&[1, 3], 8 + 6 + 2);
        check(&[0, 1, 2, 3, 4], plan.planned_steps());
    }
}
