//! The recovery of the logit difference when one activation is replaced.

use super::sets::{Set, sets};
use super::table::{Record, SetRecord};
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::sample::Units;
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::{Bounds, EditFamily, Site};
use layerwise_sweep::{PairStatistics, PairSums, Patching, Plan, cost};

/// The sites that are replaced.
const SITES: [Site; 3] = [Site::ResidPost, Site::AttnOut, Site::MlpOut];

fn made(subject: &Subject<'_>) -> Result<(Vec<Set>, Vec<String>), ExperimentError> {
    let Some(tokenizer) = subject.tokenizer else {
        return Ok((Vec::new(), Vec::new()));
    };
    let config = subject.model.config();
    let (sets, missing) = sets(tokenizer, config.vocab, subject.bos)?;
    let (sets, long): (Vec<Set>, Vec<Set>) = sets
        .into_iter()
        .partition(|set| set.length() <= config.context);
    let missing = missing.into_iter().chain(long.iter().map(|set| set.name));
    let told = missing.map(|name| {
        format!("patching: {name} is left out: no pairs of one length can be made of this vocabulary that fit the model")
    });
    Ok((sets, told.collect()))
}

/// The families of a set, each with its site and position.
fn places(set: &Set) -> Vec<(Site, usize)> {
    let positions = set.first..set.length();
    let of_site = |site: Site| positions.clone().map(move |position| (site, position));
    SITES.into_iter().flat_map(of_site).collect()
}

fn plan(subject: &Subject<'_>, set: &Set) -> Result<Plan, ExperimentError> {
    let families = places(set).into_iter();
    let families = families.map(|(site, position)| format!("donor({site}[l]@{position})").parse());
    let families = families.collect::<Result<Vec<EditFamily>, _>>()?;
    Ok(Plan::new(
        subject.model.stack(),
        &families,
        Bounds::default(),
    )?)
}

/// Describes the runs.
///
/// # Errors
/// The tokenizer fails on a text.
pub(super) fn announce(subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
    let (sets, mut told) = made(subject)?;
    for set in &sets {
        told.push(format!(
            "patching: {}: {} schedules on {} pairs of {} tokens",
            set.name,
            plan(subject, set)?.entries().len(),
            set.pairs.len(),
            set.length()
        ));
    }
    Ok(told)
}

/// Multiply-adds of the runs.
///
/// # Errors
/// As for [`announce`].
pub(super) fn work(subject: &Subject<'_>) -> Result<f64, ExperimentError> {
    let (sets, _) = made(subject)?;
    let of_set = |set: &Set| {
        let tokens = set.pairs.len() * set.length();
        Ok(cost::of_plan(subject.model, &plan(subject, set)?, tokens))
    };
    sets.iter().map(of_set).sum()
}

/// Replaces every activation of every set, and fills the tables.
///
/// # Errors
/// Logits are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let (sets, told) = made(subject)?;
    let mut is_share = false;
    for set in &sets {
        match patch(subject, set, tables) {
            // A share has items of the other sets too.
            Err(ExperimentError::ShareFinished) => is_share = true,
            outcome => outcome?,
        }
    }
    match is_share {
        true => Err(ExperimentError::ShareFinished),
        false => Ok(told),
    }
}

/// The curve of what the stream at the subject's position recovers, by block; and the sample, with pairs as units.
pub(super) fn curve_name(set: &str) -> String {
    format!("recovered at the subject, {set}")
}

fn patch(subject: &Subject<'_>, set: &Set, tables: &mut Tables) -> Result<(), ExperimentError> {
    let plan = plan(subject, set)?;
    let measure = Patching::at_last_position();
    let measured = subject.runs.measure(&plan, &measure, &set.pairs)?;
    let results = &measured.results;
    let schedules = plan.entries().len();
    let statistics = PairStatistics::collect(schedules, results.iter().map(Vec::as_slice));
    let (model, model_type) = (subject.name.to_owned(), subject.model_type().to_owned());
    let clean = clean(results);
    let corrupted = &statistics[0].logit_difference;
    let effect = clean.difference(corrupted)?;
    let value = |mean: &ClusteredMean| mean.mean().unwrap_or(f64::NAN);
    tables.push(SetRecord {
        model: model.clone(),
        model_type: model_type.clone(),
        set: set.name.to_owned(),
        description: set.description.to_owned(),
        seed: set.seed,
        pairs: set.pairs.len(),
        tokens: set.length(),
        first_position: set.first,
        subject_position: set.subject,
        clean_logit_difference_nats: value(&clean),
        corrupted_logit_difference_nats: value(corrupted),
        effect_nats: value(&effect),
        effect_nats_se: effect.standard_error(),
    });
    let places = places(set);
    let layers = subject.model.config().layers;
    for (entry, statistics) in plan.entries().iter().zip(&statistics) {
        let (Some(family), Some(layer)) = (entry.family, entry.member.l) else {
            continue;
        };
        let (site, position) = places[family];
        if site == Site::ResidPost && position == set.subject {
            let curve = curve_name(set.name);
            let ratio = &statistics.recovered;
            tables.push(Units::of_ratio(&model, &curve, &curve, layer, ratio));
        }
        tables.push(Record {
            model: model.clone(),
            model_type: model_type.clone(),
            set: set.name.to_owned(),
            site: site.to_string(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            position,
            recovered: statistics.recovered.ratio().unwrap_or(f64::NAN),
            recovered_se: statistics.recovered.standard_error(),
            logit_difference_nats: value(&statistics.logit_difference),
            logit_difference_nats_se: statistics.logit_difference.standard_error(),
            pairs: set.pairs.len(),
        });
    }
    Ok(())
}

/// The logit differences after the clean prompts.
fn clean(results: &[Vec<PairSums>]) -> ClusteredMean {
    let mut mean = ClusteredMean::new();
    for sums in results {
        let clean = sums[0].clean.as_ref();
        let difference = clean.and_then(|last| last.logit_difference);
        mean.push(difference.unwrap_or(0.0), u64::from(difference.is_some()));
    }
    mean
}
