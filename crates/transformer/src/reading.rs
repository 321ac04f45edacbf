//! The progress of a run, and who reads and writes its activations.

use crate::batch::Segment;
use crate::kept::Kept;
use crate::scoring::Hidden;
use crate::site::{Address, Observer};
use crate::values::Overlaid;
use layerwise_schedule::Site;
use ndarray::{ArrayViewD, ArrayViewMutD};

/// The observer of a run, its edits of values, the kept tokens that it continues, and its progress.
pub(crate) struct Reading<'a> {
    pub(crate) observer: &'a mut dyn Observer,
    /// `None` if no value is edited.
    pub(crate) overlaid: Option<Overlaid<'a>>,
    /// For each segment of the batch, the keys and values that it continues after; empty if every path begins in the batch.
    pub(crate) kept: Vec<&'a mut [Kept]>,
    /// The positions for which the sublayer kept no keys and values, because they stopped before it.
    pub(crate) absent: Option<Hidden>,
    /// The number of attention sublayers before this one.
    pub(crate) attentions: usize,
    pub(crate) step: usize,
    pub(crate) block: Option<usize>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self {
            observer,
            overlaid: None,
            kept: Vec::new(),
            absent: None,
            attentions: 0,
            step: 0,
            block: None,
        }
    }

    pub(crate) fn address(&self, site: Site) -> Address {
        Address {
            step: self.step,
            block: self.block,
            site,
        }
    }

    pub(crate) fn wants(&self, site: Site) -> bool {
        self.observer.wants(self.address(site))
    }

    /// Whether the schedule or the observer writes at the site.
    pub(crate) fn edits(&self, site: Site) -> bool {
        self.is_overlaid(site) || self.observer.edits(self.address(site))
    }

    pub(crate) fn is_overlaid(&self, site: Site) -> bool {
        let overlaid = self.overlaid.as_ref();
        overlaid.is_some_and(|own| !own.overlay.changed(self.block, site).is_empty())
    }

    /// The absent keys of each segment.
    pub(crate) fn absent(&self, segments: &[Segment]) -> Vec<(usize, Hidden)> {
        let of = |segment: &Segment| Some((segment.first_row, self.absent.clone()?));
        segments.iter().filter_map(of).collect()
    }

    /// Lets the schedule, then the observer, edit a writable activation; then shows it to the observer.
    pub(crate) fn offer<'v>(
        &mut self,
        site: Site,
        activation: impl FnOnce() -> ArrayViewMutD<'v, f32>,
    ) {
        let address = self.address(site);
        let is_overlaid = self.is_overlaid(site);
        let (edits, wants) = (self.observer.edits(address), self.observer.wants(address));
        if !(is_overlaid || edits || wants) {
            return;
        }
        let mut activation = activation();
        if let (true, Some(overlaid)) = (is_overlaid, &self.overlaid) {
            overlaid.change((self.block, site), &mut activation);
        }
        if edits {
            self.observer.edit(address, activation.view_mut());
        }
        if wants {
            self.observer.observe(address, activation.view());
        }
    }

    /// Shows a read-only activation to the observer.
    pub(crate) fn show<'v>(
        &mut self,
        site: Site,
        activation: impl FnOnce() -> ArrayViewD<'v, f32>,
    ) {
        if self.wants(site) {
            self.observer.observe(self.address(site), activation());
        }
    }
}
