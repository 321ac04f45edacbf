//! The contents of the page, as plain values.

/// The contents of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// An introduction for readers new to the topic, one paragraph each.
    pub introduction: Vec<String>,
    /// The models of the run, in the order of the menu.
    pub models: Vec<ModelFacts>,
    /// One for each figure, in reading order.
    pub sections: Vec<Section>,
    /// The judged claims, each as made by some versions of the paper.
    pub claims: Vec<Claim>,
    /// Published numbers next to the measured ones.
    pub known: Vec<KnownRow>,
    /// Terms of the field, each with its meaning.
    pub glossary: Vec<(String, String)>,
    /// Works to cite.
    pub citations: Vec<Citation>,
    /// Facts about the run by name, such as commands, versions and machine.
    pub provenance: Vec<(String, String)>,
}

/// A model of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// Its name, as in the other parts of the report.
    pub name: String,
    /// A word shown with its name below every drawing, such as `toy`; may be empty.
    pub kind: String,
    /// What a reader must know about it first, in a sentence; may be empty.
    pub about: String,
    /// Facts by name, such as family, blocks, corpus, sequences.
    pub facts: Vec<(String, String)>,
}

/// A work to cite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// Authors, title and year, on one line.
    pub text: String,
    /// Its `https` address; may be empty.
    pub address: String,
    /// Its BibTeX entry.
    pub bibtex: String,
}

/// A figure with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Name of the figure for links: letters, digits and hyphens; unique in the report.
    pub id: String,
    /// Heading.
    pub title: String,
    /// The published figures that this one corresponds to.
    pub stands_for: String,
    /// What the drawings show.
    pub caption: String,
    /// What the paper says about it.
    pub paper_says: String,
    /// What this run measured.
    pub measured: String,
    /// The drawings, of one model or of all together.
    pub drawings: Vec<Drawing>,
    /// The numbers behind the drawings.
    pub table: Table,
    /// Names of the claims that this figure judges.
    pub claims: Vec<String>,
}

/// A drawing of a figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    /// The name of its file, without extension.
    pub name: String,
    /// The model that is drawn; `None` if all are drawn together.
    pub model: Option<String>,
    /// The drawing, from [`layerwise_plot::Figure::svg`].
    pub svg: String,
    /// Its title.
    pub title: String,
    /// A description: its caption, and its text for screen readers.
    pub description: String,
}

/// Numbers as rows of text.
///
/// The page shows the first rows of each model, identified by the column `model`, with rounded numbers. Unless there are too many
/// rows, the page contains all of them for saving; it also links to the files that hold them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows; each has one cell per column.
    pub rows: Vec<Vec<String>>,
    /// CSV files with all rows.
    pub files: Vec<TableFile>,
}

/// A CSV file next to the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFile {
    /// The model whose rows it holds; `None` if it holds those of all models.
    pub model: Option<String>,
    /// The path from the report's folder, separated by `/`.
    pub path: String,
}

/// The outcome of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The claimed effect was measured.
    Holds,
    /// The opposite was measured.
    Fails,
    /// The measurement is compatible with both.
    Undecided,
    /// Nothing was measured.
    #[default]
    NotTested,
}

/// A claim, as judged on all models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// Name of the claim, such as `D1`.
    pub name: String,
    /// The versions of the paper that make it.
    pub version: String,
    /// What is claimed.
    pub statement: String,
    /// The outcome.
    pub verdict: Verdict,
    /// The deciding reason; may be empty.
    pub reason: String,
    /// The comparisons, part by part and model by model.
    pub lines: Vec<ClaimLine>,
}

/// One comparison of a measured number with the claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimLine {
    /// The model, or `*` if models are compared.
    pub model: String,
    /// The part of the claim that this judges; may be empty.
    pub part: String,
    /// The measured value, with its unit; may be empty.
    pub measured: String,
    /// The uncertainty of the value, such as `± 0.02`; may be empty.
    pub interval: String,
    /// The threshold for the measured value; may be empty.
    pub threshold: String,
    /// The outcome.
    pub verdict: Verdict,
    /// The reason; may be empty.
    pub reason: String,
}

/// A published number next to the measured one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownRow {
    /// The measured quantity, with its unit.
    pub quantity: String,
    /// The model.
    pub model: String,
    /// The published value.
    pub published: String,
    /// The uncertainty of the published value; may be empty.
    pub error: String,
    /// The value of this run.
    pub measured: String,
}
