//! What a model is put through for the experiments of a run, each pass once.

/// What a model is put through; experiments share passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Altered schedules on the corpus.
    Sweep,
    /// The plain model on the corpus, observed.
    Plain,
    /// The weights alone.
    Weights,
    /// The plain model on windows of words.
    Words,
    /// The plain model on word-in-context pairs.
    Pairs,
    /// The plain model on contexts of the ending "-ing".
    Suffix,
    /// Altered schedules on benchmark items.
    Benchmarks,
    /// The plain model on text of another kind, observed.
    Shift,
}

/// The passes that yield an experiment's tables.
pub fn passes(experiment: &str) -> &'static [Pass] {
    match experiment {
        "stages" | "scale" => &[Pass::Sweep, Pass::Plain, Pass::Weights],
        "robustness" | "repeats" => &[Pass::Sweep],
        "cka" | "attention-locality" | "lens-entropy" | "mlp-norm" | "sublayer-ratio" => {
            &[Pass::Plain]
        }
        "subword-heads" => &[Pass::Words],
        "wic" => &[Pass::Pairs],
        "lens-kl" => &[Pass::Plain, Pass::Weights],
        "neurons" | "suffix-neurons" => &[Pass::Weights],
        "suffix-probe" => &[Pass::Weights, Pass::Suffix],
        "benchmarks" => &[Pass::Benchmarks],
        "shift" => &[Pass::Plain, Pass::Shift],
        _ => &[],
    }
}
