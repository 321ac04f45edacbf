//! What is on the page, as plain values.

/// What is on the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// The models of the run, in the order in which they can be chosen.
    pub models: Vec<ModelFacts>,
    /// One for each figure, in reading order.
    pub sections: Vec<Section>,
    /// What was judged: one for each part of a claim, version and model.
    pub claims: Vec<ClaimRow>,
    /// Published numbers beside the measured ones.
    pub known: Vec<KnownRow>,
    /// Facts of the run by name, such as commands, versions and machine.
    pub provenance: Vec<(String, String)>,
}

/// A model of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// Its name, as in the other parts of the report.
    pub name: String,
    /// Facts by name, such as family, blocks, corpus, sequences.
    pub facts: Vec<(String, String)>,
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
    /// What tells it from the others of its section.
    pub name: String,
    /// The model that is drawn; none where all are drawn together.
    pub model: Option<String>,
    /// The drawing, as [`layerwise_plot::Figure::svg`] makes it.
    pub svg: String,
    /// What it shows, for readers who cannot see it.
    pub alt: String,
}

/// Numbers as rows of text.
///
/// The page holds the first rows of each model, told by the column `model`, with rounded numbers, and links to the
/// files that hold all.
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

/// A claim as it was judged for a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimRow {
    /// Name of the claim, such as `D1`.
    pub claim: String,
    /// Versions of the paper that make it.
    pub version: String,
    /// The model, or `*` where it compares models.
    pub model: String,
    /// What is claimed.
    pub statement: String,
    /// Which part of it this judges; may be empty.
    pub part: String,
    /// The measured value, with its unit; may be empty.
    pub measured: String,
    /// Its standard error; may be empty.
    pub standard_error: String,
    /// What the measured value is held against; may be empty.
    pub threshold: String,
    /// `holds`, `fails` or `not tested`.
    pub verdict: String,
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
