//! The plain model on a corpus: one forward pass a sequence, of which each activation is summed up as it comes.
//!
//! Statistics cover the positions 1..T−1 (attention: see [`attention::Locality`]). Of a sequence there remain sums in f64,
//! its last residual streams, and, while it runs, its streams for the lenses; logits are held by the tile.

pub mod attention;
pub mod lenses;
pub mod similarity;
pub mod updates;

#[cfg(test)]
mod tests;

use crate::experiments::core::lens::Lens;
use crate::experiments::core::models::{relative_depth, state_depth};
use crate::experiments::core::tables::Tables;
use crate::experiments::{
    attention_locality, cka, lens_entropy, lens_kl, mlp_norm, sublayer_ratio,
};
use crate::output;
use crate::readings;
use crate::readings::notebook::{Notebook, Reading, Sum};
use anyhow::{Context, bail};
use attention::Locality;
use layerwise::metrics::{ClusteredMean, MetricsError};
use layerwise::schedule::Schedule;
use layerwise::sweep::Plan;
use layerwise::transformer::lens::LensState;
use layerwise::transformer::{Address, Model, NotFinite, Observer, Site};
use lenses::{View, Views};
use ndarray::{ArrayViewD, Ix2, Ix3, s};
use serde::{Deserialize, Serialize};
use similarity::{Streams, Vectors};
use updates::{Sizes, Updates};

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Attention to the tokens just before.
    pub attention: bool,
    /// Sizes of what attention and MLP write.
    pub updates: bool,
    /// Both lenses on every residual stream.
    pub lenses: bool,
    /// Similarity of the blocks' residual streams.
    pub similarity: bool,
}

impl Wanted {
    /// What the chosen experiments need.
    pub fn by(experiments: &[&str]) -> Self {
        let any = |of: &[&str]| experiments.iter().any(|id| of.contains(id));
        Self {
            attention: any(&["attention-locality", "scale", "shift", "stages"]),
            updates: any(&["mlp-norm", "scale", "shift", "sublayer-ratio"]),
            lenses: any(&["lens-entropy", "lens-kl", "shift"]),
            similarity: any(&["cka"]),
        }
    }
}

/// Puts a model through sequences of token ids and records what is wanted.
///
/// # Errors
/// A sequence that does not fit the model, numbers that are not finite, a journal that cannot be used, or an interrupt.
pub fn read(
    notebook: &Notebook<'_>,
    sequences: &[Vec<u32>],
    wanted: Wanted,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let sums = measure(notebook, sequences, wanted)?;
    let config = notebook.opened.model.config();
    let about = About {
        model: &notebook.opened.name,
        family: config.family.model_type(),
        layers: config.layers,
        sequences: sequences.len() as u64,
    };
    about.attention(&sums, tables);
    about.updates(&sums, tables);
    about.lenses(&sums, tables);
    about.similarity(&sums, tables)
}

/// What is left of one sequence; what was not wanted is empty.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Sequence {
    /// One for each block.
    attention: Vec<Locality>,
    /// One for each block.
    updates: Vec<Sizes>,
    lenses: Option<Views>,
    /// Too large to be kept.
    #[serde(skip)]
    vectors: Option<Vectors>,
}

impl Sequence {
    /// Whether it is what a model of `layers` blocks leaves.
    fn fits(&self, wanted: Wanted, layers: usize) -> bool {
        let blocks = |wanted: bool| if wanted { layers } else { 0 };
        let streams = |lens: Lens| self.lenses.as_ref().map(|views| views.of(lens).len());
        self.attention.len() == blocks(wanted.attention)
            && self.updates.len() == blocks(wanted.updates)
            && [Lens::Standard, Lens::Legacy]
                .into_iter()
                .all(|lens| streams(lens) == wanted.lenses.then_some(layers + 1))
    }
}

/// The sequences' sums, in corpus order.
fn measure(
    notebook: &Notebook<'_>,
    sequences: &[Vec<u32>],
    wanted: Wanted,
) -> anyhow::Result<Vec<Sequence>> {
    let (name, model) = (&notebook.opened.name, &notebook.opened.model);
    let layers = model.config().layers;
    let plan = Plan::new(model.stack(), &[], 1)?;
    let kept = Wanted {
        similarity: false,
        ..wanted
    };
    let reading = Reading {
        name: "plain",
        settings: format!("{kept:?}"),
        schedules: plan.entries(),
    };
    let read = |index: usize, tokens: &[u32], wanted: Wanted| {
        sequence(
            model,
            &plan.entries()[0].member.schedule,
            index,
            tokens,
            wanted,
        )
        .with_context(|| format!("{name}: sequence {index}"))
    };
    let mut all: Vec<Sequence> = if kept == Wanted::default() {
        sequences.iter().map(|_| Sequence::default()).collect()
    } else {
        let fits = |sums: &Sequence| sums.fits(kept, layers);
        let read = |index, tokens: &Vec<u32>| Ok(vec![read(index, tokens, wanted)?]);
        let all = notebook.over(&reading, sequences, Vec::clone, fits, read)?;
        all.into_iter().flatten().collect()
    };
    if wanted.similarity {
        let similarity = Wanted {
            similarity: true,
            ..Wanted::default()
        };
        let is_missing = |index: &usize| all[*index].vectors.is_none();
        let missing: Vec<usize> = (0..all.len()).filter(is_missing).collect();
        if !missing.is_empty() && kept != Wanted::default() {
            output::say(format_args!(
                "{name}: the residual streams of {} sequences, which are not kept, are run again for cka",
                missing.len()
            ));
        }
        let runner = notebook.opened.runner(notebook.run);
        let found = readings::over(&runner, notebook.opened.subject(), &missing, |_, &index| {
            read(index, &sequences[index], similarity)
        })?;
        for (index, found) in missing.into_iter().zip(found) {
            all[index].vectors = found.vectors;
        }
    }
    Ok(all)
}

/// Puts the model through one sequence.
fn sequence(
    model: &Model,
    plain: &Schedule,
    index: usize,
    tokens: &[u32],
    wanted: Wanted,
) -> anyhow::Result<Sequence> {
    let mut reader = Reader {
        model,
        attention: wanted.attention.then(Vec::new),
        updates: wanted.updates.then(Updates::default),
        lenses: wanted.lenses.then(Vec::new),
        streams: wanted.similarity.then(|| Streams::of(index)),
    };
    let last = model.run(tokens, plain, &mut reader)?;
    // What is not finite anywhere is not finite in the end; the sums may hide it.
    if !last.iter().all(|value| value.is_finite()) {
        let origin = NotFinite::first(model, tokens, plain)?;
        let origin = origin.map_or_else(|| "others".to_owned(), |origin| origin.to_string());
        bail!("expected finite activations, found {origin}");
    }
    let views = |states: Vec<LensState>| lenses::views(model, &states);
    Ok(Sequence {
        attention: reader.attention.unwrap_or_default(),
        updates: reader.updates.unwrap_or_default().blocks,
        lenses: reader.lenses.map(views).transpose()?,
        vectors: reader.streams.map(Streams::vectors).transpose()?,
    })
}

/// Sums up the activations of one sequence as they come, block after block.
struct Reader<'m> {
    model: &'m Model,
    attention: Option<Vec<Locality>>,
    updates: Option<Updates>,
    lenses: Option<Vec<LensState>>,
    streams: Option<Streams>,
}

impl Observer for Reader<'_> {
    fn wants(&self, address: Address) -> bool {
        match address.site {
            Site::AttnPattern => self.attention.is_some(),
            Site::ResidPre | Site::AttnOut | Site::MlpOut => self.updates.is_some(),
            Site::Embed => self.lenses.is_some(),
            Site::ResidPost => self.lenses.is_some() || self.streams.is_some(),
            _ => false,
        }
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let shape = "an activation has the shape that its site names";
        if address.site == Site::AttnPattern {
            let pattern = activation.into_dimensionality::<Ix3>().expect(shape);
            if let Some(blocks) = &mut self.attention {
                blocks.push(attention::locality(pattern));
            }
            return;
        }
        let activation = activation.into_dimensionality::<Ix2>().expect(shape);
        match address.site {
            Site::Embed | Site::ResidPost => {
                if let Some(states) = &mut self.lenses {
                    states.push(self.model.lens_state(activation.slice(s![1.., ..])));
                }
                if let (Some(streams), Some(_)) = (&mut self.streams, address.block) {
                    streams.observe(activation);
                }
            }
            site => {
                if let Some(updates) = &mut self.updates {
                    updates.observe(site, activation);
                }
            }
        }
    }
}

/// What every record of a model says first.
struct About<'a> {
    model: &'a str,
    family: &'a str,
    layers: usize,
    sequences: u64,
}

/// The mean over a corpus of what each sequence sums up.
fn mean<'s>(
    sequences: &'s [Sequence],
    of: impl Fn(&'s Sequence) -> Sum,
) -> (f64, Option<f64>, ClusteredMean) {
    let mut mean = ClusteredMean::new();
    for Sum { sum, count } in sequences.iter().map(of) {
        mean.push(sum, count);
    }
    (mean.mean().unwrap_or(f64::NAN), mean.standard_error(), mean)
}

impl About<'_> {
    fn attention(&self, sequences: &[Sequence], tables: &mut Tables) {
        use attention_locality::{Measure, Record};
        let blocks = sequences.first().map_or(0, |first| first.attention.len());
        for layer in 0..blocks {
            let mut record = |measure, tokens, of: &dyn Fn(&Locality) -> Sum| {
                let (attention, attention_se, sums) =
                    mean(sequences, |sequence| of(&sequence.attention[layer]));
                // Sequences can be too short to have a token at the distance.
                if sums.count() == 0 {
                    return;
                }
                tables.push(Record {
                    model: self.model.to_owned(),
                    family: self.family.to_owned(),
                    layer,
                    layers: self.layers,
                    relative_depth: relative_depth(layer, self.layers),
                    measure,
                    tokens,
                    attention,
                    attention_se,
                    sequences: self.sequences,
                    positions: sums.count(),
                });
            };
            for (at, tokens) in attention::TOKENS.into_iter().enumerate() {
                record(Measure::Offset, tokens, &|block| block.offset[at]);
            }
            for (at, tokens) in attention::TOKENS.into_iter().enumerate() {
                record(Measure::Cumulative, tokens, &|block| block.cumulative[at]);
            }
            record(Measure::PreviousFive, attention::PREVIOUS, &|block| {
                block.previous_five
            });
        }
    }

    fn updates(&self, sequences: &[Sequence], tables: &mut Tables) {
        let blocks = sequences.first().map_or(0, |first| first.updates.len());
        for layer in 0..blocks {
            let mean =
                |of: fn(&Sizes) -> Sum| mean(sequences, |sequence| of(&sequence.updates[layer]));
            let (attn_out_norm, attn_out_norm_se, _) = mean(|block| block.attention);
            let (mlp_out_norm, mlp_out_norm_se, sums) = mean(|block| block.mlp);
            let (ratio, ratio_se, _) = mean(|block| block.ratio);
            let (relative_update, relative_update_se, _) = mean(|block| block.relative);
            let (update_cosine, update_cosine_se, _) = mean(|block| block.cosine);
            let positions = sums.count();
            tables.push(mlp_norm::Record {
                model: self.model.to_owned(),
                family: self.family.to_owned(),
                layer,
                layers: self.layers,
                relative_depth: relative_depth(layer, self.layers),
                mlp_out_norm,
                mlp_out_norm_se,
                sequences: self.sequences,
                positions,
            });
            tables.push(sublayer_ratio::Record {
                model: self.model.to_owned(),
                family: self.family.to_owned(),
                layer,
                layers: self.layers,
                relative_depth: relative_depth(layer, self.layers),
                attn_out_norm,
                attn_out_norm_se,
                mlp_out_norm,
                mlp_out_norm_se,
                ratio,
                ratio_se,
                relative_update,
                relative_update_se,
                update_cosine,
                update_cosine_se,
                sequences: self.sequences,
                positions,
            });
        }
    }

    fn lenses(&self, sequences: &[Sequence], tables: &mut Tables) {
        if sequences.iter().any(|sequence| sequence.lenses.is_none()) {
            return;
        }
        for lens in [Lens::Standard, Lens::Legacy] {
            for state in 0..=self.layers {
                let mean = |of: fn(&View) -> Sum| {
                    mean(sequences, |sequence| {
                        let views = sequence.lenses.as_ref();
                        of(&views.expect("every sequence has them").of(lens)[state])
                    })
                };
                let (entropy_bits, entropy_bits_se, entropies) = mean(|view| view.entropy_bits);
                let (kl_nats, kl_nats_se, _) = mean(|view| view.kl_nats);
                let (reverse_kl_nats, reverse_kl_nats_se, _) = mean(|view| view.reverse_kl_nats);
                let (top1_agreement, top1_agreement_se, _) = mean(|view| view.top1_agreement);
                let positions = entropies.count();
                tables.push(lens_entropy::Record {
                    model: self.model.to_owned(),
                    family: self.family.to_owned(),
                    lens,
                    state,
                    layers: self.layers,
                    relative_depth: state_depth(state, self.layers),
                    entropy_bits,
                    entropy_bits_se,
                    entropy_bits_sd: deviation(&entropies),
                    sequences: self.sequences,
                    positions,
                });
                tables.push(lens_kl::Record {
                    model: self.model.to_owned(),
                    family: self.family.to_owned(),
                    lens,
                    state,
                    layers: self.layers,
                    relative_depth: state_depth(state, self.layers),
                    kl_nats,
                    kl_nats_se,
                    reverse_kl_nats,
                    reverse_kl_nats_se,
                    top1_agreement,
                    top1_agreement_se,
                    sequences: self.sequences,
                    positions,
                });
            }
        }
    }

    fn similarity(&self, sequences: &[Sequence], tables: &mut Tables) -> anyhow::Result<()> {
        let vectors: Vec<&Vectors> = sequences
            .iter()
            .filter_map(|sequence| sequence.vectors.as_ref())
            .collect();
        let found = match similarity::similarities(&vectors) {
            // A text of sequences that are all alike says nothing of similarity, and is no fault of the other figures.
            Err(error @ MetricsError::NoVariance { .. }) => {
                output::say(format_args!("{}: cka is left out: {error}", self.model));
                return Ok(());
            }
            found => found.with_context(|| self.model.to_owned())?,
        };
        for found in found {
            for ((layer, other_layer), &cka) in found.cka.indexed_iter() {
                tables.push(cka::Record {
                    model: self.model.to_owned(),
                    family: self.family.to_owned(),
                    estimator: found.estimator,
                    layer,
                    other_layer,
                    layers: self.layers,
                    cka,
                    batches: found.batches,
                    samples: found.samples,
                });
            }
        }
        Ok(())
    }
}

/// The standard deviation of the sequences' means, each of the same weight; none with fewer than two.
fn deviation(sums: &ClusteredMean) -> Option<f64> {
    let means: Vec<f64> = sums
        .clusters()
        .iter()
        .filter(|cluster| cluster.count > 0)
        .map(|cluster| cluster.sum / cluster.count as f64)
        .collect();
    if means.len() < 2 {
        return None;
    }
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    let squares: f64 = means.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (means.len() - 1) as f64).sqrt())
}
