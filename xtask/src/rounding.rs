//! The message about how a run in a shorter number format differs from f32.

use crate::inputs::OpenedModel;
use crate::interrupt::{GIVE_UP, STOP};
use crate::output;
use layerwise::WeightBytes;
use layerwise::sweep::{self, Plan, Runner};
use layerwise::transformer::{Model, Precision};
use serde::Serialize;
use std::num::NonZeroUsize;

/// The fraction of the free budget that a second copy of the model may take; the rest is for the run.
const SHARE_OF_MEMORY: f64 = 0.8;

/// A run's difference from the same run in f32, or why it is not known.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Measured on the first sequence of the corpus.
    Measured(sweep::Rounding),
    /// Why it was not measured.
    NotMeasured(String),
}

impl Rounding {
    /// The differences, or why they are unknown: of the plain model, then of each schedule (KL in nats).
    fn lines(&self, precision: Precision) -> Vec<String> {
        let format = precision.name();
        let difference = match self {
            Self::NotMeasured(reason) => {
                return vec![format!(
                    "{format}; its difference from f32 was NOT measured: {reason}"
                )];
            }
            Self::Measured(difference) => difference,
        };
        let plain = format!(
            "{format} against f32 on the first sequence, plain model: KL(f32 ‖ {format}) {:.2e} nats on average, {:.2e} at most; same top token at {:.2} % of {} positions",
            difference.plain_kl_nats_mean,
            difference.plain_kl_nats_max,
            100.0 * difference.plain_top1_agreement,
            difference.positions
        );
        let schedules = difference.schedules.iter().map(|compared| {
            format!(
                "{}: KL {:.6} nats in {format}, {:.6} in f32; top-1 agreement {:.4} and {:.4}",
                compared.schedule,
                compared.kl_nats,
                compared.kl_nats_f32,
                compared.top1_agreement,
                compared.top1_agreement_f32
            )
        });
        std::iter::once(plain).chain(schedules).collect()
    }

    /// The same for the report. Its bytes do not depend on how much memory was free.
    pub fn told(&self, precision: Precision) -> String {
        match self {
            Self::NotMeasured(_) => {
                "not measured: no memory is known to be free for a second copy of the model in f32"
                    .to_owned()
            }
            Self::Measured(_) => self.lines(precision).join(". "),
        }
    }
}

/// Runs the plain model and a few of the plan's schedules on one sequence in f32 as well, and reports the differences.
///
/// If memory is too small for the model in f32 as well, measures nothing and says so.
/// `None` for a run in f32.
///
/// # Errors
/// A checkpoint or sequence cannot be run, or the user interrupts.
pub fn against_f32(
    opened: &OpenedModel,
    plan: &Plan,
    tokens: &[u32],
    threads: NonZeroUsize,
) -> anyhow::Result<Option<Rounding>> {
    let precision = opened.model.precision();
    if precision == Precision::F32 {
        return Ok(None);
    }
    let checkpoint = opened.options.open(&opened.folder)?;
    let needed = WeightBytes::of(&checkpoint, Precision::F32);
    let while_made = needed.while_made() as f64;
    let left = opened.budget.left();
    let rounding = match left.map(|left| left as f64 * SHARE_OF_MEMORY) {
        Some(limit) if while_made <= limit => {
            let what = format!("{}: the model in f32", opened.name);
            let _exact = opened.budget.hold(&what, needed.kept)?;
            let exact = Model::from_checkpoint(&checkpoint)?;
            let rounded = &opened.model;
            let runner = Runner::new().threads(threads);
            let runner = runner.stop(&STOP).give_up(&GIVE_UP);
            let found = sweep::Rounding::between(&exact, rounded, plan, tokens, &runner)?;
            Rounding::Measured(found)
        }
        limit => Rounding::NotMeasured(format!(
            "the model takes {:.0} MiB in f32 and {:.0} MiB while it is made, and {}",
            needed.kept as f64 / MIB,
            while_made / MIB,
            match limit {
                Some(limit) => format!("{:.0} MiB may be used", limit / MIB),
                None => "how much memory is free is not known".to_owned(),
            }
        )),
    };
    for line in rounding.lines(precision) {
        output::say(format_args!("{}: {line}", opened.name));
    }
    Ok(Some(rounding))
}

const MIB: f64 = (1_u64 << 20) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    /// How much memory is free may be unknown, so the report does not call it too small.
    #[test]
    fn the_report_does_not_call_unknown_memory_too_small() {
        let told = Rounding::NotMeasured("unknown".to_owned()).told(Precision::Bf16);
        assert!(told.contains("no memory is known to be free"), "{told}");
    }
}
