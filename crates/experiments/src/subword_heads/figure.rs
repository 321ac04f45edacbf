//! The drawings.

use super::table::{Cell, Record, Selection};
use crate::core::models;
use layerwise_plot::{
    Axis, ColourMap, Figure, HeatMap, Line, Mark, Panel, Point, RowZero, Scale, Side,
};
use ndarray::Array2;

/// Selections with the titles of their panels.
const SELECTIONS: [(Selection, &str); 3] = [
    (Selection::Single, "Last word one token"),
    (Selection::Multi, "Last word four tokens"),
    (Selection::MultiFiltered, "Four tokens, filtered"),
];

/// The third selection in descriptions.
const FILTERED: &str = "; and of the latter only windows that pass the filter of the published figure, which asks for \
                        attention that falls from piece to piece, so this fall proves nothing";

/// The drawings with their file names: for one model the maps of its head; for any number of models the means of their
/// heads.
pub fn drawings(records: &[Record], cells: &[Cell]) -> Vec<(String, Figure)> {
    let named = cells
        .iter()
        .map(|c| (c.model.as_str(), c.model_type.as_str()));
    let models = models::of(named);
    let mut drawings = Vec::new();
    if let [model] = models.as_slice() {
        let maps = maps(model.name, records, cells);
        drawings.push(("subword-heads".to_owned(), maps));
    }
    if !models.is_empty() {
        let means = means(records, cells, &models);
        drawings.push(("subword-heads-means".to_owned(), means));
    }
    drawings
}

fn maps(model: &str, records: &[Record], cells: &[Cell]) -> Figure {
    let head = cells.first().map_or((0, 0), |cell| (cell.layer, cell.head));
    let shown = cells.iter().map(|cell| cell.sample).max().unwrap_or(0);
    let panels = SELECTIONS.into_iter().filter_map(|(selection, title)| {
        let own = cells.iter().filter(|cell| cell.selection == selection);
        let rows = own.clone().map(|cell| cell.sample).max()?;
        // If only a few rows passed the filter, drawing them would stretch them.
        if selection == Selection::MultiFiltered && rows < shown {
            return None;
        }
        let columns = own.clone().map(|cell| cell.position).max()?;
        let mut values = Array2::from_elem((rows, columns), f64::NAN);
        let mut labels = Array2::from_elem((rows, columns), String::new());
        for cell in own {
            let place = (cell.sample.wrapping_sub(1), cell.position.wrapping_sub(1));
            if let (Some(value), Some(label)) = (values.get_mut(place), labels.get_mut(place)) {
                *value = cell.attention;
                cell.text.trim().clone_into(label);
            }
        }
        let mut windows = records
            .iter()
            .filter(|r| ((r.layer, r.head), r.selection) == (head, selection));
        let windows = windows.next().map_or(0, |r| r.windows);
        Some(vec![Panel {
            title: format!(
                "{title}: block {}, head {}, {rows} of {windows} windows",
                head.0, head.1
            ),
            x: Axis::new("Token position", Scale::Integer).between(1.0, columns as f64),
            y: Axis::new("Sample", Scale::Integer).between(1.0, rows as f64),
            y2: None,
            marks: vec![Mark::HeatMap(HeatMap {
                values,
                low: 0.0,
                high: 1.0,
                map: ColourMap::Viridis,
                row_zero: RowZero::Top,
                labels: Some(labels),
                unit: "Attention".to_owned(),
            })],
        }])
    });
    let panels: Vec<Vec<Panel>> = panels.collect();
    let filtered = match panels.len() == SELECTIONS.len() {
        true => FILTERED,
        false => "",
    };
    Figure {
        title: format!("A head of {model} that merges the pieces of a word"),
        description: format!(
            "Each row is one window of words, each cell one of its last 16 tokens, coloured by the attention that the last \
             token pays to it, from 0 to 1. Rows are taken evenly from all windows, and no two have twelve tokens in a row in \
             common. Panels: the last word is one token; it is four tokens{filtered}."
        ),
        rows: panels,
        legend: Vec::new(),
    }
}

/// Mean attention by distance, for each model's head in the maps.
fn means(records: &[Record], cells: &[Cell], models: &[models::Model<'_>]) -> Figure {
    let panel = |(selection, title): (Selection, &str)| {
        let lines = models.iter().filter_map(|model| {
            let cell = cells
                .iter()
                .find(|c| c.model == model.name && c.model_type == model.family)?;
            let mut own: Vec<&Record> = records
                .iter()
                .filter(|r| r.model == model.name && r.model_type == model.family)
                .filter(|r| (r.layer, r.head, r.selection) == (cell.layer, cell.head, selection))
                .collect();
            own.sort_by_key(|record| record.token);
            let points = own.iter().map(|record| Point {
                x: record.token as f64,
                y: record.attention,
                error: record.attention_se,
            });
            Some(Mark::Line(Line {
                style: model.style,
                label: format!("{}, block {}, head {}", model.name, cell.layer, cell.head),
                points: points.collect(),
                side: Side::Left,
            }))
        });
        Panel {
            title: title.to_owned(),
            x: Axis::new("Tokens before the last", Scale::Integer).between(0.0, 15.0),
            y: Axis::new("Mean attention", Scale::Linear).between(0.0, 1.0),
            y2: None,
            marks: lines.collect(),
        }
    };
    Figure {
        title: "Attention from the last token of a window, of one head of each model".to_owned(),
        description: format!(
            "Mean attention from the last token of a window to the tokens before it; distances 3, 2 and 1 are the first \
             pieces of a word of four tokens. Panels: the last word is one token; it is four tokens{FILTERED}. Bands: one \
             standard error to either side, clustered by document."
        ),
        rows: vec![SELECTIONS.map(panel).to_vec()],
        legend: models::legend(models),
    }
}
