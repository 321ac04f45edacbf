//! The prefix trie: what a depth-first walk runs, finds and saves.

use std::collections::HashSet;

use crate::strategies::{edited, stack};
use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, Residual, Schedule, Stack, Step, Trie};
use proptest::prelude::*;

/// What a depth-first walk has seen.
#[derive(Default)]
struct Walk {
    /// The steps from the root to the current node.
    path: Vec<Step>,
    /// Each schedule's number with the path to the node where it ends.
    found: Vec<(usize, Vec<Step>)>,
    steps_run: usize,
    saved: usize,
    most_saved: usize,
}

impl Walk {
    /// Visits `node`, whose stream is the current one, and everything below it.
    fn visit(&mut self, trie: &Trie, node: usize) {
        self.found
            .extend(trie.ends(node).iter().map(|&end| (end, self.path.clone())));
        let children = trie.children(node);
        for (i, &child) in children.iter().enumerate() {
            let is_last = i + 1 == children.len();
            self.saved += usize::from(!is_last);
            self.most_saved = self.most_saved.max(self.saved);
            self.path.push(trie.step(child).unwrap().clone());
            self.steps_run += 1;
            self.visit(trie, child);
            self.path.pop();
            self.saved -= usize::from(!is_last);
        }
    }
}

/// The number of schedules that end in the subtree of `node`.
fn weight(trie: &Trie, node: usize) -> usize {
    trie.ends(node).len()
        + trie
            .children(node)
            .iter()
            .map(|&c| weight(trie, c))
            .sum::<usize>()
}

/// The smallest number of a schedule that ends in the subtree of `node`.
fn first_end(trie: &Trie, node: usize) -> usize {
    let below = trie
        .children(node)
        .iter()
        .map(|&child| first_end(trie, child));
    below.chain(trie.ends(node).iter().copied()).min().unwrap()
}

fn check(schedules: &[Schedule]) -> Result<(), TestCaseError> {
    let trie = Trie::new(schedules);
    let mut walk = Walk::default();
    walk.visit(&trie, Trie::ROOT);

    walk.found.sort_by_key(|(index, _)| *index);
    let expected: Vec<(usize, Vec<Step>)> = schedules
        .iter()
        .map(|schedule| schedule.steps().to_vec())
        .enumerate()
        .collect();
    prop_assert_eq!(walk.found, expected);

    let prefixes: HashSet<&[Step]> = schedules
        .iter()
        .flat_map(|s| (1..=s.steps().len()).map(|n| &s.steps()[..n]))
        .collect();
    prop_assert_eq!(trie.planned_steps(), prefixes.len());
    prop_assert_eq!(trie.planned_steps(), walk.steps_run);
    prop_assert_eq!(
        trie.naive_steps(),
        schedules.iter().map(|s| s.steps().len()).sum::<usize>()
    );
    prop_assert!(trie.planned_steps() <= trie.naive_steps());

    prop_assert_eq!(trie.saved_streams(), walk.most_saved);
    prop_assert!(trie.saved_streams() <= schedules.len().max(1).ilog2() as usize);

    for node in 0..=trie.planned_steps() {
        let keys: Vec<(usize, usize)> = trie
            .children(node)
            .iter()
            .map(|&c| (weight(&trie, c), first_end(&trie, c)))
            .collect();
        prop_assert!(
            keys.is_sorted(),
            "children of node {} have {:?}",
            node,
            keys
        );
        prop_assert!(trie.ends(node).is_sorted());
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_walk_finds_every_schedule_and_runs_each_prefix_once(
        schedules in stack().prop_flat_map(|stack| prop::collection::vec(edited(stack), 0..12))
    ) {
        let schedules: Vec<Schedule> = schedules.into_iter().map(|(schedule, _)| schedule).collect();
        check(&schedules)?;
    }
}

fn members(texts: &[&str], residual: Residual) -> Vec<Schedule> {
    let stack = Stack::new(12, residual);
    let expand = |text: &&str| {
        text.parse::<EditFamily>()
            .unwrap()
            .expand(stack, DEFAULT_MAX_MEMBERS)
    };
    texts
        .iter()
        .flat_map(|text| expand(text).unwrap())
        .map(|member| member.schedule)
        .collect()
}

#[test]
fn the_papers_families_share_their_prefixes() {
    // Counted in blocks: dropping shares 0..l; swapping shares 0..l and, with dropping, block l+1 after it.
    let dropped: usize = 11 + (0..11).map(|l| 11 - l).sum::<usize>();
    // swap(l,l+1) runs, after 0..l, blocks l+1 and l, and the 10−l blocks that follow.
    let swapped: usize = 10 + (0..11).map(|l| 12 - l).sum::<usize>();
    let both = dropped + (0..11).map(|l| 11 - l).sum::<usize>();
    for (residual, steps_per_block) in [(Residual::Sequential, 2), (Residual::Parallel, 1)] {
        for (texts, naive, planned) in [
            (&["id"][..], 12, 12),
            (&["drop(l)"], 12 * 11, dropped),
            (&["swap(l,l+1)"], 11 * 12, swapped),
            (&["drop(l)", "swap(l,l+1)"], 12 * 11 + 11 * 12, both),
        ] {
            let schedules = members(texts, residual);
            let trie = Trie::new(&schedules);
            assert_eq!(trie.naive_steps(), naive * steps_per_block, "{texts:?}");
            assert_eq!(trie.planned_steps(), planned * steps_per_block, "{texts:?}");
            check(&schedules).unwrap();
        }
    }
}

#[test]
fn equal_schedules_end_at_one_node() {
    let schedules = [
        members(&["id"], Residual::Parallel),
        members(&["id"], Residual::Parallel),
    ];
    let trie = Trie::new(&schedules.concat());
    assert_eq!(
        (
            trie.naive_steps(),
            trie.planned_steps(),
            trie.saved_streams()
        ),
        (24, 12, 0)
    );
    assert_eq!(trie.ends(12), [0, 1]);
}

#[test]
fn no_schedules_make_a_bare_root() {
    let trie = Trie::new(&[]);
    assert_eq!(
        (
            trie.naive_steps(),
            trie.planned_steps(),
            trie.saved_streams()
        ),
        (0, 0, 0)
    );
    assert!(trie.children(Trie::ROOT).is_empty() && trie.step(Trie::ROOT).is_none());
}
