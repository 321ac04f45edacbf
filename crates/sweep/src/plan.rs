//! What a run computes.

use crate::error::SweepError;
use layerwise_schedule::{Edit, EditFamily, Member, Schedule, Stack, Step, Trie};
use serde::{Deserialize, Serialize};

/// One schedule of a run, and where it came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The edit, the schedule that it makes and the blocks that its variables are bound to; `id` for the plain model.
    pub member: Member,
    /// Index of its family among [`Plan::families`]; `None` for the plain model.
    pub family: Option<usize>,
}

/// What a table shows of an [`Entry`], and a journal keeps.
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

/// The schedules of a run, the plain one first, with their common prefixes found.
#[derive(Clone, Debug)]
pub struct Plan {
    families: Vec<EditFamily>,
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
    pub fn new(
        stack: Stack,
        families: &[EditFamily],
        max_members: usize,
    ) -> Result<Self, SweepError> {
        let mut entries = vec![plain(stack)?];
        for (at, family) in families.iter().enumerate() {
            let members = family.expand(stack, max_members);
            let members = members.map_err(|source| SweepError::Schedule {
                edit: family.to_string(),
                source,
            })?;
            entries.extend(members.into_iter().map(|member| Entry {
                member,
                family: Some(at),
            }));
        }
        Ok(Self::of(stack, families.to_vec(), entries))
    }

    /// The plain model alone.
    ///
    /// # Errors
    /// A stack without blocks.
    pub fn plain(stack: Stack) -> Result<Self, SweepError> {
        Self::new(stack, &[], 0)
    }

    /// The plain model and some of the other schedules, named by their index.
    ///
    /// # Panics
    /// If there is no such schedule.
    pub fn select(&self, schedules: impl IntoIterator<Item = usize>) -> Self {
        let chosen = schedules.into_iter().filter(|at| *at > 0);
        let chosen = [0].into_iter().chain(chosen);
        let entries = chosen.map(|at| self.entries[at].clone()).collect();
        Self::of(self.stack, self.families.clone(), entries)
    }

    /// `entries` has the plain model first.
    fn of(stack: Stack, families: Vec<EditFamily>, entries: Vec<Entry>) -> Self {
        let schedules: Vec<Schedule> = entries.iter().map(|e| e.member.schedule.clone()).collect();
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
        Self {
            families,
            entries,
            trie,
            plain_path,
            stack,
        }
    }

    /// The families, as they were given.
    pub fn families(&self) -> &[EditFamily] {
        &self.families
    }

    /// What a table shows of each schedule, the plain one first.
    pub fn labels(&self) -> Vec<Label> {
        let label = |entry: &Entry| {
            let edit = entry.member.edit.to_string();
            Label {
                family: match entry.family {
                    Some(family) => self.families[family].to_string(),
                    None => edit.clone(),
                },
                edit,
                l: entry.member.l,
                m: entry.member.m,
            }
        };
        self.entries.iter().map(label).collect()
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

/// The entry of the plain model.
fn plain(stack: Stack) -> Result<Entry, SweepError> {
    let fails = |source| SweepError::Schedule {
        edit: "id".to_owned(),
        source,
    };
    let edit: Edit = "id".parse().map_err(fails)?;
    Ok(Entry {
        member: Member {
            schedule: Schedule::plain(stack).map_err(fails)?,
            edit,
            l: None,
            m: None,
        },
        family: None,
    })
}
