//! The published curves: test accuracy of Llama-2-7B in five settings and of BERT-large in one, with removal within batches
//! (result files of Fantastic Semantics).

use super::table::Setting;
use crate::core::table::{TableError, parse, record};
use std::path::Path;

record! {
    /// One line of the data: a published accuracy.
    pub struct Published {
        /// The model.
        pub model: String,
        /// The setting in which the state is read.
        pub setting: Setting,
        /// The residual stream; the last is read after the final norm.
        pub state: usize,
        /// Test accuracy in per cent.
        pub percent: f64,
    }
    table("fantastic-semantics") key(model, setting, state) fault(|_| None)
}

/// The published accuracies.
///
/// # Errors
/// None: the data are part of the program, and a test reads them.
pub fn published() -> Result<Vec<Published>, TableError> {
    let data = include_str!("published.csv");
    parse(data.as_bytes(), Path::new("published.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_whole() {
        let published = published().unwrap();
        let check = |model: &str, setting, states: usize, first: f64, last: f64| {
            let own = published
                .iter()
                .filter(|p| p.model == model && p.setting == setting);
            let percent: Vec<f64> = own.map(|p| p.percent).collect();
            assert_eq!(percent.len(), states);
            assert_eq!((percent[0], percent[states - 1]), (first, last));
        };
        check("Llama-2-7B", Setting::Base, 33, 52.79, 59.36);
        check("Llama-2-7B", Setting::Repeat, 33, 52.79, 63.07);
        check("Llama-2-7B", Setting::RepeatPrev, 33, 53.64, 60.29);
        check("Llama-2-7B", Setting::Prompt1, 33, 50.0, 67.79);
        check("Llama-2-7B", Setting::Prompt2, 33, 50.0, 72.07);
        check("BERT-large", Setting::Base, 25, 51.43, 67.64);
        assert_eq!(published.len(), 5 * 33 + 25);
    }
}
