//! Whether a word has one sense in two sentences, by the cosine of its states at each depth, without training.
//!
//! - **Stands for** the figures of Fantastic Semantics (arXiv 2403.01509): a word in its sentence, in its repetition, before
//!   it, and at the end of a prompt that asks for its meaning.
//! - **Needs** any models, and word-in-context pairs: the real set from its folder, else a stand-in made from text.
//! - **Feeds the claims** F1 to F10.

pub mod claims;
pub mod data;
pub mod figure;
mod measure;
pub mod published;
#[cfg(test)]
pub(crate) mod synthetic;
mod table;
mod texts;
mod vectors;

pub use table::{Best, Compared, Comparison, Part, Rated, Record, Removal, Setting, percent};

use crate::core::claim::Claim;
use crate::core::data::Source;
use crate::core::error::{ExperimentError, Place};
use crate::core::experiment::{About, Experiment, Needs, Passes};
use crate::core::subject::Subject;
use crate::core::tables::{TableId, Tables};
use crate::register;
use crate::wic;
use crate::wic::data::Pair;
use layerwise_corpus::Tokenizer;
use layerwise_plot::Figure;
use layerwise_transformer::Model;
use ndarray::{Array4, s};

/// How both sides of a pair are prompted, as a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Template {
    /// As published: `sentence` is followed by a blank on the first side and by a colon on the second.
    #[default]
    Published,
    /// A blank on both sides.
    Same,
}

/// See the [module](self).
pub struct LexicalSemantics;

register!(LexicalSemantics);

impl Experiment for LexicalSemantics {
    fn id(&self) -> &'static str {
        "lexical-semantics"
    }

    fn about(&self) -> About {
        About {
            summary: "Word senses by the cosine of states, in six settings (Fantastic Semantics)",
            title: "Word senses by the cosine of states",
            stands_for: "the figures of Fantastic Semantics (arXiv 2403.01509)",
            caption: "Accuracy in per cent, chance 50, of telling whether a word has one sense in two sentences: the cosine of the two states is compared with a threshold chosen on the development pairs. Mean and deviation of each dimension are removed within 30 consecutive pairs, except for the dotted lines of (c). The last state is read after the final norm. Bands are one standard error; a star marks the best state; grey lines are published curves.",
            paper_says: "A word's own state tells its sense best at a low depth and worse later, while states that predict the word or answer a prompt get better with depth: generative models understand in low layers and predict in high ones.",
        }
    }

    fn needs(&self) -> Needs {
        Needs {
            data: Some("word-in-context pairs (else a stand-in made from text)"),
            tokenizer: true,
            // The linear probe is drawn next to the cosines.
            tables: const { &[TableId::of::<wic::Record>()] },
            ..Needs::default()
        }
    }

    fn source(&self) -> Option<&'static Source> {
        Some(&data::SOURCE)
    }

    fn tables(&self) -> &'static [TableId] {
        const {
            &[
                TableId::of::<Record>(),
                TableId::of::<Compared>(),
                TableId::of::<Best>(),
                TableId::of::<Rated>(),
            ]
        }
    }

    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        measure::announce(subject)
    }

    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        measure::work(subject)
    }

    fn has_items(&self) -> bool {
        true
    }

    fn measure(
        &self,
        subject: &Subject<'_>,
        _: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        measure::measure(subject, tables)?;
        Ok(Vec::new())
    }

    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)> {
        figure::drawings(tables)
    }

    fn claims(&self) -> &'static [Claim] {
        claims::CLAIMS
    }
}

/// The states of both words of some pairs in one setting, \[pairs, 2, states, model\]: the embedding, the residual stream
/// after each block, and finally the last block's after the final norm.
///
/// `bos` goes before every text; both sides of a prompt are as published.
///
/// # Errors
/// A pair cannot be encoded, or is longer than the model's context.
pub fn vectors(
    model: &Model,
    tokenizer: &Tokenizer,
    bos: Option<u32>,
    pairs: &[Pair],
    setting: Setting,
) -> Result<Array4<f32>, ExperimentError> {
    let config = model.config();
    let reader = texts::Reader {
        tokenizer,
        bos,
        context: config.context,
        same_template: false,
    };
    let at = Setting::ALL.iter().position(|own| *own == setting);
    let at = at.unwrap_or(0);
    let places = vectors::places(config.layers);
    let mut all = Array4::zeros((pairs.len(), 2, places, config.model));
    for (index, (pair, mut own)) in pairs.iter().zip(all.outer_iter_mut()).enumerate() {
        let sides = reader.sides(pair);
        let sides = sides.at(|| format!("pair {} ({:?})", index + 1, pair.word))?;
        let only = sides.map(|side| side.only(at));
        let read = vectors::vectors(model, &[&only[0], &only[1]], || Ok(()))?;
        own.assign(&read.slice(s![.., .., ..]));
    }
    Ok(all)
}
