//! The schedules that a run computes.

use crate::error::SweepError;
use crate::sources::Sources;
use layerwise_schedule::{Bounds, EditFamily, Member, Schedule, Site, Source, Stack, Step, Trie};
use layerwise_transformer::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One schedule of a run, and its origin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The edit, its schedule, and the values of its variables; `id` for the plain model.
    pub member: Member,
    /// Index of its family among [`Plan::families`]; `None` for the plain model.
    pub family: Option<usize>,
}

/// The description of an [`Entry`] in tables and journals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The family's text, as `drop(l)`; `id` for the plain model.
    pub family: String,
    /// The member's edit, as `drop(5)`; `id` for the plain model.
    pub edit: String,
    /// The binding of the family's variable `l`, if it has one.
    pub l: Option<usize>,
    /// The binding of the family's variable `m`, if it has one.
    pub m: Option<usize>,
    /// The binding of the family's variable `h`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h: Option<usize>,
    /// The binding of the family's variable `p`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<usize>,
}

/// The schedules of a run, the plain one first, with their common prefixes.
///
/// ```
/// use layerwise_schedule::{Residual, Stack};
/// use layerwise_sweep::Plan;
///
/// let stack = Stack::new(4, Residual::Sequential); // or that of a model, `model.stack()`
/// let plan = Plan::new(stack, &["drop(l)".parse()?], 4096)?;
/// let edits: Vec<String> = plan.labels().into_iter().map(|label| label.edit).collect();
/// assert_eq!(edits, ["id", "drop(0)", "drop(1)", "drop(2)", "drop(3)"]);
/// assert_eq!((plan.naive_steps(), plan.planned_steps()), (32, 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    families: Vec<EditFamily>,
    entries: Vec<Entry>,
    pub(crate) trie: Trie,
    /// The nodes from the root to the plain schedule's end, both included.
    pub(crate) plain_path: Vec<usize>,
    stack: Stack,
    sources: Arc<Sources>,
}

impl Plan {
    /// Expands families (or single edits) for a model's stack.
    ///
    /// # Errors
    /// An edit does not fit the stack, or a family has no member or more than `bounds` allow. `bounds` is the largest number of
    /// members, or [`Bounds`].
    pub fn new(
        stack: Stack,
        families: &[EditFamily],
        bounds: impl Into<Bounds>,
    ) -> Result<Self, SweepError> {
        let bounds = bounds.into();
        let mut entries = vec![plain(stack)?];
        for (at, family) in families.iter().enumerate() {
            let members = family.expand(stack, bounds);
            let members = members.map_err(|source| SweepError::Schedule {
                edit: family.to_string(),
                source: Box::new(source),
            })?;
            entries.extend(members.into_iter().map(|member| Entry {
                member,
                family: Some(at),
            }));
        }
        Ok(Self::of(stack, families.to_vec(), entries))
    }

    /// Adds the values that edits take from sources other than the items.
    #[must_use]
    pub fn with_sources(self, sources: Sources) -> Self {
        Self {
            sources: Arc::new(sources),
            ..self
        }
    }

    /// The values that edits take from sources other than the items.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// A plan of the plain model alone.
    ///
    /// # Errors
    /// The stack has no blocks.
    pub fn plain(stack: Stack) -> Result<Self, SweepError> {
        Self::new(stack, &[], 0)
    }

    /// A plan of the plain model and some of the other schedules, given by their index.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn select(&self, schedules: impl IntoIterator<Item = usize>) -> Self {
        let chosen = schedules.into_iter().filter(|at| *at > 0);
        let chosen = [0].into_iter().chain(chosen);
        let entries = chosen.map(|at| self.entries[at].clone()).collect();
        Self {
            sources: Arc::clone(&self.sources),
            ..Self::of(self.stack, self.families.clone(), entries)
        }
    }

    /// `entries` begins with the plain model.
    fn of(stack: Stack, families: Vec<EditFamily>, entries: Vec<Entry>) -> Self {
        let schedules: Vec<Schedule> = entries.iter().map(|e| e.member.schedule.clone()).collect();
        let trie = Trie::new(&schedules);
        let mut plain_path = vec![Trie::ROOT];
        let mut node = Trie::ROOT;
        for stage in schedules[0].stages() {
            node = trie
                .children(node)
                .iter()
                .copied()
                .find(|child| trie.stage(*child) == Some(&stage))
                .expect("the trie holds the plain schedule");
            plain_path.push(node);
        }
        Self {
            families,
            entries,
            trie,
            plain_path,
            stack,
            sources: Arc::default(),
        }
    }

    /// The families as given.
    pub fn families(&self) -> &[EditFamily] {
        &self.families
    }

    /// The label of each schedule, the plain one first.
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
                h: entry.member.h,
                p: entry.member.p,
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

    /// The nodes of the plain path where another schedule leaves it or ends; the engine stores the residual stream there.
    pub fn branch_points(&self) -> usize {
        let nexts = self.plain_path[1..].iter().map(Some).chain([None]);
        self.plain_path
            .iter()
            .zip(nexts)
            .filter(|(node, next)| self.branches_at(**node, *next))
            .count()
    }

    /// Whether at a node of the plain path a schedule ends early or a child leaves the path; `next` is the path's next node.
    pub(crate) fn branches_at(&self, node: usize, next: Option<&usize>) -> bool {
        let ends_early = next.is_some() && !self.trie.ends(node).is_empty();
        let mut children = self.trie.children(node).iter();
        ends_early || children.any(|child| Some(child) != next)
    }

    /// The largest number of residual streams that a walk through a subtree saves at once, at most ⌊log₂ schedules⌋.
    pub fn saved_streams(&self) -> usize {
        self.trie.saved_streams()
    }

    /// Whether some schedule edits values.
    pub fn edits_values(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| !entry.member.schedule.overlay().is_empty())
    }

    /// Whether some schedule reads or writes attention patterns, which are built only then.
    pub(crate) fn builds_patterns(&self) -> bool {
        let mut schedules = self.entries.iter().map(|entry| &entry.member.schedule);
        schedules.any(|schedule| schedule.overlay().changes(Site::AttnPattern))
    }

    /// The places at which some schedule takes values from a source.
    pub fn taken_from(&self, source: Source) -> BTreeSet<Place> {
        let schedules = self.entries.iter().map(|entry| &entry.member.schedule);
        schedules
            .flat_map(|schedule| schedule.overlay().taken_from(source))
            .collect()
    }

    /// Every step of the run.
    pub(crate) fn trie_steps(&self) -> impl Iterator<Item = &Step> {
        (0..=self.trie.planned_steps()).filter_map(|node| self.trie.step(node))
    }

    /// The number of steps if each schedule ran alone.
    pub fn naive_steps(&self) -> usize {
        self.trie.naive_steps()
    }

    /// The number of steps of the run, with each common prefix run once.
    pub fn planned_steps(&self) -> usize {
        self.trie.planned_steps()
    }
}

/// The entry of the plain model.
fn plain(stack: Stack) -> Result<Entry, SweepError> {
    let fails = |source| SweepError::Schedule {
        edit: "id".to_owned(),
        source: Box::new(source),
    };
    Ok(Entry {
        member: Member::plain(stack).map_err(fails)?,
        family: None,
    })
}
