//! Laws that are checked on a model before any result is written.

use crate::error::SweepError;
use layerwise_kernels::vocabulary;
use layerwise_metrics::{divergence, streamed};
use layerwise_schedule::{Edit, Schedule};
use layerwise_transformer::{Batch, Model, NotFinite, Recording, Site};
use ndarray::{ArrayView1, ArrayView2, Axis, s};

/// Tokens in the sequence that the checks run.
const PROBE: usize = 16;

/// Checks these laws on the first tokens of a sequence: the empty edit is the plain forward pass; attention rows sum to one; no
/// position attends to a later one; the standard lens at the last state gives the logits; KL(p ‖ p) is 0 (within 1e-6 nats);
/// entropy lies in 0..=log₂ vocab bits; the streamed vocabulary pass agrees with whole rows of logits.
///
/// # Errors
/// [`SweepError::SelfCheck`] with the law that does not hold, [`SweepError::NotFinite`] for the plain model, or the sequence does
/// not fit the model.
///
/// ```
/// use layerwise_sweep::self_check;
/// use layerwise_transformer::{Model, ModelConfig};
///
/// self_check(&Model::random(ModelConfig::tiny(), 0), &[0, 5, 3, 8])?;
/// # Ok::<(), layerwise_sweep::SweepError>(())
/// ```
pub fn self_check(model: &Model, tokens: &[u32]) -> Result<(), SweepError> {
    let tokens = &tokens[..tokens.len().min(PROBE)];
    let fails = |law, found| Err(SweepError::SelfCheck { law, found });
    let schedule = |edit: Option<Edit>| {
        let plain = Schedule::plain(model.stack())?;
        edit.map_or(Ok(plain.clone()), |edit| edit.apply(&plain))
    };
    let edited = |source| SweepError::Schedule {
        edit: "id".to_owned(),
        source: Box::new(source),
    };
    let plain = schedule(None).map_err(edited)?;
    let empty = "id"
        .parse::<Edit>()
        .and_then(|id| schedule(Some(id)))
        .map_err(edited)?;
    let model_error = |source| SweepError::DoesNotFit {
        unit: "sequence",
        item: 0,
        source: Box::new(source),
    };

    // A model whose blocks are read from files reads each of them once for each run, so there are only two.
    let mut changed = tokens.to_vec();
    if let Some(last) = changed.last_mut() {
        *last = if *last == 0 { 1 } else { 0 };
    }
    let mut both = Batch::from(tokens);
    both.add(&changed);
    let sites = [Site::AttnPattern, Site::ResidPost];
    let mut seen = Recording::of(model.config(), &sites).map_err(model_error)?;
    let all = model
        .observed_logits(&both, &plain, &mut seen)
        .map_err(model_error)?;
    let (logits, other) = all.view().split_at(Axis(0), tokens.len());
    let mut rows = logits.outer_iter();
    let finite = |row: ArrayView1<'_, f32>| row.iter().all(|logit| logit.is_finite());
    if let Some(position) = rows.position(|row| !finite(row)) {
        return Err(SweepError::NotFinite {
            schedule: "id".to_owned(),
            unit: "sequence",
            item: 0,
            position,
            origin: NotFinite::first(model, tokens, &plain).map_err(model_error)?,
        });
    }
    if model.logits(tokens, &empty).map_err(model_error)? != logits {
        return fails(
            "the empty edit is the plain forward pass",
            "the logits differ".to_owned(),
        );
    }
    for (address, pattern) in seen.activations() {
        if address.site != Site::AttnPattern {
            continue;
        }
        for sum in pattern.sum_axis(Axis(2)) {
            if (sum - 1.0).abs() > 1e-4 {
                let found = format!("a row of block {:?} sums to {sum}", address.block);
                return fails("attention rows sum to one", found);
            }
        }
    }
    for position in 0..tokens.len() - 1 {
        if other.row(position) != logits.row(position) {
            return fails(
                "no position sees a later one",
                format!("position {position} does"),
            );
        }
    }
    let last = model.config().layers.checked_sub(1);
    let residual = seen.matrix(last, Site::ResidPost);
    let residual = residual.expect("every block shows the stream that it leaves");
    let residual = residual.slice(s![..tokens.len(), ..]);
    if model.standard_lens(residual) != logits {
        return fails(
            "the lens at the last state gives the logits",
            "they differ".to_owned(),
        );
    }
    vocabulary_laws(model, residual, logits)
}

fn vocabulary_laws(
    model: &Model,
    residual: ArrayView2<'_, f32>,
    logits: ArrayView2<'_, f32>,
) -> Result<(), SweepError> {
    let fails = |law, found| Err(SweepError::SelfCheck { law, found });
    let normed = model.final_norm(residual);
    let summaries = vocabulary::pass(normed.view(), model.unembedding(), &[]);
    let most = (model.config().vocab as f64).log2();
    for (position, (summary, row)) in summaries.iter().zip(logits.outer_iter()).enumerate() {
        let not_finite = |_| SweepError::NotFinite {
            schedule: "id".to_owned(),
            unit: "sequence",
            item: 0,
            position,
            origin: None,
        };
        let kl = divergence::kl_nats(row, row).map_err(not_finite)?;
        if kl.abs() > 1e-6 {
            return fails(
                "KL(p ‖ p) is 0",
                format!("{kl} nats at position {position}"),
            );
        }
        let entropy = streamed::entropy_bits(summary.log_sum_exp, summary.mean_logit);
        if !(-1e-6..=most + 1e-6).contains(&entropy) {
            let found = format!("{entropy} bits at position {position}");
            return fails("entropy lies between 0 and log2 of the vocabulary", found);
        }
        let exact = divergence::entropy_bits(row).map_err(not_finite)?;
        if (entropy - exact).abs() > 1e-3 {
            let found = format!("{entropy} against {exact} bits at position {position}");
            return fails(
                "the vocabulary pass agrees with whole rows of logits",
                found,
            );
        }
    }
    Ok(())
}
