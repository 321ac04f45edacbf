//! Means of activations over a reference text.

use crate::error::SweepError;
use crate::measure::{Failure, MeasureId};
use crate::plan::Plan;
use crate::runner::{Runner, Subject};
use crate::work::{Work, WorkBytes};
use layerwise_transformer::{
    Address, Constants, Model, Observer, Place, Workspace, shape_at_one_position,
};
use ndarray::{ArrayD, ArrayViewD, Axis};
use std::collections::BTreeSet;

/// A reference text is cut into at most this many parts, and a journal has one line for each, however long the text is.
const MOST_PARTS: usize = 64;

/// Sums over positions 1… of sequences, in f64, by place.
struct Summing<'p> {
    places: &'p BTreeSet<Place>,
    sums: Vec<Vec<f64>>,
}

impl Observer for Summing<'_> {
    fn wants(&self, address: Address) -> bool {
        self.places.contains(&(address.block, address.site))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let own = (address.block, address.site);
        let Some(at) = self.places.iter().position(|place| *place == own) else {
            return;
        };
        for row in activation.axis_iter(Axis(0)).skip(1) {
            for (sum, value) in self.sums[at].iter_mut().zip(&row) {
                *sum += f64::from(*value);
            }
        }
    }
}

fn widths(model: &Model, places: &BTreeSet<Place>) -> Vec<usize> {
    let width = |(_, site): &Place| {
        shape_at_one_position(model.config(), *site)
            .iter()
            .product()
    };
    places.iter().map(width).collect()
}

/// Adds the means of some places over positions 1… of sequences, under the plain model.
///
/// Sums are in f64, and their order depends on the sequences alone, whatever the threads.
/// The runner's journal keeps the sums of finished parts of the text, at most 64, and a resumed run continues from them. A runner
/// of a share sums up the whole text, because it needs the mean of the whole.
///
/// # Errors
/// A sequence does not fit the model, no sequence has a position 1, an activation is not finite, there is too little memory, the
/// journal cannot be used, or [`SweepError::Interrupted`].
pub fn add_means<'s>(
    constants: &mut Constants,
    runner: &Runner<'_>,
    subject: impl Into<Subject<'s>>,
    sequences: &[Vec<u32>],
    places: &BTreeSet<Place>,
) -> Result<(), SweepError> {
    let subject = subject.into();
    let model = subject.model;
    let count: usize = sequences
        .iter()
        .map(|own| own.len().saturating_sub(1))
        .sum();
    if count == 0 {
        return Err(SweepError::TooShort {
            unit: "sequence",
            item: 0,
            expected: 2,
            found: sequences.first().map_or(0, Vec::len),
        });
    }
    let plain = Plan::plain(model.stack())?;
    let schedule = &plain.entries()[0].member.schedule;
    let widths = widths(model, places);
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let config = model.config();
    let result = widths
        .iter()
        .map(|width| width * size_of::<f64>() + 32)
        .sum();
    let bytes = WorkBytes {
        reading: Workspace::most_bytes(config, longest)
            + 2 * longest * config.model * size_of::<f32>()
            + result,
        result,
    };
    let id = MeasureId::new("means", 2).with_settings(format!("{places:?}"));
    // Each part, with the index of its first sequence.
    let size = sequences.len().div_ceil(MOST_PARTS);
    let parts: Vec<(usize, &[Vec<u32>])> = sequences
        .chunks(size)
        .enumerate()
        .map(|(at, part)| (at * size, part))
        .collect();
    let read = |_: usize, (first, part): &(usize, &[Vec<u32>])| {
        let mut summing = Summing {
            places,
            sums: widths.iter().map(|width| vec![0.0; *width]).collect(),
        };
        for (at, tokens) in part.iter().enumerate() {
            runner.go_on()?;
            let run = model.run(tokens, schedule, &mut summing);
            run.map_err(|source| {
                Failure::other(SweepError::DoesNotFit {
                    unit: "sequence of the reference text",
                    item: first + at,
                    source: Box::new(source),
                })
            })?;
        }
        let is_finite = |sums: &Vec<f64>| sums.iter().all(|sum| sum.is_finite());
        match summing.sums.iter().position(|sums| !is_finite(sums)) {
            None => Ok(summing.sums),
            Some(at) => Err(Failure::other(SweepError::MeanNotFinite {
                place: places.iter().nth(at).map(told).unwrap_or_default(),
            })),
        }
    };
    let fits = |sums: &Vec<Vec<f64>>| sums.iter().map(Vec::len).eq(widths.iter().copied());
    let work = Work::new(id, bytes, read)
        .called("part", "the reference text")
        .depending_on(|(_, part): &(usize, &[Vec<u32>])| {
            let lengths = part.iter().map(|own| own.len() as u32);
            lengths.chain(part.concat()).collect()
        })
        .fitting(fits);
    let runner = runner.clone().all_items().until_se(None);
    let measured = runner.measure(subject.clone(), &plain, &work, &parts)?;
    let (parts, _memory) = measured.into_plain().into_parts();
    for (at, place) in places.iter().enumerate() {
        let mut sums = vec![0.0; widths[at]];
        for part in &parts {
            let own = sums.iter_mut().zip(&part[at]);
            own.for_each(|(sum, value)| *sum += value);
        }
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        let shape = shape_at_one_position(config, place.1);
        let mean = ArrayD::from_shape_vec(shape, mean).expect("sums have the site's shape");
        constants.set_mean(*place, mean);
    }
    Ok(())
}

/// A place in the notation of edits.
fn told((block, site): &Place) -> String {
    match block {
        Some(block) => format!("{site}[{block}]"),
        None => site.to_string(),
    }
}
