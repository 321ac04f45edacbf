//! The sweep that experiments share: each declares the families of edits that it needs, and all run together, so that common
//! prefixes run once.

use super::error::ExperimentError;
use super::subject::Subject;
use layerwise_schedule::{DEFAULT_MAX_MEMBERS, EditFamily, ScheduleError};
use layerwise_sweep::{Counted, Divergence, Plan, Statistics, Sums, collect, self_check};
use layerwise_transformer::Model;

/// A family of edits that an experiment needs in the sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edits {
    /// Its text, such as `drop(l)`.
    pub family: &'static str,
    /// Whether to count the most probable tokens, and take the entropy of the mean prediction, for the member with `l` = 0 and the
    /// plain model.
    pub counts_at_first_block: bool,
}

/// A token's share and the mean prediction's entropy are known well enough from this many sequences; statistics cover all
/// sequences.
const COUNTED_SEQUENCES: usize = 32;

/// A sweep to run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The schedules.
    pub plan: Plan,
    /// The measure.
    pub measure: Divergence,
}

impl Sweep {
    /// The sweep of some families; `None` without families.
    ///
    /// # Errors
    /// A model is too short for a family.
    pub fn new(
        model: &Model,
        edits: impl IntoIterator<Item = Edits>,
    ) -> Result<Option<Self>, ExperimentError> {
        let (mut families, mut counted): (Vec<EditFamily>, Vec<usize>) = Default::default();
        for Edits {
            family,
            counts_at_first_block,
        } in edits
        {
            let family: EditFamily = family.parse()?;
            let known = families.iter().position(|known| *known == family);
            let at = known.unwrap_or(families.len());
            if known.is_none() {
                families.push(family);
            }
            if counts_at_first_block {
                counted.push(at);
            }
        }
        // A model of one block, for example, has no two blocks to swap: such a family has no members.
        let has_members = |family: &EditFamily| {
            let members = family.expand(model.stack(), DEFAULT_MAX_MEMBERS);
            !matches!(members, Err(ScheduleError::NoMembers { .. }))
        };
        let kept: Vec<bool> = families.iter().map(has_members).collect();
        // New indices of the families that remain.
        let place = |at: usize| kept[..at].iter().filter(|kept| **kept).count();
        let counted: Vec<usize> = counted
            .into_iter()
            .filter(|at| kept[*at])
            .map(place)
            .collect();
        let mut keep = kept.iter();
        families.retain(|_| keep.next().is_some_and(|kept| *kept));
        if families.is_empty() {
            return Ok(None);
        }
        let plan = Plan::new(model.stack(), &families, DEFAULT_MAX_MEMBERS)?;
        let entries = plan.entries().iter().enumerate();
        let first = entries.filter(|(_, entry)| {
            entry.member.l == Some(0) && entry.family.is_some_and(|at| counted.contains(&at))
        });
        let schedules: Vec<usize> = first.map(|(schedule, _)| schedule).collect();
        let measure = match schedules.is_empty() {
            true => Divergence::new(),
            false => Divergence::new().counting([vec![0], schedules].concat(), COUNTED_SEQUENCES),
        };
        Ok(Some(Self { plan, measure }))
    }

    /// Runs it on the subject's text, after [`self_check`].
    ///
    /// # Errors
    /// A law does not hold, memory is insufficient, a journal cannot be used, or the user interrupts; in a share,
    /// [`ExperimentError::ShareFinished`].
    pub fn run(&self, subject: &Subject<'_>) -> Result<Swept, ExperimentError> {
        let sequences = subject.text.sequences();
        if let Some(first) = sequences.first() {
            self_check(subject.model, first)?;
        }
        let measured = subject.runs.measure(&self.plan, &self.measure, sequences)?;
        let sums = Counted::new(measured.results, measured.memory);
        Ok(Swept::new(self.plan.clone(), sums))
    }
}

/// A finished sweep.
#[derive(Clone, Debug)]
pub struct Swept {
    /// The schedules.
    pub plan: Plan,
    /// Statistics for each schedule, the plain one first.
    pub statistics: Vec<Statistics>,
    /// The sums of each sequence, one for each schedule.
    pub sums: Counted<Vec<Vec<Sums>>>,
}

/// One schedule of a family.
#[derive(Clone, Copy, Debug)]
pub struct Altered<'a> {
    /// The value of the family's `l`.
    pub layer: usize,
    /// The statistics of the schedule.
    pub statistics: &'a Statistics,
    /// Its index in the plan.
    pub schedule: usize,
}

impl Swept {
    /// The sums of each sequence, one for each schedule of a plan.
    pub fn new(plan: Plan, sums: Counted<Vec<Vec<Sums>>>) -> Self {
        Self {
            statistics: collect(plan.entries().len(), sums.iter().map(Vec::as_slice)),
            plan,
            sums,
        }
    }

    /// The number of sequences that the statistics cover.
    pub fn sequences(&self) -> u64 {
        self.sums.len() as u64
    }

    /// The statistics of the plain model.
    pub fn plain(&self) -> &Statistics {
        &self.statistics[0]
    }

    /// The schedules of a family, in the order of its blocks.
    ///
    /// # Errors
    /// The text is not one of the families.
    pub fn of(&self, family: &str) -> Result<Vec<Altered<'_>>, ExperimentError> {
        let family: EditFamily = family.parse()?;
        let at = self
            .plan
            .families()
            .iter()
            .position(|known| *known == family);
        let entries = self.plan.entries().iter().zip(&self.statistics).enumerate();
        let own = entries.filter(|(_, (entry, _))| at.is_some() && entry.family == at);
        let altered = own.filter_map(|(schedule, (entry, statistics))| {
            Some(Altered {
                layer: entry.member.l?,
                statistics,
                schedule,
            })
        });
        Ok(altered.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_transformer::ModelConfig;

    #[test]
    fn families_without_members_shift_the_others() {
        let edits = |family, counts_at_first_block| Edits {
            family,
            counts_at_first_block,
        };
        let all = [
            edits("swap(l,l+1)", true),
            edits("drop_attn(l)", false),
            edits("drop_mlp(l)", true),
            // The same once more, without counts.
            edits("drop_mlp(l)", false),
        ];
        let check = |layers: usize, families: &[&str], counted: &[usize]| {
            let mut config = ModelConfig::tiny();
            config.layers = layers;
            let model = Model::random(config, 0);
            let sweep = Sweep::new(&model, all).unwrap().unwrap();
            let expected: Vec<EditFamily> = families
                .iter()
                .map(|family| family.parse().unwrap())
                .collect();
            assert_eq!(sweep.plan.families(), expected);
            // The plain model, and the members with l = 0 of the families that count.
            let expected = Divergence::new().counting(counted.to_vec(), COUNTED_SEQUENCES);
            assert_eq!(format!("{:?}", sweep.measure), format!("{expected:?}"));
        };
        check(1, &["drop_attn(l)", "drop_mlp(l)"], &[0, 2]);
        check(
            3,
            &["swap(l,l+1)", "drop_attn(l)", "drop_mlp(l)"],
            &[0, 1, 6],
        );
        let mut config = ModelConfig::tiny();
        config.layers = 1;
        let none = Sweep::new(&Model::random(config, 0), [all[0]]).unwrap();
        assert!(none.is_none());
    }
}
