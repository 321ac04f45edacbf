//! The values that edits take from elsewhere, and how edits of values are carried out.

use crate::batch::{Batch, Segment};
use crate::error::{MissingValues, TransformerError};
use crate::model::Model;
use crate::site::{Address, FirstNotFinite, NotFinite, Observer};
use layerwise_architecture::ModelConfig;
use layerwise_schedule::{Overlay, Replacement, Schedule, Site, Source, TensorName, text_of};
use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Axis, Slice};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// A place that values are taken from: a block (`None` for `embed`) and a site.
pub type Place = (Option<usize>, Site);

/// A schedule with the values that its edits take from elsewhere.
///
/// It converts from a schedule alone, if its edits take no values, or from a pair of both.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) values: Option<&'a Values>,
}

impl<'a> From<&'a Schedule> for Program<'a> {
    fn from(schedule: &'a Schedule) -> Self {
        Self {
            schedule,
            values: None,
        }
    }
}

impl<'a> From<(&'a Schedule, &'a Values)> for Program<'a> {
    fn from((schedule, values): (&'a Schedule, &'a Values)) -> Self {
        Self {
            schedule,
            values: Some(values),
        }
    }
}

/// Means and named tensors: values that are the same for every sequence.
///
/// ```
/// use layerwise_schedule::Edit;
/// use layerwise_transformer::{Constants, Model, ModelConfig, Values};
/// use ndarray::Array1;
/// use std::sync::Arc;
///
/// let model = Model::random(ModelConfig::tiny(), 0); // width 32
/// let direction = Array1::from_shape_fn(32, |at| (at as f32).sin());
/// let mut constants = Constants::default();
/// constants.set_tensor("direction".parse()?, direction.into_dyn())?;
/// let steered = "add(resid.post[1]@-1,direction,4)".parse::<Edit>()?.apply(&model.plain())?;
/// let values = Values::of(Arc::new(constants));
/// let logits = model.logits(&[0, 5, 3], (&steered, &values))?;
/// assert_ne!(logits, model.logits(&[0, 5, 3], &model.plain())?);
/// assert!(model.logits(&[0, 5, 3], &steered).is_err()); // the tensor is missing
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constants {
    means: BTreeMap<Place, ArrayD<f32>>,
    tensors: BTreeMap<TensorName, ArrayD<f32>>,
}

impl Constants {
    /// Adds the mean of a site, in the site's shape at one position: \[model\], \[neurons\], \[heads, head\].
    pub fn set_mean(&mut self, place: Place, mean: ArrayD<f32>) {
        self.means.insert(place, mean);
    }

    /// The mean of a site.
    pub fn mean(&self, place: Place) -> Option<&ArrayD<f32>> {
        self.means.get(&place)
    }

    /// The named tensors.
    pub fn tensors(&self) -> &BTreeMap<TensorName, ArrayD<f32>> {
        &self.tensors
    }

    /// The means, by place.
    pub fn means(&self) -> &BTreeMap<Place, ArrayD<f32>> {
        &self.means
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.means.is_empty() && self.tensors.is_empty()
    }

    /// Checks that the means and tensors that the edits of a schedule take are present and fit a model of this config.
    ///
    /// # Errors
    /// [`TransformerError::MissingValues`] and [`TransformerError::ValuesShape`].
    pub fn check(
        self: &Arc<Self>,
        config: &ModelConfig,
        schedule: &Schedule,
    ) -> Result<(), TransformerError> {
        let values = Values::of(Arc::clone(self));
        Program::from((schedule, &values)).check_values(config, Expected::Later)
    }

    /// Adds a named tensor for `put` and `add`, in the shape of the site at one position, or of one head.
    ///
    /// # Errors
    /// The tensor holds a value that is not finite.
    pub fn set_tensor(
        &mut self,
        name: TensorName,
        tensor: ArrayD<f32>,
    ) -> Result<(), TransformerError> {
        let mut values = tensor.iter().enumerate();
        if let Some((index, value)) = values.find(|(_, value)| !value.is_finite()) {
            return Err(TransformerError::TensorNotFinite {
                name: name.to_string(),
                index,
                value: *value,
            });
        }
        self.tensors.insert(name, tensor);
        Ok(())
    }
}

/// The values that the edits of a schedule take in the run of one [`Batch`].
///
/// ```
/// use layerwise_schedule::{Edit, Schedule, Site, Source};
/// use layerwise_transformer::{Model, ModelConfig, Taken, Values};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let plain = Schedule::plain(model.stack())?;
/// let (clean, corrupted) = ([0, 5, 3, 8], [0, 2, 3, 8]);
///
/// // The clean run's activations at the patched places.
/// let patched = "donor(resid.post[1])".parse::<Edit>()?.apply(&plain)?;
/// let mut taken = Taken::of(patched.overlay().taken_from(Source::Donor));
/// let end = model.run(&clean, &plain, &mut taken)?;
/// let mut values = Values::default();
/// values.take(Source::Donor, taken);
///
/// let program = (&patched, &values);
/// assert_eq!(model.run(&corrupted, program, &mut ())?, end);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Values {
    constants: Arc<Constants>,
    /// In the shapes of their sites; the axis `seq` is the batch's rows.
    taken: BTreeMap<(Source, Place), ArrayD<f32>>,
}

impl Values {
    /// Values with means and named tensors alone.
    pub fn of(constants: Arc<Constants>) -> Self {
        Self {
            constants,
            taken: BTreeMap::new(),
        }
    }

    /// Adds activations taken from a run of a batch of the same shape.
    pub fn take(&mut self, source: Source, taken: Taken) {
        let kept = taken.kept.into_iter();
        self.taken
            .extend(kept.map(|(place, values)| ((source, place), values)));
    }

    /// The values of some of the batch's rows; the longest path among them has `path` tokens.
    #[must_use]
    pub fn of_rows(&self, rows: Range<usize>, path: usize) -> Self {
        let of_rows = |(place, values): (&(Source, Place), &ArrayD<f32>)| {
            let mut own = values.view();
            if place.1.1 == Site::AttnPattern {
                own.slice_axis_inplace(Axis(1), slice(&rows));
                own.slice_axis_inplace(Axis(2), Slice::from(..path));
            } else {
                own.slice_axis_inplace(Axis(0), slice(&rows));
            }
            (*place, own.to_owned())
        };
        Self {
            constants: Arc::clone(&self.constants),
            taken: self.taken.iter().map(of_rows).collect(),
        }
    }

    /// The bytes of the activations taken from runs.
    pub fn bytes(&self) -> usize {
        let values = self.taken.values();
        values.map(|values| values.len() * size_of::<f32>()).sum()
    }
}

/// An [`Observer`] that copies some places of a plain run, for [`Values::take`].
#[derive(Clone, Debug, Default)]
pub struct Taken {
    places: BTreeSet<Place>,
    kept: BTreeMap<Place, ArrayD<f32>>,
}

impl Taken {
    /// Copies these places.
    pub fn of(places: impl IntoIterator<Item = Place>) -> Self {
        Self {
            places: places.into_iter().collect(),
            kept: BTreeMap::new(),
        }
    }

    /// The copied activations.
    pub fn kept(&self) -> &BTreeMap<Place, ArrayD<f32>> {
        &self.kept
    }

    /// The bytes that the places take for a batch of `rows` rows whose longest path has `path` tokens.
    pub fn bytes(
        config: &ModelConfig,
        places: impl IntoIterator<Item = Place>,
        rows: usize,
        path: usize,
    ) -> usize {
        let width = |site: Site| match site {
            Site::AttnPattern => config.heads * path,
            site => shape_at_one_position(config, site).iter().product(),
        };
        let widths = places.into_iter().map(|(_, site)| width(site));
        widths.sum::<usize>() * rows * size_of::<f32>()
    }
}

impl Observer for Taken {
    fn wants(&self, address: Address) -> bool {
        self.places.contains(&(address.block, address.site))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let place = (address.block, address.site);
        self.kept.insert(place, activation.to_owned());
    }
}

/// A site's shape at one position; for attention patterns, the number of heads.
///
/// ```
/// use layerwise_transformer::{ModelConfig, Site, shape_at_one_position};
///
/// let config = ModelConfig::tiny(); // width 32, 4 heads
/// assert_eq!(shape_at_one_position(&config, Site::ResidPost), [32]);
/// assert_eq!(shape_at_one_position(&config, Site::AttnHeadOut), [4, 8]);
/// ```
pub fn shape_at_one_position(config: &ModelConfig, site: Site) -> Vec<usize> {
    let c = config;
    match site {
        Site::AttnQ | Site::AttnHeadOut => vec![c.heads, c.head],
        Site::AttnK | Site::AttnV => vec![c.kv_heads, c.head],
        Site::MlpPre | Site::MlpUp | Site::MlpPost => vec![c.neurons],
        Site::AttnPattern => vec![c.heads],
        Site::Logits => vec![c.vocab],
        _ => vec![c.model],
    }
}

/// When values of other runs must be present.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected<'a> {
    /// Now, for the rows of this batch.
    OfBatch(&'a Batch),
    /// When a batch runs.
    Later,
    /// Never: there is no other run.
    Never,
}

impl Program<'_> {
    /// Checks that a batch has the positions that the edits name, and that the values that they take are present and fit.
    pub(crate) fn check(&self, model: &Model, batch: &Batch) -> Result<(), TransformerError> {
        model.check_schedule(self.schedule)?;
        let overlay = self.schedule.overlay();
        if overlay.is_empty() {
            return Ok(());
        }
        if !batch.is_of_sequences() && overlay.counts_from_end() {
            return Err(TransformerError::EndUnknown {
                reason: "sequences of the batch share their beginning; give each sequence as a separate segment",
            });
        }
        for len in batch.path_lengths() {
            overlay.check_positions(len, &|block, query| {
                model.config.attention.of(block).first_key(query)
            })?;
        }
        self.check_values(&model.config, Expected::OfBatch(batch))
    }

    /// Checks that the values that edits take are present and fit.
    pub(crate) fn check_values(
        &self,
        config: &ModelConfig,
        of_runs: Expected<'_>,
    ) -> Result<(), TransformerError> {
        let none = Values::default();
        let values = self.values.unwrap_or(&none);
        for (block, site, changed) in self.schedule.overlay().sites() {
            for own in changed {
                for change in &own.changes {
                    let edit = || text_of(block, site, &own.units, change);
                    let at_one = shape_at_one_position(config, site);
                    let check = |found: Option<&ArrayD<f32>>,
                                 what: MissingValues,
                                 expected: Vec<usize>,
                                 or: Option<Vec<usize>>| {
                        let Some(found) = found else {
                            return Err(TransformerError::MissingValues { edit: edit(), what });
                        };
                        let fits = found.shape() == expected
                            || or.as_ref().is_some_and(|or| found.shape() == or);
                        match fits {
                            true => Ok(()),
                            false => Err(TransformerError::ValuesShape {
                                edit: edit(),
                                expected,
                                or,
                                found: found.shape().to_vec(),
                            }),
                        }
                    };
                    if let Some(name) = change.replacement.tensor() {
                        let one_head = (at_one.len() > 1).then(|| at_one[1..].to_vec());
                        let what = MissingValues::Tensor(name.to_string());
                        check(values.constants.tensors.get(name), what, at_one, one_head)?;
                        continue;
                    }
                    match (change.replacement.source(), of_runs) {
                        (None, _) => {}
                        (Some(Source::Mean), _) => {
                            let what = MissingValues::Source(Source::Mean);
                            check(
                                values.constants.means.get(&(block, site)),
                                what,
                                at_one,
                                None,
                            )?;
                        }
                        (Some(_), Expected::Later) => {}
                        (Some(source), Expected::OfBatch(batch)) => {
                            let expected = match site {
                                Site::AttnPattern => {
                                    vec![config.heads, batch.rows(), batch.longest_path()]
                                }
                                _ => [&[batch.rows()], at_one.as_slice()].concat(),
                            };
                            let taken = values.taken.get(&(source, (block, site)));
                            check(taken, MissingValues::Source(source), expected, None)?;
                        }
                        (Some(source), Expected::Never) => {
                            return Err(TransformerError::MissingValues {
                                edit: edit(),
                                what: MissingValues::Source(source),
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// A schedule's edits of values in the run of one batch.
#[derive(Clone, Debug)]
pub(crate) struct Overlaid<'a> {
    pub(crate) overlay: &'a Overlay,
    values: Option<&'a Values>,
    segments: Vec<Segment>,
}

impl<'a> Overlaid<'a> {
    /// `None` if nothing is edited.
    pub(crate) fn new(
        overlay: &'a Overlay,
        values: Option<&'a Values>,
        segments: &[Segment],
    ) -> Option<Self> {
        (!overlay.is_empty()).then(|| Self {
            overlay,
            values,
            segments: segments.to_vec(),
        })
    }

    /// Applies the edits of a place to its activation.
    pub(crate) fn change(&self, place: Place, activation: &mut ArrayViewMutD<'_, f32>) {
        let (block, site) = place;
        let (unit_axis, row_axis) = match site {
            Site::AttnPattern => (Axis(0), Axis(1)),
            _ => (Axis(1), Axis(0)),
        };
        for own in self.overlay.changed(block, site) {
            for change in &own.changes {
                for segment in &self.segments {
                    let part = segment.position..segment.end();
                    // A schedule without positions from the end may name positions that are yet to come.
                    let len = match change.positions.count_from_end() {
                        true => segment.end(),
                        false => usize::MAX / 4,
                    };
                    for positions in change.positions.within(part, len) {
                        let shift = |at: usize| at - segment.position + segment.first_row;
                        let rows = shift(positions.start)..shift(positions.end);
                        for units in own.units.ranges() {
                            let mut chosen = activation.view_mut();
                            chosen.slice_axis_inplace(row_axis, slice(&rows));
                            chosen.slice_axis_inplace(unit_axis, slice(&units));
                            self.replace(&change.replacement, place, [&rows, &units], chosen);
                        }
                    }
                }
            }
        }
    }

    /// Replaces the selected values of some rows and units.
    fn replace(
        &self,
        replacement: &Replacement,
        place: Place,
        [rows, units]: [&Range<usize>; 2],
        mut chosen: ArrayViewMutD<'_, f32>,
    ) {
        const CHECKED: &str = "values are checked before the run";
        match replacement {
            Replacement::Zero => chosen.fill(0.0),
            Replacement::Scale(factor) => {
                let factor = factor.get() as f32;
                chosen.mapv_inplace(|value| value * factor);
            }
            Replacement::Mean => {
                let values = self.values.expect(CHECKED);
                let mean = &values.constants.means[&place];
                chosen.assign(&mean.slice_axis(Axis(0), slice(units)));
            }
            Replacement::Put(name) => {
                let tensor = self.tensor(name, units, chosen.ndim());
                chosen.assign(&tensor);
            }
            Replacement::Add(name, factor) => {
                let tensor = self.tensor(name, units, chosen.ndim());
                let tensor = tensor.broadcast(chosen.shape()).expect(CHECKED);
                chosen.scaled_add(factor.get() as f32, &tensor);
            }
            other => {
                let source = other.source().expect("other replacements have a source");
                let mut taken = self.values.expect(CHECKED).taken[&(source, place)].view();
                let (unit_axis, row_axis) = match place.1 {
                    Site::AttnPattern => (Axis(0), Axis(1)),
                    _ => (Axis(1), Axis(0)),
                };
                taken.slice_axis_inplace(row_axis, slice(rows));
                taken.slice_axis_inplace(unit_axis, slice(units));
                chosen.assign(&taken);
            }
        }
    }

    /// The values of a named tensor for some units, ready to be broadcast over rows; `rank` is the activation's rank.
    fn tensor(&self, name: &TensorName, units: &Range<usize>, rank: usize) -> ArrayViewD<'_, f32> {
        let values = self.values.expect("values are checked before the run");
        let mut tensor = values.constants.tensors[name].view();
        // A tensor in the shape of one head serves every head.
        if tensor.ndim() + 1 == rank {
            tensor.slice_axis_inplace(Axis(0), slice(units));
        }
        tensor
    }
}

fn slice(range: &Range<usize>) -> Slice {
    Slice::from(range.clone())
}

impl NotFinite {
    /// Runs a schedule to find the first such value: the place of an overflow whose effect shows only later.
    ///
    /// # Errors
    /// As [`Model::run`].
    ///
    /// ```
    /// use layerwise_schedule::Edit;
    /// use layerwise_transformer::{Model, ModelConfig, NotFinite, Site};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// assert_eq!(NotFinite::first(&model, &[0, 5, 3], &model.plain())?, None);
    /// let scaled = "scale(resid.post[1],1e39)".parse::<Edit>()?.apply(&model.plain())?; // beyond f32
    /// let found = NotFinite::first(&model, &[0, 5, 3], &scaled)?.expect("an infinity");
    /// assert_eq!((found.address.block, found.address.site), (Some(1), Site::ResidPost));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn first<'p>(
        model: &Model,
        batch: impl Into<Batch>,
        program: impl Into<Program<'p>>,
    ) -> Result<Option<Self>, TransformerError> {
        let mut first = FirstNotFinite::default();
        model.observed_logits(batch, program, &mut first)?;
        Ok(first.found())
    }
}
