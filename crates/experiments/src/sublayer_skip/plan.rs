//! Edits as a plan, and as schedules.

use crate::core::error::ExperimentError;
use crate::core::subject::Subject;
use layerwise_schedule::{DEFAULT_MAX_MEMBERS, Edit, EditFamily, Schedule};
use layerwise_sweep::Plan;

/// The plan of some edits, in order after the plain schedule.
pub(super) fn plan(subject: &Subject<'_>, edits: &[&str]) -> Result<Plan, ExperimentError> {
    let families = edits.iter().map(|edit| edit.parse::<EditFamily>());
    let families = families.collect::<Result<Vec<_>, _>>()?;
    Ok(Plan::new(
        subject.model.stack(),
        &families,
        DEFAULT_MAX_MEMBERS,
    )?)
}

/// The schedule of an edit.
pub(super) fn altered(plain: &Schedule, edit: &str) -> Result<Schedule, ExperimentError> {
    Ok(edit.parse::<Edit>()?.apply(plain)?)
}
