//! What a run computes.

use crate::error::SweepError;
use layerwise_schedule::{Family, Schedule, Stack, Step, Trie};
use serde::{Deserialize, Serialize};

/// One schedule of a run, and where it came from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The family's text, as `drop(l)`; `id` for the plain model.
    pub family: String,
    /// The member's edit, as `drop(5)`; `id` for the plain model.
    pub edit: String,
    /// The binding of the family's variable `l`, where it has one.
    pub l: Option<usize>,
    /// The binding of the family's variable `m`, where it has one.
    pub m: Option<usize>,
    /// The schedule.
    pub schedule: Schedule,
}

/// Where a schedule came from: the part of an [`Entry`] that a table shows, and a journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The family's text, as `drop(l)`; `id` for the plain model.
    pub family: String,
    /// The member's edit, as `drop(5)`; `id` for the plain model.
    pub edit: String,
    /// The binding of the family's variable `l`, where it has one.
    pub l: Option<usize>,
    /// The binding of the family's variable `m`, where it has one.
    pub m: Option<usize>,
}

impl From<&Entry> for Label {
    fn from(entry: &Entry) -> Self {
        Self {
            family: entry.family.clone(),
            edit: entry.edit.clone(),
            l: entry.l,
            m: entry.m,
        }
    }
}

/// The schedules of a run, the plain one first, with their common prefixes found.
#[derive(Clone, Debug)]
pub struct Plan {
    entries: Vec<Entry>,
    pub(crate) trie: Trie,
    /// Nodes from the root to the plain schedule's end, both included.
    pub(crate) plain_path: Vec<usize>,
    stack: Stack,
}

impl Plan {
    /// Expands families (or single edits) for a model's stack.
    ///
    /// # Errors
    /// An edit that does not fit, or a family with no member or more than `max_members`.
    pub fn new(stack: Stack, families: &[Family], max_members: usize) -> Result<Self, SweepError> {
        let fails = |edit: &dyn ToString| {
            let edit = edit.to_string();
            move |source| SweepError::Schedule { edit, source }
        };
        let plain = Schedule::plain(stack).map_err(fails(&"id"))?;
        let mut entries = vec![Entry {
            family: "id".to_owned(),
            edit: "id".to_owned(),
            l: None,
            m: None,
            schedule: plain,
        }];
        for family in families {
            let members = family.expand(stack, max_members).map_err(fails(family))?;
            entries.extend(members.into_iter().map(|member| Entry {
                family: family.to_string(),
                edit: member.edit.to_string(),
                l: member.l,
                m: member.m,
                schedule: member.schedule,
            }));
        }
        let schedules: Vec<Schedule> = entries.iter().map(|entry| entry.schedule.clone()).collect();
        let trie = Trie::new(&schedules);
        let mut plain_path = vec![Trie::ROOT];
        let mut node = Trie::ROOT;
        for step in schedules[0].steps() {
            node = trie
                .children(node)
                .iter()
                .copied()
                .find(|child| trie.step(*child) == Some(step))
                .expect("the trie holds the plain schedule");
            plain_path.push(node);
        }
        Ok(Self {
            entries,
            trie,
            plain_path,
            stack,
        })
    }

    /// The schedules, the plain one first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The stack that the schedules are for.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    /// Places of the plain schedule where another one leaves it or ends: there the engine keeps the residual stream.
    pub fn branch_points(&self) -> usize {
        let nexts = self.plain_path[1..].iter().map(Some).chain([None]);
        self.plain_path
            .iter()
            .zip(nexts)
            .filter(|(node, next)| self.branches_at(**node, *next))
            .count()
    }

    /// Whether at a node of the plain path a schedule ends too early or a child leaves it; `next` is the path's next node.
    pub(crate) fn branches_at(&self, node: usize, next: Option<&usize>) -> bool {
        let ends_early = next.is_some() && !self.trie.ends(node).is_empty();
        let mut children = self.trie.children(node).iter();
        ends_early || children.any(|child| Some(child) != next)
    }

    /// The most residual streams that a walk through a subtree saves at once, at most ⌊log₂ schedules⌋.
    pub fn saved_streams(&self) -> usize {
        self.trie.saved_streams()
    }

    /// Every step of the run.
    pub(crate) fn trie_steps(&self) -> impl Iterator<Item = &Step> {
        (0..=self.trie.planned_steps()).filter_map(|node| self.trie.step(node))
    }

    /// Steps of all schedules, each run alone.
    pub fn naive_steps(&self) -> usize {
        self.trie.naive_steps()
    }

    /// Steps of the run, each common prefix run once.
    pub fn planned_steps(&self) -> usize {
        self.trie.planned_steps()
    }
}
