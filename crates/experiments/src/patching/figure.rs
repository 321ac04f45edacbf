//! The drawings.

use super::table::{Record, SetRecord};
use crate::core::models::{self, Model};
use crate::core::table::distinct;
use layerwise_plot::{Axis, ColourMap, Figure, HeatMap, Mark, Panel, Point, RowZero, Rule, Scale};
use ndarray::Array2;

/// The drawings with their file names: for one model the maps of each set; for any number of models what the stream at the
/// subject's position recovers, if the subject is one token.
pub fn drawings(records: &[Record], sets: &[SetRecord]) -> Vec<(String, Figure)> {
    let named = records
        .iter()
        .map(|r| (r.model.as_str(), r.model_type.as_str()));
    let models = models::of(named);
    let mut drawings = Vec::new();
    if let [model] = models.as_slice() {
        drawings.push(("patching".to_owned(), maps(model.name, records)));
    }
    // Of a subject with several tokens only one is patched, which says little.
    let sets: Vec<&SetRecord> = sets
        .iter()
        .filter(|set| set.first_position == set.subject_position)
        .collect();
    if !sets.is_empty() {
        drawings.push((
            "patching-subject".to_owned(),
            at_subject(records, &sets, &models),
        ));
    }
    drawings
}

/// A row of maps for each set, a column for each site.
fn maps(model: &str, records: &[Record]) -> Figure {
    let sets = distinct(records.iter().map(|r| r.set.as_str()));
    let sites = distinct(records.iter().map(|r| r.site.as_str()));
    let row = |set: &&str| {
        let panel = |site: &&str| map(records, set, site);
        sites.iter().map(panel).collect()
    };
    Figure {
        title: format!("Activation patching of {model}"),
        description: format!(
            "Rows: sets of pairs of prompts. Columns: the site that is replaced by its value in the clean prompt. Each cell is one block \
             and one position of {model}, coloured by the share of the logit difference that comes back."
        ),
        rows: sets.iter().map(row).collect(),
        legend: Vec::new(),
    }
}

fn map(records: &[Record], set: &str, site: &str) -> Panel {
    let own: Vec<&Record> = records
        .iter()
        .filter(|r| (r.set.as_str(), r.site.as_str()) == (set, site))
        .collect();
    let first = own.iter().map(|r| r.position).min().unwrap_or(0);
    let last = own.iter().map(|r| r.position).max().unwrap_or(0);
    let layers = own.iter().map(|r| r.layer + 1).max().unwrap_or(0);
    let mut values = Array2::from_elem((layers, last + 1 - first), f64::NAN);
    for record in own {
        values[(record.layer, record.position - first)] = record.recovered;
    }
    Panel {
        title: format!("{set}, {site}"),
        x: Axis::new("Position", Scale::Integer).between(first as f64, last as f64),
        y: Axis::new("Block", Scale::Integer),
        y2: None,
        marks: vec![Mark::HeatMap(HeatMap {
            values,
            low: 0.0,
            high: 1.0,
            map: ColourMap::Viridis,
            row_zero: RowZero::Bottom,
            labels: None,
            unit: "Recovered".to_owned(),
        })],
    }
}

/// What the stream at the subject's position recovers, against depth; a panel for each set.
fn at_subject(records: &[Record], sets: &[&SetRecord], models: &[Model<'_>]) -> Figure {
    let names = distinct(sets.iter().map(|r| r.set.as_str()));
    let panel = |name: &&str| {
        let is_subject = |r: &&Record| {
            let set = sets
                .iter()
                .find(|set| (set.model.as_str(), set.set.as_str()) == (r.model.as_str(), *name));
            r.set == *name
                && r.site == "resid.post"
                && set.is_some_and(|set| set.subject_position == r.position)
        };
        let lines = models::lines(models, records.iter().filter(is_subject), |r| Point {
            x: r.relative_depth,
            y: r.recovered,
            error: r.recovered_se,
        });
        let rules = [0.0, 1.0].map(|y| Mark::Rule(Rule { y, style: None }));
        Panel {
            title: (*name).to_owned(),
            x: models::block_axis(),
            y: Axis::new("Recovered at the subject", Scale::Linear),
            y2: None,
            marks: rules
                .into_iter()
                .chain(lines.into_iter().map(Mark::Line))
                .collect(),
        }
    };
    Figure {
        title: "What the residual stream at the subject's position recovers".to_owned(),
        description: format!(
            "The share of the logit difference that is recovered when the residual stream after a block, at the position of the \
             word that differs, is replaced by that of the clean prompt; for models in which that word is one token. Horizontal axis: relative depth of the block. Bands: one standard \
             error to either side, clustered by pair. Models: {}.",
            models::names(models)
        ),
        rows: models::on_equal_axes(&models::rows_of(names.iter().map(panel).collect(), 3)),
        legend: models::legend(models),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::lines_of;
    use crate::core::testing::named;
    use crate::patching::synthetic;

    #[test]
    fn one_model_has_maps_and_several_have_lines() {
        let one = named(&["gpt2"], synthetic::add);
        let drawn = drawings(one.of(), one.of());
        let names: Vec<&str> = drawn.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["patching", "patching-subject"]);
        let panels = &drawn[0].1.rows[0];
        let Mark::HeatMap(map) = &panels[0].marks[0] else {
            panic!("a map");
        };
        assert_eq!(panels[0].title, "indirect-objects, resid.post");
        assert_eq!(map.values.dim(), (8, 6));
        assert_eq!((map.values[(0, 0)], map.values[(7, 0)]), (0.95, 0.05));
        assert!(map.values[(0, 1)].is_nan(), "nothing was patched there");
        let several = named(&["gpt2", "gpt2-xl"], synthetic::add);
        let drawn = drawings(several.of(), several.of());
        assert_eq!(drawn.len(), 1);
        let lines = lines_of(&drawn[0].1.rows[0][0]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].points.len(), 8, "at the subject alone");
        assert!(drawings(&[], &[]).is_empty());
        // One token of a two-token subject says little.
        let mut sets = one.of::<SetRecord>().to_vec();
        sets.iter_mut().for_each(|set| set.first_position -= 1);
        let names: Vec<String> = drawings(one.of(), &sets)
            .into_iter()
            .map(|own| own.0)
            .collect();
        assert_eq!(names, ["patching"]);
    }
}
