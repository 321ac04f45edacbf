//! Linear maps from every residual stream to the last, and readings through them.

use super::table::{Reading, Record};
use crate::core::error::{ExperimentError, Place};
use crate::core::models::state_depth;
use crate::core::sample::Units;
use crate::core::subject::{Runs, Subject};
use crate::core::sum::{Sum, mean};
use crate::core::tables::Tables;
use crate::lens_entropy::measure::{View, view};
use layerwise_metrics::factorization::{LinearFit, ridge};
use layerwise_sweep::WorkBytes;
use layerwise_transformer::{Address, Model, Observer, Site, Workspace};
use ndarray::{Array2, ArrayView2, ArrayViewD, Axis, Ix2, s};

/// The most tokens that the maps are fitted on.
const FITTED: usize = 8192;
/// The most sequences that are measured.
const SEQUENCES: usize = 16;
/// The most tokens of a sequence.
const LENGTH: usize = 128;
/// The penalty, as a share of the median over dimensions of the sum of squares.
const PENALTY: f64 = 0.01;

/// The sample that is measured, a part of the text.
const SAMPLE: &str = "first sequences, every second one";

/// The curve of the divergence of a reading, by residual stream.
pub(super) fn curve_name(reading: Reading) -> String {
    format!("{} lens beside its translation kl_nats", reading.name())
}

/// The residual streams of a sequence at positions 1…, from the embedding on, each \[positions, model\].
#[derive(Default)]
struct Streams(Vec<Array2<f32>>);

impl Observer for Streams {
    fn wants(&self, address: Address) -> bool {
        matches!(address.site, Site::Embed | Site::ResidPost)
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let stream = activation.into_dimensionality::<Ix2>();
        let stream = stream.expect("residual streams are [seq, model]");
        self.0.push(stream.slice(s![1.., ..]).to_owned());
    }
}

fn streams(model: &Model, tokens: &[u32]) -> Result<Vec<Array2<f32>>, ExperimentError> {
    let mut streams = Streams::default();
    model.run(tokens, &model.plain(), &mut streams)?;
    Ok(streams.0)
}

/// The sequences that fit the maps (odd indices) and those that are measured (even indices); none longer than 128 tokens.
fn halves(sequences: &[Vec<u32>]) -> (Vec<&[u32]>, Vec<&[u32]>) {
    let cut = |tokens: &'_ Vec<u32>| tokens.len().min(LENGTH);
    let of = |odd: usize| {
        let own = sequences.iter().skip(odd).step_by(2);
        own.map(move |tokens| &tokens[..cut(tokens)])
    };
    let mut left = FITTED;
    let fitting = of(1).take_while(|tokens| {
        let fits = tokens.len() <= left;
        left = left.saturating_sub(tokens.len());
        fits
    });
    (fitting.collect(), of(0).take(SEQUENCES).collect())
}

/// Describes the runs.
pub(super) fn announce(subject: &Subject<'_>) -> Vec<String> {
    let (fitting, measured) = halves(subject.text.sequences());
    let tokens: usize = fitting.iter().map(|tokens| tokens.len()).sum();
    vec![format!(
        "translated-lens: {} maps fitted on {tokens} tokens of {} sequences, read on {} others",
        subject.model.config().layers,
        fitting.len(),
        measured.len()
    )]
}

/// The map from one stream to another; rows of both are positions. Ridge regression with a penalty that fits the stream's scale.
fn translator(
    from: ArrayView2<'_, f64>,
    to: ArrayView2<'_, f64>,
) -> Result<LinearFit, ExperimentError> {
    let mean = from.mean_axis(Axis(0));
    let mean = mean.ok_or_else(|| ExperimentError::unexpected("a position", "none"))?;
    let mut squares = (&from - &mean)
        .mapv(|value| value * value)
        .sum_axis(Axis(0))
        .to_vec();
    squares.sort_by(f64::total_cmp);
    // A constant stream needs no penalty: there is nothing to learn from it.
    let penalty = PENALTY * squares.get(squares.len() / 2).copied().unwrap_or(0.0);
    Ok(ridge(from, to, penalty)?)
}

/// All streams of some sequences at one depth, one sequence below the other.
fn stacked(sequences: &[Vec<Array2<f32>>], stream: usize) -> Result<Array2<f64>, ExperimentError> {
    let views: Vec<ArrayView2<'_, f32>> = sequences.iter().map(|own| own[stream].view()).collect();
    let all = ndarray::concatenate(Axis(0), &views);
    let all = all.map_err(|_| ExperimentError::unexpected("streams of one width", "others"))?;
    Ok(all.mapv(f64::from))
}

/// Reads every stream of a sequence directly and translated: stream by stream, standard before translated, the last stream last.
fn views(
    runs: &Runs<'_>,
    maps: &[LinearFit],
    tokens: &[u32],
) -> Result<Vec<View>, ExperimentError> {
    let model = runs.model.model;
    let streams = streams(model, tokens)?;
    let mut states = Vec::with_capacity(2 * maps.len() + 1);
    for (stream, map) in streams.iter().zip(maps) {
        let translated = map.predict(stream.mapv(f64::from).view())?;
        states.push(model.lens_state(stream.view()));
        states.push(model.lens_state(translated.mapv(|value| value as f32).view()));
    }
    let last = &streams[streams.len() - 1];
    states.push(model.lens_state(last.view()));
    let found = model.compare_lenses(&states, || runs.go_on())?;
    let views: Vec<View> = found
        .standard
        .iter()
        .map(|positions| view(positions, &found.output))
        .collect();
    match views.iter().all(|own| own.kl_nats.sum.is_finite()) {
        true => Ok(views),
        false => Err(ExperimentError::unexpected("finite logits", "others")),
    }
}

/// Fits the maps, reads through them, and fills the table.
///
/// # Errors
/// Numbers are not finite, memory is insufficient, or the user interrupts.
pub(super) fn measure(
    subject: &Subject<'_>,
    tables: &mut Tables,
) -> Result<Vec<String>, ExperimentError> {
    let (fitting, measured) = halves(subject.text.sequences());
    if fitting.is_empty() || measured.is_empty() {
        return Ok(vec![
            "translated-lens is left empty: it needs two sequences of a text".to_owned(),
        ]);
    }
    let (model, config) = (subject.model, subject.model.config());
    let (layers, width) = (config.layers, config.model);
    let longest = fitting.iter().chain(&measured).map(|tokens| tokens.len());
    let longest = longest.max().unwrap_or(0);
    let of_streams = (layers + 1) * longest * width * size_of::<f32>();
    let run = Workspace::most_bytes(config, longest);
    let bytes = WorkBytes {
        reading: run,
        result: of_streams,
    };
    let kept = subject.runs.over(&fitting, bytes, |at, tokens| {
        streams(model, tokens).at(|| format!("sequence {}", 2 * at + 1))
    })?;
    let rows: usize = kept.iter().map(|own| own[0].nrows()).sum();
    let square = width * width * size_of::<f64>();
    let bytes = WorkBytes {
        // Two streams, with centred copies, and the matrices of the normal equations with their factor.
        reading: 6 * rows * width * size_of::<f64>() + 4 * square,
        result: square + width * size_of::<f64>(),
    };
    let places: Vec<usize> = (0..layers).collect();
    let maps = subject.runs.over(&places, bytes, |_, stream| {
        let (from, to) = (stacked(&kept, *stream)?, stacked(&kept, layers)?);
        translator(from.view(), to.view()).at(|| format!("residual stream {stream}"))
    })?;
    drop(kept);
    let bytes = WorkBytes {
        // States, raw and as lenses read them, each twice.
        reading: run + 6 * of_streams,
        result: (2 * layers + 1) * size_of::<View>(),
    };
    let sequences = subject.runs.over(&measured, bytes, |at, tokens| {
        views(&subject.runs, &maps, tokens).at(|| format!("sequence {}", 2 * at))
    })?;
    for (place, reading) in (0..2 * layers).map(|place| (place, Reading::BOTH[place % 2])) {
        let mean = |of: fn(&View) -> Sum| mean(sequences.iter().map(|views| of(&views[place])));
        let (kl_nats, kl_nats_se, sums) = mean(|view| view.kl_nats);
        let curve = curve_name(reading);
        tables.push(Units::of(subject.name, &curve, SAMPLE, place / 2, &sums));
        let (reverse_kl_nats, reverse_kl_nats_se, _) = mean(|view| view.reverse_kl_nats);
        let (entropy_bits, entropy_bits_se, _) = mean(|view| view.entropy_bits);
        let (top1_agreement, top1_agreement_se, _) = mean(|view| view.top1_agreement);
        let state = place / 2;
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            lens: reading,
            state,
            layers,
            relative_depth: state_depth(state, layers),
            kl_nats,
            kl_nats_se,
            reverse_kl_nats,
            reverse_kl_nats_se,
            entropy_bits,
            entropy_bits_se,
            top1_agreement,
            top1_agreement_se,
            fitted_tokens: rows as u64,
            sequences: measured.len() as u64,
            positions: sums.count(),
        });
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn a_linear_map_is_found_again() {
        let noise = |row: usize, column: usize| ((row * 31 + column * 17) as f64 * 0.7).sin();
        let from = Array2::from_shape_fn((200, 3), |(row, column)| noise(row, column));
        let map = Array2::from_shape_fn((3, 3), |(row, column)| noise(row + 300, column));
        let shift = Array1::from(vec![1.0, -2.0, 0.5]);
        let to = from.dot(&map) + &shift;
        let found = translator(from.view(), to.view()).unwrap();
        let predicted = found.predict(from.view()).unwrap();
        let errors = (&predicted - &to).mapv(f64::abs);
        assert!(errors.iter().all(|error| *error < 0.02), "{errors}");
        let same = Array2::from_elem((4, 3), 2.0);
        let found = translator(same.view(), to.slice(s![..4, ..])).unwrap();
        assert!(found.coefficients.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn what_fits_is_not_measured() {
        let sequences: Vec<Vec<u32>> = (0..7).map(|at| vec![at; 200]).collect();
        let (fitting, measured) = halves(&sequences);
        let first = |own: &[&[u32]]| -> Vec<u32> { own.iter().map(|tokens| tokens[0]).collect() };
        assert_eq!(
            (first(&fitting), first(&measured)),
            (vec![1, 3, 5], vec![0, 2, 4, 6])
        );
        assert!(fitting.iter().all(|tokens| tokens.len() == LENGTH));
        assert!(halves(&sequences[..1]).0.is_empty());
    }
}
