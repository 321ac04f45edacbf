//! The drawings.

use super::table::{Bin, Record};
use crate::core::models;
use crate::neurons::Kind;
use layerwise_plot::{
    Axis, Colour, Dash, Figure, Histogram, LegendEntry, Mark, Marker, Panel, Scale, Style,
};

/// Histograms of one row of the drawing.
const COLUMNS: usize = 6;

const OTHERS: Style = Style {
    colour: Colour(0x56, 0xb4, 0xe9),
    dash: Dash::Solid,
    marker: Marker::Circle,
};

const ENDING: Style = Style {
    colour: Colour(0xd5, 0x5e, 0x00),
    dash: Dash::Solid,
    marker: Marker::Circle,
};

/// The drawings with their file names: a grid of histograms and v1's pair, for one model only. Several models have no joint
/// drawing.
pub fn drawings(records: &[Record], bins: &[Bin]) -> Vec<(String, Figure)> {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.model_type.as_str())),
    );
    let [model] = models.as_slice() else {
        return Vec::new();
    };
    let mut ranked: Vec<&Record> = records.iter().collect();
    ranked.sort_by_key(|record| record.rank);
    let first = |kind: Kind| ranked.iter().copied().find(|record| record.kind == kind);
    let pair = first(Kind::Suppression).zip(first(Kind::Prediction));
    let mut drawings = vec![(
        "suffix-neurons".to_owned(),
        grid(
            format!(
                "Neurons of {} that move the ending \"-ing\" most",
                model.name
            ),
            &ranked.chunks(COLUMNS).collect::<Vec<_>>(),
            bins,
        ),
    )];
    if let Some((suppression, prediction)) = pair {
        let title = format!(
            "The suppression and the prediction neuron of {} that move the ending \"-ing\" most",
            model.name
        );
        let figure = grid(title, &[&[suppression, prediction]], bins);
        drawings.push(("suffix-neurons-pair".to_owned(), figure));
    }
    drawings
}

fn grid(title: String, rows: &[&[&Record]], bins: &[Bin]) -> Figure {
    Figure {
        title,
        description: "Each histogram is one neuron, titled block.neuron with − for suppression and + for prediction: over \
                      the vocabulary, the change of a token's logit for a unit of the neuron's activation, tokens with the \
                      ending apart from the others. Vertical axis: tokens, logarithmic."
            .to_owned(),
        rows: rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let last = at + 1 == rows.len();
                row.iter()
                    .enumerate()
                    .map(|(column, record)| histogram(record, bins, column == 0, last))
                    .collect()
            })
            .collect(),
        legend: [("tokens ending in -ing", ENDING), ("other tokens", OTHERS)]
            .map(|(label, style)| LegendEntry {
                label: label.to_owned(),
                group: String::new(),
                style,
            })
            .to_vec(),
    }
}

fn histogram(record: &Record, bins: &[Bin], first: bool, last: bool) -> Panel {
    let mut own: Vec<&Bin> = bins
        .iter()
        .filter(|bin| bin.model == record.model && bin.rank == record.rank)
        .collect();
    own.sort_by_key(|bin| bin.bin);
    let lows = own.iter().map(|bin| bin.low);
    let edges: Vec<f64> = lows.chain(own.last().map(|bin| bin.high)).collect();
    let steps = |style: Style, count: fn(&Bin) -> u64| {
        Mark::Histogram(Histogram {
            style,
            edges: edges.clone(),
            counts: own.iter().map(|bin| count(bin) as f64).collect(),
        })
    };
    // Neurons differ much in scale, so each has its own axis.
    let x = Axis::new(if last { "W_U·w_out" } else { "" }, Scale::Linear);
    let x = match (edges.first(), edges.last()) {
        (Some(&low), Some(&high)) => x.between(low, high),
        _ => x,
    };
    let sign = match record.kind {
        Kind::Prediction => " +",
        Kind::Suppression => " −",
        Kind::Other => "",
    };
    Panel {
        title: format!("{}.{}{sign}", record.layer, record.neuron),
        x,
        y: Axis::new(if first { "Tokens" } else { "" }, Scale::Log10),
        y2: None,
        marks: vec![
            steps(OTHERS, |bin| bin.others),
            steps(ENDING, |bin| bin.ending),
        ],
    }
}
