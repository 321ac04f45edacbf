//! What is on the page, as plain values.

/// What is on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// What the page is about, for readers who do not know: a paragraph each.
    pub introduction: Vec<String>,
    /// The models of the run, in the order in which they can be chosen.
    pub models: Vec<ModelFacts>,
    /// One for each figure, in reading order.
    pub sections: Vec<Section>,
    /// What was judged: each claim as some versions make it.
    pub claims: Vec<Claim>,
    /// Published numbers beside the measured ones.
    pub known: Vec<KnownRow>,
    /// Words of the field, each with what it means.
    pub glossary: Vec<(String, String)>,
    /// What to cite.
    pub citations: Vec<Citation>,
    /// Facts of the run by name, such as commands, versions and machine.
    pub provenance: Vec<(String, String)>,
}

/// A model of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// Its name, as in the other parts of the report.
    pub name: String,
    /// A word that stands with its name under every drawing, such as `toy`; may be empty.
    pub kind: String,
    /// What a reader has to know of it first, in a sentence; may be empty.
    pub about: String,
    /// Facts by name, such as family, blocks, corpus, sequences.
    pub facts: Vec<(String, String)>,
}

/// A work to cite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// Authors, title, year, on a line.
    pub text: String,
    /// Where it is, an `https` address; may be empty.
    pub address: String,
    /// Its entry for BibTeX.
    pub bibtex: String,
}

/// A figure with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Name of the figure for links: letters, digits and hyphens; unique in the report.
    pub id: String,
    /// Heading.
    pub title: String,
    /// The published figures that this one stands for.
    pub stands_for: String,
    /// What the drawings show.
    pub caption: String,
    /// What the paper says of it.
    pub paper_says: String,
    /// What this run measured.
    pub measured: String,
    /// The drawings, of one model or of all together.
    pub drawings: Vec<Drawing>,
    /// The numbers behind the drawings.
    pub table: Table,
    /// Names of the claims that are judged by this figure.
    pub claims: Vec<String>,
}

/// A drawing of a figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    /// The name of its file, without extension.
    pub name: String,
    /// The model that is drawn; none where all are drawn together.
    pub model: Option<String>,
    /// The drawing, as [`layerwise_plot::Figure::svg`] makes it.
    pub svg: String,
    /// Its title.
    pub title: String,
    /// What it shows, in words: its caption, and what those hear who cannot see it.
    pub description: String,
}

/// Numbers as rows of text.
///
/// The page shows the first rows of each model, told by the column `model`, with rounded numbers. It holds all of them to
/// be saved, unless they are too many, and links to the files that hold them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows; each has a cell for each column.
    pub rows: Vec<Vec<String>>,
    /// CSV files with all rows.
    pub files: Vec<TableFile>,
}

/// A CSV file beside the report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFile {
    /// The model whose rows it holds; none where it holds those of all.
    pub model: Option<String>,
    /// Path from the folder of the report, with `/` between its parts.
    pub path: String,
}

/// The outcome of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// What is claimed was measured.
    Holds,
    /// The contrary was measured.
    Fails,
    /// What was measured agrees with both.
    Undecided,
    /// Nothing was measured.
    #[default]
    NotTested,
}

/// A claim as it was judged by all models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// Name of the claim, such as `D1`.
    pub name: String,
    /// Versions of the paper that make it.
    pub version: String,
    /// What is claimed.
    pub statement: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What decided; may be empty.
    pub reason: String,
    /// What was compared, part by part and model by model.
    pub lines: Vec<ClaimLine>,
}

/// One comparison of a measured number with what is claimed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimLine {
    /// The model, or `*` where models are compared.
    pub model: String,
    /// Which part of the claim this judges; may be empty.
    pub part: String,
    /// The measured value, with its unit; may be empty.
    pub measured: String,
    /// How exactly it is known, such as `± 0.02`; may be empty.
    pub interval: String,
    /// What the measured value is held against; may be empty.
    pub threshold: String,
    /// The outcome.
    pub verdict: Verdict,
    /// Why; may be empty.
    pub reason: String,
}

/// A published number beside the measured one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownRow {
    /// What was measured, with its unit.
    pub quantity: String,
    /// The model.
    pub model: String,
    /// The published value.
    pub published: String,
    /// How exactly it is known; may be empty.
    pub error: String,
    /// The value of this run.
    pub measured: String,
}
