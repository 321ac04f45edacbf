//! Checks that edits of values fit the items.

use crate::error::SweepError;
use crate::measure::Measure;
use crate::plan::Plan;
use layerwise_schedule::Source;
use layerwise_transformer::{Model, TransformerError};
use std::collections::BTreeSet;

/// Checks that every edit of a plan fits the items, and that the values that it takes are present. A [`Runner`](crate::Runner)
/// checks this before it runs anything.
///
/// # Errors
/// An item lacks a position, values are missing or have the wrong shape, or items lack a donor or a partner.
pub fn check<'i, M: Measure>(
    model: &Model,
    plan: &Plan,
    measure: &M,
    items: impl Iterator<Item = &'i M::Item>,
) -> Result<(), SweepError>
where
    M::Item: 'i,
{
    if !plan.edits_values() {
        return Ok(());
    }
    let mut shapes = Shapes {
        lengths: BTreeSet::new(),
        shares: false,
        has_donors: true,
        count: 0,
    };
    for item in items {
        let batch = measure.batch(item);
        shapes.lengths.extend(batch.path_lengths());
        shapes.shares |= !batch.is_of_sequences();
        shapes.has_donors &= measure.donor(item).is_some();
        shapes.count += 1;
    }
    check_shapes(model, plan, &shapes)
}

/// What edits of values have to fit, of all items together.
struct Shapes {
    lengths: BTreeSet<usize>,
    /// Whether the texts of an item share tokens.
    shares: bool,
    has_donors: bool,
    count: usize,
}

fn check_shapes(model: &Model, plan: &Plan, shapes: &Shapes) -> Result<(), SweepError> {
    let sources = plan.sources();
    for entry in plan.entries() {
        let schedule = &entry.member.schedule;
        if schedule.overlay().is_empty() {
            continue;
        }
        let edit = || entry.member.edit.to_string();
        // Tokens that texts of different lengths share have several positions from the end.
        if shapes.shares && schedule.overlay().counts_from_end() {
            let reason =
                "continuations of a text run its tokens once; count positions from the start";
            return Err(SweepError::Values {
                edit: edit(),
                source: Box::new(TransformerError::EndUnknown { reason }),
            });
        }
        for &len in &shapes.lengths {
            let fits = schedule.overlay().check_positions(len, &|block, query| {
                model.config().attention.of(block).first_key(query)
            });
            fits.map_err(|source| SweepError::Schedule {
                edit: edit(),
                source: Box::new(source),
            })?;
        }
        let constants = sources.constants.check(model.config(), schedule);
        constants.map_err(|source| SweepError::Values {
            edit: edit(),
            source: Box::new(source),
        })?;
        let takes = |source| schedule.overlay().taken_from(source).next().is_some();
        for (source, is_there) in [
            (Source::Donor, shapes.has_donors),
            (
                Source::Resample,
                sources.partners.len() >= shapes.count.max(1),
            ),
        ] {
            if takes(source) && !is_there {
                return Err(SweepError::NoSource {
                    edit: edit(),
                    source_of_values: source,
                });
            }
        }
    }
    Ok(())
}
