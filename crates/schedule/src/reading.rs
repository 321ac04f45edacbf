//! Parses selections of values from a text.

use crate::error::ScheduleError;
use crate::index::Bindings;
use crate::operation::resolve_selection;
use crate::stack::Stack;
use crate::syntax::parse_selections;
use crate::values::Selection;

impl Selection {
    /// Parses selections of a stack's values: `SITE`, `SITE[S]` or `SITE[S,U]`, each with or without `@P`, separated by commas.
    /// Sites that no edit can write are accepted.
    ///
    /// ```
    /// use layerwise_schedule::{Residual, Selection, Site, Stack, Units};
    ///
    /// let stack = Stack::new(12, Residual::Sequential).with_units(Units::new(12, 12, 3072, 768));
    /// let read = Selection::read_all("resid.post, attn.head_out[5,-1], mlp.norm[0..2]", stack)?;
    /// assert_eq!(read[0], Selection::of(Site::ResidPost));
    /// assert_eq!(read[1], Selection::of(Site::AttnHeadOut).blocks(5).units(11));
    /// assert!(Selection::read_all("attn.q[12]", stack).is_err());
    /// # Ok::<(), layerwise_schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The text does not follow the grammar, the stack lacks a site, or an index is out of range or a range empty.
    pub fn read_all(text: &str, stack: Stack) -> Result<Vec<Self>, ScheduleError> {
        let bindings = Bindings::of(stack);
        let written = parse_selections(text)?;
        let resolved = written.iter().map(|selection| {
            if let Some(reason) = selection.site.missing(stack) {
                return Err(ScheduleError::NoSuchSite {
                    edit: selection.to_string(),
                    site: selection.site,
                    reason,
                });
            }
            resolve_selection(selection, &bindings, selection)
        });
        resolved.collect()
    }
}
