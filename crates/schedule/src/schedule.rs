use std::fmt;

use crate::error::ScheduleError;
use crate::overlay::Overlay;
use crate::stack::{Residual, Stack};
use crate::stage::{Stage, stages};
use crate::step::{Coefficient, Part, Step, count_updates, write_joined};
use crate::sublayer::Sublayer;

/// The largest number of steps of a schedule, counting those inside branches.
pub const MAX_STEPS: usize = 65_536;

/// A finite, non-empty sequence of steps over the blocks of a [`Stack`].
///
/// [`Schedule::plain`] makes a schedule and [`Edit::apply`](crate::Edit::apply) changes it, so a schedule always fits its stack.
/// Its text is for reading only: `attn0 mlp0`, `attn0+mlp0` for one step with two parts, `0.5*mlp0` for a coefficient,
/// `(0.5*[attn0 mlp0]|0.5*[attn1 mlp1])` for branches, and in braces the edits of values.
///
/// Beside its steps a schedule has an [`Overlay`], which says what replaces activations while its blocks run.
/// Two schedules are equal if their steps and overlays are.
///
/// ```
/// use layerwise_schedule::{Edit, Residual, Schedule, Stack};
///
/// let plain = Schedule::plain(Stack::new(2, Residual::Parallel))?;
/// assert_eq!(plain.to_string(), "attn0+mlp0 attn1+mlp1");
/// let beside = "parallel(0..2)".parse::<Edit>()?.apply(&plain)?;
/// assert_eq!(beside.to_string(), "(0.5*[attn0+mlp0]|0.5*[attn1+mlp1])");
/// assert_eq!((beside.steps().len(), beside.step_count()), (1, 2));
/// # Ok::<(), layerwise_schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule {
    stack: Stack,
    steps: Vec<Step>,
    overlay: Overlay,
}

impl Schedule {
    /// The plain model: blocks `0..layers` in order, every coefficient 1.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::EmptyStack`] if there are no blocks, [`ScheduleError::TooManySteps`] beyond [`MAX_STEPS`].
    pub fn plain(stack: Stack) -> Result<Self, ScheduleError> {
        if stack.layers == 0 {
            return Err(ScheduleError::EmptyStack);
        }
        let steps_per_block = match stack.residual {
            Residual::Sequential => 2,
            Residual::Parallel => 1,
        };
        let step_count = stack.layers.saturating_mul(steps_per_block);
        if step_count > MAX_STEPS {
            return Err(ScheduleError::TooManySteps {
                edit: "id".to_owned(),
                steps: step_count as u64,
                max: MAX_STEPS,
            });
        }
        let mut steps = Vec::with_capacity(step_count);
        for block in 0..stack.layers {
            let part = |sublayer| Part {
                block,
                sublayer,
                scale: Coefficient::ONE,
            };
            let (attn, mlp) = (part(Sublayer::Attn), part(Sublayer::Mlp));
            match stack.residual {
                Residual::Sequential => {
                    steps.extend([Step::Update(vec![attn]), Step::Update(vec![mlp])]);
                }
                Residual::Parallel => steps.push(Step::Update(vec![attn, mlp])),
            }
        }
        Ok(Self {
            stack,
            steps,
            overlay: Overlay::default(),
        })
    }

    /// The same stack with other steps, or `None` if there are none.
    pub(crate) fn with_steps(&self, steps: Vec<Step>) -> Option<Self> {
        (!steps.is_empty()).then_some(Self {
            stack: self.stack,
            steps,
            overlay: self.overlay.clone(),
        })
    }

    /// The same steps with a different overlay.
    pub(crate) fn with_overlay(&self, overlay: Overlay) -> Self {
        Self {
            stack: self.stack,
            steps: self.steps.clone(),
            overlay,
        }
    }

    /// The edits that act on activations while the steps run.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The stack whose blocks the steps name.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    /// The steps in the order in which they run, at least one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps, each with the part of the overlay that acts on it; first the change of the embedding, if there is one.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        stages(&self.steps, &self.overlay)
    }

    /// The number of residual updates. It counts updates inside branches, but not the parallel steps that hold them.
    ///
    /// This is the count that [`MAX_STEPS`] bounds; it is at least `steps().len()`.
    pub fn step_count(&self) -> usize {
        count_updates(&self.steps)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, &self.steps, " ")?;
        match self.overlay.is_empty() {
            true => Ok(()),
            false => write!(f, " {{{}}}", self.overlay),
        }
    }
}
