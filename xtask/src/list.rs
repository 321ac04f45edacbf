//! `list`: the experiments, claims, models and corpora, and what each needs.

use crate::experiments::{EXPERIMENTS, claims};
use crate::{embedded, output, program};
use layerwise::architecture::{self, Family, ModelConfig};
use layerwise::corpus;
use layerwise::files::{Folder, Links};
use layerwise::hub::Cache;
use layerwise::weights;
use std::io::Write;
use std::path::Path;

/// The needs of most experiments.
const ANY: &str = "a model, a text";

/// Options of `list`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print only the names of the experiments, one a line
    #[arg(long)]
    ids: bool,
}

/// Runs the command.
///
/// # Errors
/// An embedded model cannot be read.
pub fn list(arguments: &Arguments) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.ids {
        for experiment in EXPERIMENTS.iter() {
            writeln!(out, "{}", experiment.id())?;
        }
        return Ok(());
    }
    writeln!(
        out,
        "Experiments ({} reproduce EXPERIMENT, or the name of a figure or a claim), each on {ANY} unless it says otherwise:",
        program::name()
    )?;
    for experiment in EXPERIMENTS.iter() {
        let (id, about) = (experiment.id(), experiment.about());
        let needs = experiment.needs().to_string();
        let told = match needs.as_str() {
            ANY => String::new(),
            "a model" => "; needs no text".to_owned(),
            needs => format!("; needs {needs}"),
        };
        writeln!(out, "  {id:<18} {}{told}", about.summary)?;
    }
    writeln!(out, "\nClaims (claims.csv of reproduce):")?;
    for claim in claims() {
        let mut needs: Vec<String> = claim.needs.iter().map(ToString::to_string).collect();
        if !claim.models.is_empty() {
            needs.push(claim.models.to_owned());
        }
        writeln!(
            out,
            "  {:<14} {} [{}]; needs {}",
            claim.id,
            claim.statement,
            claim.version(),
            needs.join(", ")
        )?;
    }
    writeln!(out, "\nEmbedded models (--model NAME):")?;
    for name in embedded::model_names() {
        let (config, path) = embedded::config(name)?;
        let config = ModelConfig::from_json(&config, &path)?;
        writeln!(
            out,
            "  {name:<14} {}, {} blocks, width {}, {} tokens",
            config.family, config.layers, config.model, config.vocab
        )?;
    }
    let cache = Cache::of_user().ok();
    let cached = cache.as_ref().map_or_else(Vec::new, Cache::models);
    if let (Some(cache), false) = (&cache, cached.is_empty()) {
        let cache = output::plain(&cache.folder().display().to_string());
        writeln!(
            out,
            "\nModels in the Hugging Face cache {cache} (--model ORG/NAME):"
        )?;
        for (name, folder) in cached {
            let said = folder.map_or_else(
                || "incomplete, or not in safetensors".to_owned(),
                |it| described(&it),
            );
            writeln!(
                out,
                "  {:<14} {}",
                output::plain(&name),
                output::plain(&said)
            )?;
        }
    }
    writeln!(
        out,
        "\nFamilies (--model DIR, a checkpoint folder in the Hugging Face layout), by `model_type`:"
    )?;
    for family in Family::all() {
        writeln!(
            out,
            "  {:<14} {}",
            family.model_type(),
            architecture::covers(*family)
        )?;
    }
    writeln!(out, "\nFamilies left out, with the reason:")?;
    for (model_type, reason) in architecture::left_out() {
        writeln!(out, "  {model_type:<14} {reason}")?;
    }
    writeln!(out, "\nCorpora (--corpus FILE):")?;
    writeln!(
        out,
        "  {:<14} the embedded text, public domain",
        "(default)"
    )?;
    writeln!(
        out,
        "  {:<14} one document, cut into consecutive windows; needs the model's tokenizer",
        ".txt .raw"
    )?;
    writeln!(
        out,
        "  {:<14} one document a line, or an array of them; needs the model's tokenizer; text may end in .gz",
        ".jsonl .json"
    )?;
    writeln!(
        out,
        "  {:<14} one document a row, in the column that --field names; needs the model's tokenizer",
        ".parquet"
    )?;
    writeln!(out, "  {:<14} rows of token ids", ".npy")?;
    let cached = cache.as_ref().map_or_else(Vec::new, Cache::corpora);
    if let (Some(cache), false) = (&cache, cached.is_empty()) {
        let cache = output::plain(&cache.folder().display().to_string());
        writeln!(
            out,
            "\nCorpora in the Hugging Face cache {cache} (--corpus NAME:CONFIG:SPLIT:FIELD):"
        )?;
        for (name, parts) in cached {
            if parts.is_empty() {
                writeln!(
                    out,
                    "  {}: no readable file (.parquet, .jsonl, .txt)",
                    output::plain(&name)
                )?;
            }
            for (part, file) in parts {
                let line = format!("{name}:{part}:FIELD  {}", fields(&file));
                writeln!(out, "  {}", output::plain(&line))?;
            }
        }
    }
    Ok(())
}

/// The possible values of FIELD, or why a file cannot be read.
fn fields(file: &Path) -> String {
    match corpus::Format::of(file) {
        Ok(corpus::Format::Table) => match corpus::text_columns(file) {
            Ok(columns) if columns.is_empty() => "no column of texts".to_owned(),
            Ok(columns) => format!("fields: {}", columns.join(", ")),
            Err(error) => format!("cannot be read: {error}"),
        },
        Ok(corpus::Format::Document) => "one document; FIELD is ignored".to_owned(),
        Ok(_) => "fields: any key of its lines".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    }
}

/// What a checkpoint folder's config says, or why it cannot be opened.
fn described(folder: &Path) -> String {
    let config = || -> anyhow::Result<ModelConfig> {
        let config = weights::config(&Folder::open(folder, Links::Refuse)?)?;
        Ok(ModelConfig::from_json(
            &config,
            &folder.join("config.json"),
        )?)
    };
    match config() {
        Ok(config) => format!(
            "{}, {} blocks, width {}, {} tokens",
            config.family, config.layers, config.model, config.vocab
        ),
        Err(error) => format!("cannot be opened: {error}"),
    }
}
