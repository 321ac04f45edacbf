//! Results like the published ones of Llama-2-7B, at the depths of any model, for tests of claims.

use super::measure::curve_name;
use super::published::published;
use super::table::{Compared, Comparison, Part, Record, Removal, Setting};
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::core::testing::{states, units};

/// Adds the records of one model.
pub(crate) fn add(facts: &Facts, tables: &mut Tables) {
    let layers = facts.layers;
    let published = published().expect("the data are whole");
    let at = |setting: Setting, depth: f64| {
        let own = published
            .iter()
            .filter(|p| p.model == "Llama-2-7B" && p.setting == setting);
        let own: Vec<f64> = own.map(|p| p.percent).collect();
        own[(depth * (own.len() - 1) as f64).round() as usize] / 100.0
    };
    let settings = Setting::ALL.into_iter();
    for setting in settings.filter(|setting| *setting != Setting::RepeatPrevToken) {
        for (state, depth) in states(facts) {
            let accuracy = at(setting, depth);
            units(
                tables,
                facts,
                &curve_name("wic", setting),
                state,
                accuracy,
                0.001,
            );
            for (aniso, pos, change) in [
                (Removal::Batch, Part::All, 0.0),
                (Removal::None, Part::All, -0.02),
                (Removal::Batch, Part::Noun, 0.01),
                (Removal::Batch, Part::Verb, -0.03),
            ] {
                tables.push(Record {
                    model: facts.name.clone(),
                    model_type: facts.family.clone(),
                    pairs_of: "wic".to_owned(),
                    setting,
                    aniso,
                    pos,
                    state,
                    normed: state == layers,
                    layers,
                    relative_depth: depth,
                    threshold: 0.3,
                    dev_accuracy: accuracy + change,
                    test_accuracy: accuracy + change,
                    test_accuracy_se: 0.013,
                    auc: Some(accuracy),
                    dev_items: 638,
                    items: 1400,
                });
            }
        }
    }
    let compared = |comparison, setting, other, difference| Compared {
        model: facts.name.clone(),
        pairs_of: "wic".to_owned(),
        comparison,
        setting,
        other,
        difference,
        difference_se: Some(0.008),
        only_first: None,
        only_second: None,
        p_value: None,
        items: 1400,
    };
    let (base, repeat, previous) = (Setting::Base, Setting::Repeat, Setting::RepeatPrev);
    tables.push(compared(Comparison::Deep, repeat, base, 0.027));
    tables.push(compared(Comparison::FirstHalf, repeat, previous, 0.086));
    tables.push(compared(Comparison::SecondHalf, repeat, previous, 0.034));
    tables.push(compared(Comparison::Halves, repeat, previous, 0.052));
    for setting in [base, repeat, Setting::Prompt2] {
        tables.push(compared(Comparison::Removal, setting, setting, 0.02));
    }
}
