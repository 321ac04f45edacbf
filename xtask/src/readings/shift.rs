//! The plain pass on a text of another kind, beside the corpus.

use crate::arguments::Inputs;
use crate::experiments::core::lens::Lens;
use crate::experiments::core::tables::Tables;
use crate::experiments::shift::{Measure, Record};
use crate::experiments::{attention_locality, lens_entropy, lens_kl, mlp_norm};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::readings::notebook::Notebook;
use crate::readings::plain::{self, Wanted};
use crate::{embedded, output};
use std::path::Path;

/// The file that the default text is written to, below the folder of outputs.
const SOURCE_CODE: &str = "source-code.jsonl";

/// Opens the second text as each model reads it: a file, or where none is given this project's own source code, which is
/// written to `out` as a corpus.
///
/// A model that has no tokenizer to read source code with gets none, and the user is told.
///
/// # Errors
/// As [`inputs::open_corpus`], and source code that cannot be read.
pub fn open(
    file: Option<&Path>,
    inputs: &Inputs,
    tokens: Option<usize>,
    models: &[OpenedModel],
    out: &Path,
) -> anyhow::Result<Vec<Option<OpenedCorpus>>> {
    let mut inputs = inputs.clone();
    if let Some(file) = file {
        inputs.corpus = Some(file.to_owned());
        return models
            .iter()
            .map(|opened| inputs::open_corpus(&inputs, tokens, opened).map(Some))
            .collect();
    }
    let path = out.join(SOURCE_CODE);
    if models.iter().any(inputs::has_tokenizer) {
        output::make_folder(out)?;
        output::write(&path, embedded::source_code().as_bytes())?;
    }
    inputs.corpus = Some(path);
    "text".clone_into(&mut inputs.field);
    let open = |opened: &OpenedModel| {
        if !inputs::has_tokenizer(opened) {
            output::say(format_args!(
                "{}: shift is left out: without a tokenizer.json, give the second text as token ids with --shift-corpus",
                opened.name
            ));
            return Ok(None);
        }
        inputs::open_corpus(&inputs, tokens, opened).map(Some)
    };
    models.iter().map(open).collect()
}

/// Puts a model through the second text and records both: what it does on the corpus is in `results` already.
///
/// # Errors
/// As [`plain::read`].
pub fn read(
    notebook: &Notebook<'_>,
    corpus: &OpenedCorpus,
    shifted: &OpenedCorpus,
    tables: &mut Tables,
) -> anyhow::Result<()> {
    let mut on_shifted = Tables::default();
    let wanted = Wanted::by(&["shift"]);
    plain::read(
        notebook,
        shifted.corpus.sequences(),
        wanted,
        &mut on_shifted,
    )?;
    let on_corpus = records(tables, &name_of(corpus), false);
    tables.of_mut().extend(on_corpus);
    tables
        .of_mut()
        .extend(records(&on_shifted, &name_of(shifted), true));
    Ok(())
}

fn name_of(corpus: &OpenedCorpus) -> String {
    let name = corpus.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The measures of the plain pass on one text, those of the standard lens.
fn records(tables: &Tables, text: &str, shifted: bool) -> Vec<Record> {
    let text = || text.to_owned();
    let mut records = Vec::new();
    for r in tables
        .of::<lens_kl::Record>()
        .iter()
        .filter(|r| r.lens == Lens::Standard)
    {
        records.push(Record {
            model: r.model.clone(),
            family: r.family.clone(),
            text: text(),
            shifted,
            measure: Measure::LensKl,
            index: r.state,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.kl_nats,
            value_se: r.kl_nats_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    let entropies = tables.of::<lens_entropy::Record>().iter();
    for r in entropies.filter(|r| r.lens == Lens::Standard) {
        records.push(Record {
            model: r.model.clone(),
            family: r.family.clone(),
            text: text(),
            shifted,
            measure: Measure::LensEntropy,
            index: r.state,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.entropy_bits,
            value_se: r.entropy_bits_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    for r in tables.of::<mlp_norm::Record>() {
        records.push(Record {
            model: r.model.clone(),
            family: r.family.clone(),
            text: text(),
            shifted,
            measure: Measure::MlpOutNorm,
            index: r.layer,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.mlp_out_norm,
            value_se: r.mlp_out_norm_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    let previous_five = tables.of::<attention_locality::Record>().iter();
    for r in previous_five.filter(|r| r.measure == attention_locality::Measure::PreviousFive) {
        records.push(Record {
            model: r.model.clone(),
            family: r.family.clone(),
            text: text(),
            shifted,
            measure: Measure::PreviousFive,
            index: r.layer,
            layers: r.layers,
            relative_depth: r.relative_depth,
            value: r.attention,
            value_se: r.attention_se,
            sequences: r.sequences,
            positions: r.positions,
        });
    }
    records
}
