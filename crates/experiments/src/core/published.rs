//! The models of the paper, and the paper's tables about them.

use super::models::{Facts, Model};
use std::io;

/// A table as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextTable {
    /// Name of its file, without extension.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// Column headers.
    pub columns: Vec<String>,
    /// Cells row by row, one for each column.
    pub rows: Vec<Vec<String>>,
}

impl TextTable {
    /// The table as CSV, headers first.
    ///
    /// # Errors
    /// None when writing to memory; the type is that of the writer.
    pub fn csv(&self) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// A model of the paper (table 2 and table 3).
struct Published {
    /// The name of its folder, without suffixes.
    name: &'static str,
    /// Its name in table 2.
    title: &'static str,
    /// Its name on the hub.
    repository: &'static str,
    layers: usize,
    parameters: &'static str,
    intervened: bool,
}

macro_rules! published {
    ($($name:literal $title:literal $repository:literal $layers:literal $parameters:literal $intervened:literal;)*) => {
        const PUBLISHED: &[Published] = &[$(Published {
            name: $name,
            title: $title,
            repository: $repository,
            layers: $layers,
            parameters: $parameters,
            intervened: $intervened,
        },)*];
    };
}

published! {
    "pythia-410m" "Pythia 410M" "EleutherAI/pythia-410m-deduped" 24 "410M" true;
    "pythia-1.4b" "Pythia 1.4B" "EleutherAI/pythia-1.4b-deduped" 24 "1.4B" true;
    "pythia-2.8b" "Pythia 2.8B" "EleutherAI/pythia-2.8b-deduped" 32 "2.8B" true;
    "pythia-6.9b" "Pythia 6.9B" "EleutherAI/pythia-6.9b-deduped" 32 "6.9B" true;
    "pythia-12b" "Pythia 12B" "EleutherAI/pythia-12b-deduped" 36 "12B" false;
    "gpt2" "GPT-2 Small" "gpt2" 12 "124M" true;
    "gpt2-medium" "GPT-2 Medium" "gpt2-medium" 24 "355M" true;
    "gpt2-large" "GPT-2 Large" "gpt2-large" 36 "774M" true;
    "gpt2-xl" "GPT-2 XL" "gpt2-xl" 48 "1.5B" true;
    "phi-1" "Phi-1" "microsoft/phi-1" 24 "1.3B" false;
    "phi-1_5" "Phi-1.5" "microsoft/phi-1_5" 24 "1.3B" false;
    "phi-2" "Phi-2" "microsoft/phi-2" 32 "2.7B" false;
    "Llama-3.2-1B" "Llama 3.2 1B" "meta-llama/Llama-3.2-1B" 16 "1B" false;
    "Llama-3.2-3B" "Llama 3.2 3B" "meta-llama/Llama-3.2-3B" 28 "3B" false;
    "Qwen2.5-0.5B" "Qwen 2.5 0.5B" "Qwen/Qwen2.5-0.5B" 24 "0.5B" false;
    "Qwen2.5-1.5B" "Qwen 2.5 1.5B" "Qwen/Qwen2.5-1.5B" 28 "1.5B" false;
    "Qwen2.5-3B" "Qwen 2.5 3B" "Qwen/Qwen2.5-3B" 36 "3B" false;
    "Qwen2.5-14B" "Qwen 2.5 14B" "Qwen/Qwen2.5-14B" 48 "14B" false;
}

/// The name of the paper's model that a folder's name refers to; `-deduped` is ignored.
///
/// ```
/// use layerwise_experiments::core::published::published_name;
///
/// assert_eq!(published_name("pythia-410m-deduped"), Some("pythia-410m"));
/// assert_eq!(published_name("phi-1.5"), Some("phi-1_5"));
/// assert_eq!(published_name("pythia-70m"), None);
/// ```
pub fn published_name(model: &str) -> Option<&'static str> {
    published(model).map(|published| published.name)
}

/// What a panel of models of one family is called: if all are the paper's, the family as papers write it, else the one model, or
/// the `model_type` of several. Models of other origins have the architectures of the paper's, too.
pub fn family_name(models: &[Model<'_>]) -> String {
    let is_published = |model: &Model<'_>| published(model.name).is_some();
    let name = match models {
        [first, ..] if models.iter().all(is_published) => match first.family {
            "gpt2" => "GPT-2",
            "gpt_neox" => "Pythia",
            "phi" => "Phi",
            "llama" => "Llama",
            "qwen2" => "Qwen2",
            other => other,
        },
        [model] => model.name,
        [first, ..] => first.family,
        [] => "",
    };
    name.to_owned()
}

/// Models of related papers with published numbers.
const RELATED: [&str; 4] = ["Llama-2-7B", "Llama-2-13B", "Llama-2-70B", "Mistral-7B"];

/// The name of the related paper's model that a folder's name refers to; `-hf` and `-v0.1` are ignored.
///
/// ```
/// use layerwise_experiments::core::published::related_name;
///
/// assert_eq!(related_name("llama-2-7b-hf"), Some("Llama-2-7B"));
/// assert_eq!(related_name("Llama-2-7b-chat-hf"), None);
/// ```
pub fn related_name(model: &str) -> Option<&'static str> {
    let name = model.strip_suffix("-hf").unwrap_or(model);
    let name = name.strip_suffix("-v0.1").unwrap_or(name);
    let mut known = RELATED.into_iter();
    known.find(|known| known.eq_ignore_ascii_case(name))
}

fn published(model: &str) -> Option<&'static Published> {
    let name = model.strip_suffix("-deduped").unwrap_or(model);
    let name = if name == "phi-1.5" { "phi-1_5" } else { name };
    PUBLISHED
        .iter()
        .find(|published| published.name.eq_ignore_ascii_case(name))
}

/// Cells of a row.
pub fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Table 2: the paper's models and those of the run.
pub fn architectures(models: &[Facts]) -> TextTable {
    let mut rows: Vec<Vec<String>> = PUBLISHED
        .iter()
        .map(|paper| {
            let own = models
                .iter()
                .find(|m| published_name(&m.name) == Some(paper.name));
            let (layers, parameters) = sizes(own);
            let intervened = if paper.intervened { "yes" } else { "no" };
            let stated = paper.layers.to_string();
            strings([
                paper.title,
                &stated,
                paper.parameters,
                intervened,
                &layers,
                &parameters,
            ])
        })
        .collect();
    let others = models.iter().filter(|m| published_name(&m.name).is_none());
    rows.extend(others.map(|model| {
        let (layers, parameters) = sizes(Some(model));
        strings([&model.name, "", "", "", &layers, &parameters])
    }));
    TextTable {
        name: "table-2",
        title: "Models of the paper, and those of this run".to_owned(),
        columns: strings([
            "model",
            "layers (paper)",
            "parameters (paper)",
            "interventions (paper)",
            "layers (this run)",
            "parameters (this run)",
        ]),
        rows,
    }
}

fn sizes(model: Option<&Facts>) -> (String, String) {
    model.map_or_else(Default::default, |model| {
        (model.layers.to_string(), model.parameters.to_string())
    })
}

/// Table 3: names on the hub.
pub fn names(models: &[Facts]) -> TextTable {
    let mut rows: Vec<Vec<String>> = PUBLISHED
        .iter()
        .map(|paper| {
            let own = models
                .iter()
                .find(|m| published_name(&m.name) == Some(paper.name));
            let own = own.map_or("", |model| model.name.as_str());
            strings([paper.title, paper.repository, own])
        })
        .collect();
    let others = models.iter().filter(|m| published_name(&m.name).is_none());
    rows.extend(others.map(|model| strings([&model.name, "", &model.name])));
    TextTable {
        name: "table-3",
        title: "Hugging Face names of the models".to_owned(),
        columns: strings(["model", "Hugging Face name (paper)", "folder (this run)"]),
        rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models;

    fn facts(name: &str) -> Facts {
        Facts {
            name: name.to_owned(),
            family: "gpt2".to_owned(),
            layers: 12,
            parameters: 124_439_808,
        }
    }

    #[test]
    fn a_folder_is_known_by_its_name() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(published_name(name), expected, "{name}");
        };
        check("gpt2", Some("gpt2"));
        check("gpt2-xl", Some("gpt2-xl"));
        check("pythia-2.8b-deduped", Some("pythia-2.8b"));
        check("phi-1_5", Some("phi-1_5"));
        check("phi-1.5", Some("phi-1_5"));
        check("llama-3.2-1b", Some("Llama-3.2-1B"));
        check("gpt2-medium-deduped-mine", None);
        check("deduped", None);
        check("", None);
    }

    #[test]
    fn families_of_other_models_have_no_published_name() {
        let check = |named: &[(&str, &str)], expected: &str| {
            let models = models::of(named.iter().copied());
            assert_eq!(family_name(&models), expected);
        };
        check(&[("pythia-410m", "gpt_neox")], "Pythia");
        let both = [("gpt2", "gpt2"), ("gpt2-xl", "gpt2")];
        check(&both, "GPT-2");
        check(&[("neox-6x160", "gpt_neox")], "neox-6x160");
        let mixed = [("pythia-410m", "gpt_neox"), ("gpt-neox-20b", "gpt_neox")];
        check(&mixed, "gpt_neox");
        check(&[], "");
    }

    #[test]
    fn tables_are_rectangular_and_show_the_run_beside_the_paper() {
        let models = [facts("gpt2"), facts("my, model")];
        let tables = [architectures(&models), names(&models)];
        let found: Vec<&str> = tables.iter().map(|table| table.name).collect();
        assert_eq!(found, ["table-2", "table-3"]);
        for table in &tables {
            for row in &table.rows {
                assert_eq!(row.len(), table.columns.len(), "{}: {row:?}", table.name);
            }
            let text = table.csv().unwrap();
            let mut reader = csv::Reader::from_reader(text.as_slice());
            assert_eq!(reader.records().count(), table.rows.len());
        }
        let table = &tables[0];
        assert_eq!(table.rows.len(), 18 + 1);
        let gpt2 = table
            .rows
            .iter()
            .find(|row| row[0] == "GPT-2 Small")
            .unwrap();
        assert_eq!(gpt2[1..], ["12", "124M", "yes", "12", "124439808"]);
        assert_eq!(table.rows[18][0], "my, model");
        assert_eq!(tables[1].rows[18], ["my, model", "", "my, model"]);
    }
}
