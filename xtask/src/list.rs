//! `list`: what there is, and what it needs.

use crate::claims::CLAIMS;
use crate::figures::FigureId;
use crate::{embedded, program};
use clap::ValueEnum;
use layerwise::architecture::{Family, ModelConfig};
use std::io::Write;

/// Runs the command.
///
/// # Errors
/// An embedded model that cannot be read.
pub fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Figures ({} reproduce FIGURE):", program::name())?;
    for figure in FigureId::value_variants() {
        if let Some(value) = figure.to_possible_value() {
            let help = value
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            writeln!(
                out,
                "  {:<14} {help}; needs any model and text",
                value.get_name()
            )?;
        }
    }
    writeln!(out, "\nClaims (claims.csv of reproduce):")?;
    for claim in CLAIMS {
        let mut needs: Vec<String> = claim.needs.iter().map(|figure| figure.name()).collect();
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
    let families: Vec<&str> = Family::all()
        .iter()
        .map(|family| family.model_type())
        .collect();
    writeln!(
        out,
        "  DIR            any checkpoint folder in the Hugging Face layout: {}",
        families.join(", ")
    )?;
    writeln!(out, "\nCorpora (--corpus FILE):")?;
    writeln!(
        out,
        "  {:<14} the embedded text, public domain",
        "(none given)"
    )?;
    writeln!(
        out,
        "  {:<14} one document, cut into windows; needs the model's tokenizer.json",
        ".txt .raw"
    )?;
    writeln!(
        out,
        "  {:<14} one document a line; needs the model's tokenizer.json",
        ".jsonl"
    )?;
    writeln!(out, "  {:<14} rows of token ids", ".npy")?;
    Ok(())
}
