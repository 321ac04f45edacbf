//! The steps of a schedule, each with the edits that act on it.

use std::sync::Arc;

use crate::overlay::Overlay;
use crate::site::Site;
use crate::step::Step;
use crate::sublayer::Sublayer;

/// A step of a schedule, or the change of its embedding, with everything that decides its effect on the stream.
///
/// Equal stages turn equal streams into equal streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stage {
    step: Option<Step>,
    /// The edits that act on the step's blocks; at `resid.post` only if the step ends a run of its block.
    overlay: Option<Arc<Overlay>>,
}

impl Stage {
    /// The step; `None` for the stage that changes the embedding before any step.
    pub fn step(&self) -> Option<&Step> {
        self.step.as_ref()
    }

    /// The edits that act on activations during the step. They include `resid.pre` only if the step begins a run of its block,
    /// and `resid.post` only if it ends one.
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_deref()
    }
}

/// The stages of a schedule: one for the embedding, if an edit changes it, and one for each step.
pub(crate) fn stages<'a>(
    steps: &'a [Step],
    whole: &'a Overlay,
) -> impl Iterator<Item = Stage> + 'a {
    let shared = |overlay: Overlay| (!overlay.is_empty()).then(|| Arc::new(overlay));
    let embed = shared(whole.of_embed()).map(|overlay| Stage {
        step: None,
        overlay: Some(overlay),
    });
    let stage = move |(at, step): (usize, &Step)| {
        let mut overlay = whole.of_step(step);
        if let Some(block) = step.source() {
            let [begins, ends] = ends_of_runs(steps, at);
            if !begins {
                overlay.forget(block, Site::ResidPre);
            }
            if !ends {
                overlay.forget(block, Site::ResidPost);
            }
        }
        Stage {
            step: Some(step.clone()),
            overlay: shared(overlay),
        }
    };
    embed.into_iter().chain(steps.iter().enumerate().map(stage))
}

/// Whether a step begins and ends a run of its block in a list of steps.
///
/// A run is a block's attention followed by its MLP, or either alone.
pub fn ends_of_runs(steps: &[Step], at: usize) -> [bool; 2] {
    let begins = at == 0 || !are_one_run(&steps[at - 1], &steps[at]);
    let ends = steps
        .get(at + 1)
        .is_none_or(|next| !are_one_run(&steps[at], next));
    [begins, ends]
}

/// Whether two consecutive steps are one run of a block: its attention, then its MLP.
fn are_one_run(step: &Step, next: &Step) -> bool {
    let alone = |step: &Step, sublayer| match step {
        Step::Update(parts) => match parts.as_slice() {
            [part] if part.sublayer() == sublayer => Some(part.block()),
            _ => None,
        },
        Step::Branches(_) => None,
    };
    let attention = alone(step, Sublayer::Attn);
    attention.is_some() && attention == alone(next, Sublayer::Mlp)
}
