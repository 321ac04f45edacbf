//! What each operation does to the steps of a schedule.

use std::fmt::Write as _;
use std::ops::Range;

use crate::index::Span;
use crate::operation::{Combination, Operation, Target};
use crate::overlay::{Mask, Overlay};
use crate::permutation::shuffle;
use crate::schedule::Schedule;
use crate::step::{Branch, Coefficient, Part, Step, count_updates};
use crate::{MAX_STEPS, ScheduleError};

impl Operation {
    /// Applies this operation, which must be resolved for the schedule's stack.
    pub(crate) fn apply(&self, schedule: &Schedule) -> Result<Schedule, ScheduleError> {
        let layers = schedule.stack().layers;
        let mut steps = schedule.steps().to_vec();
        match self {
            Self::Drop(target, set) => drop_parts(&mut steps, *target, &set.mask(layers)),
            Self::Keep(set) => {
                let mut mask = set.mask(layers);
                mask.iter_mut().for_each(|kept| *kept = !*kept);
                drop_parts(&mut steps, Target::Block, &mask);
            }
            Self::Scale(target, set, factor) => {
                let mask = set.mask(layers);
                let mut overflow = None;
                for_each_part(&mut steps, &mut |part| {
                    if mask[part.block] && target.includes(part.sublayer) {
                        match part.scale.times(*factor) {
                            Some(scale) => part.scale = scale,
                            None => overflow = overflow.or(Some(*part)),
                        }
                    }
                });
                if let Some(part) = overflow {
                    return Err(ScheduleError::ScaleOverflow {
                        edit: self.to_string(),
                        block: part.block,
                        sublayer: part.sublayer,
                        scale: part.scale.get(),
                    });
                }
            }
            Self::Repeat(set, count) => {
                let mask = set.mask(layers);
                let chosen = count_chosen(&steps, &mask);
                self.check_step_count(&steps, chosen, *count)?;
                steps = repeated_runs(&steps, &mask, *count);
            }
            Self::Loop(span, count) => {
                let segment = self.segment(&steps, span)?;
                let list = segment.list(&mut steps);
                let copied = list[segment.steps.clone()].to_vec();
                self.check_step_count(schedule.steps(), count_updates(&copied), *count)?;
                list.splice(segment.steps, copies(&copied, *count));
            }
            Self::Parallel(span, combination) => {
                let segment = self.segment(&steps, span)?;
                if span.len() > 1 {
                    let list = segment.list(&mut steps);
                    let runs = &list[segment.steps.clone()];
                    if runs.iter().any(|step| step.source().is_none()) {
                        return Err(self.segment_gone(schedule.steps(), span));
                    }
                    let step = parallel_step(runs, span.len(), *combination);
                    list.splice(segment.steps, [step]);
                }
            }
            Self::Swap(i, j) => relabel(&mut steps, layers, |labels| labels.swap(*i, *j)),
            Self::Reverse(span) => {
                relabel(&mut steps, layers, |labels| {
                    labels[span.start..span.end].reverse()
                });
            }
            Self::Shuffle(span, seed) => {
                relabel(&mut steps, layers, |labels| {
                    shuffle(&mut labels[span.start..span.end], *seed);
                });
            }
            Self::Permute(span, list) => {
                relabel(&mut steps, layers, |labels| {
                    labels[span.start..span.end].copy_from_slice(list);
                });
            }
            Self::Replace(i, j) => relabel(&mut steps, layers, |labels| labels[*i] = *j),
            Self::Change(..) | Self::Window { .. } | Self::Cut { .. } => {
                return Ok(schedule.with_overlay(self.overlaid(schedule)));
            }
        }
        schedule
            .with_steps(steps)
            .ok_or_else(|| ScheduleError::EmptySchedule {
                edit: self.to_string(),
            })
    }

    /// The schedule's overlay with this edit of values added.
    fn overlaid(&self, schedule: &Schedule) -> Overlay {
        let (layers, units) = (schedule.stack().layers, schedule.stack().units);
        let mut overlay = schedule.overlay().clone();
        match self {
            Self::Change(selection, replacement) => {
                let count = selection.site.grain().count(units);
                overlay.change(selection, replacement, layers, count);
            }
            Self::Window {
                blocks,
                width,
                strict,
            } => {
                let mask = Mask::Window {
                    width: *width,
                    strict: *strict,
                };
                overlay.mask(blocks.members(layers), &mask);
            }
            Self::Cut {
                blocks,
                heads,
                queries,
                keys,
            } => {
                let mask = Overlay::cut(heads, queries, keys, units.heads);
                overlay.mask(blocks.members(layers), &mask);
            }
            _ => {}
        }
        overlay
    }

    /// Refuses to make `count` copies of `copied` updates of `steps` if that exceeds the step cap.
    fn check_step_count(
        &self,
        steps: &[Step],
        copied: usize,
        count: usize,
    ) -> Result<(), ScheduleError> {
        // Both factors are at most MAX_STEPS.
        let steps = (count_updates(steps) - copied) as u64 + copied as u64 * count as u64;
        if steps > MAX_STEPS as u64 {
            return Err(ScheduleError::TooManySteps {
                edit: self.to_string(),
                steps,
                max: MAX_STEPS,
            });
        }
        Ok(())
    }

    fn segment(&self, steps: &[Step], span: &Span<usize>) -> Result<Segment, ScheduleError> {
        Segment::locate(steps, span).ok_or_else(|| self.segment_gone(steps, span))
    }

    fn segment_gone(&self, steps: &[Step], span: &Span<usize>) -> ScheduleError {
        ScheduleError::SegmentGone {
            edit: self.to_string(),
            start: span.start,
            end: span.end,
            found: describe_runs(steps, span),
        }
    }
}

/// The place of a segment of blocks: a range of steps of one step list.
struct Segment {
    /// The branch that holds the list, as (step, branch) from the outermost list inwards.
    path: Vec<(usize, usize)>,
    steps: Range<usize>,
}

impl Segment {
    /// The one unbroken segment that holds every block of `span`, in ascending order, one run each.
    fn locate(steps: &[Step], span: &Span<usize>) -> Option<Self> {
        let mut path = Vec::new();
        let mut list = steps;
        loop {
            let first = list.iter().position(|step| mentions(step, span))?;
            let last = list.iter().rposition(|step| mentions(step, span))?;
            // All in one branch: the segment stands in that branch's list.
            if let (Step::Branches(branches), true) = (&list[first], first == last) {
                let holds = |branch: &Branch| branch.steps.iter().any(|step| mentions(step, span));
                let mut holding = branches
                    .iter()
                    .enumerate()
                    .filter(|(_, branch)| holds(branch));
                if let (Some((index, branch)), None) = (holding.next(), holding.next()) {
                    path.push((first, index));
                    list = &branch.steps;
                    continue;
                }
            }
            let mut sources = Vec::new();
            collect_run_sources(&list[first..=last], &mut sources);
            let stands = sources.into_iter().eq(span.start..span.end);
            return stands.then_some(Self {
                path,
                steps: first..last + 1,
            });
        }
    }

    /// The step list of `steps` that holds the segment.
    fn list<'a>(&self, steps: &'a mut Vec<Step>) -> &'a mut Vec<Step> {
        self.path
            .iter()
            .fold(steps, |list, &(step, branch)| match &mut list[step] {
                Step::Branches(branches) => &mut branches[branch].steps,
                Step::Update(_) => unreachable!("a segment's path leads through branches"),
            })
    }
}

/// The maximal unbroken runs of updates with the same source; a parallel step stands alone.
fn runs(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|a, b| a.source().is_some() && a.source() == b.source())
}

/// The sources of all runs, those of branches in the order of the branches.
fn collect_run_sources(steps: &[Step], sources: &mut Vec<usize>) {
    for run in runs(steps) {
        sources.extend(run[0].source());
        if let Step::Branches(branches) = &run[0] {
            for branch in branches {
                collect_run_sources(&branch.steps, sources);
            }
        }
    }
}

fn mentions(step: &Step, span: &Span<usize>) -> bool {
    match step {
        Step::Update(_) => step.source().is_some_and(|block| span.contains(block)),
        Step::Branches(branches) => branches
            .iter()
            .flat_map(|branch| &branch.steps)
            .any(|step| mentions(step, span)),
    }
}

/// The runs from the first to the last that mentions `span`, for an error message.
fn describe_runs(steps: &[Step], span: &Span<usize>) -> String {
    const MAX_BYTES: usize = 80;
    let first = steps.iter().position(|step| mentions(step, span));
    let last = steps.iter().rposition(|step| mentions(step, span));
    let (Some(first), Some(last)) = (first, last) else {
        return "none of them".to_owned();
    };
    let mut text = String::new();
    for run in runs(&steps[first..=last]) {
        if text.len() > MAX_BYTES {
            text.push_str(" …");
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        match run[0].source() {
            Some(block) => _ = write!(text, "{block}"),
            None => {
                let mut sources = Vec::new();
                collect_run_sources(&run[..1], &mut sources);
                let sources: Vec<String> = sources.iter().map(usize::to_string).collect();
                _ = write!(text, "({})", sources.join(" "));
            }
        }
    }
    text
}

fn for_each_part(steps: &mut [Step], change: &mut impl FnMut(&mut Part)) {
    for step in steps {
        match step {
            Step::Update(parts) => parts.iter_mut().for_each(&mut *change),
            Step::Branches(branches) => {
                branches
                    .iter_mut()
                    .for_each(|branch| for_each_part(&mut branch.steps, change));
            }
        }
    }
}

/// Gives every block b the label `labels[b]`, where `change` makes the labels from 0, 1, ….
fn relabel(steps: &mut [Step], layers: usize, change: impl FnOnce(&mut [usize])) {
    let mut labels: Vec<usize> = (0..layers).collect();
    change(&mut labels);
    for_each_part(steps, &mut |part| part.block = labels[part.block]);
}

/// Removes the parts of the masked blocks, and the steps and branches that lose their last part.
fn drop_parts(steps: &mut Vec<Step>, target: Target, mask: &[bool]) {
    steps.retain_mut(|step| match step {
        Step::Update(parts) => {
            parts.retain(|part| !(mask[part.block] && target.includes(part.sublayer)));
            !parts.is_empty()
        }
        Step::Branches(branches) => {
            branches.retain_mut(|branch| {
                drop_parts(&mut branch.steps, target, mask);
                !branch.steps.is_empty()
            });
            !branches.is_empty()
        }
    });
}

/// `count` copies of `steps`, one after another.
fn copies(steps: &[Step], count: usize) -> impl Iterator<Item = Step> {
    std::iter::repeat_n(steps, count).flatten().cloned()
}

/// The number of updates whose source is masked.
fn count_chosen(steps: &[Step], mask: &[bool]) -> usize {
    let chosen = |step: &Step| match step {
        Step::Update(_) => usize::from(step.source().is_some_and(|block| mask[block])),
        Step::Branches(branches) => branches.iter().map(|b| count_chosen(&b.steps, mask)).sum(),
    };
    steps.iter().map(chosen).sum()
}

/// The steps with every run of a masked block copied in place.
fn repeated_runs(steps: &[Step], mask: &[bool], count: usize) -> Vec<Step> {
    let mut repeated = Vec::new();
    for run in runs(steps) {
        match &run[0] {
            Step::Branches(branches) => {
                let branches = branches.iter().map(|branch| Branch {
                    weight: branch.weight,
                    steps: repeated_runs(&branch.steps, mask, count),
                });
                repeated.push(Step::Branches(branches.collect()));
            }
            Step::Update(_) => {
                let chosen = run[0].source().is_some_and(|block| mask[block]);
                repeated.extend(copies(run, if chosen { count } else { 1 }));
            }
        }
    }
    repeated
}

/// One step whose branches are the runs of `segment`, which has `blocks` of them.
fn parallel_step(segment: &[Step], blocks: usize, combination: Combination) -> Step {
    let weight = match combination {
        Combination::Mean => Coefficient::reciprocal(blocks),
        Combination::Sum => Coefficient::ONE,
    };
    Step::Branches(
        runs(segment)
            .map(|run| Branch {
                weight,
                steps: run.to_vec(),
            })
            .collect(),
    )
}
