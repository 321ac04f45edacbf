//! A report with made-up numbers and every kind of drawing.

use layerwise_plot::{
    Axis, ColourMap, Dash, Figure, HeatMap, Histogram, LegendEntry, Line, Mark, Marker, OKABE_ITO,
    Panel, Point, RowZero, Rule, Scale, Scatter, Side, Style,
};
use layerwise_report::{
    Citation, Claim, ClaimLine, Drawing, KnownRow, ModelFacts, Report, Section, Table, TableFile,
    Verdict,
};
use ndarray::Array2;

const MODELS: [&str; 3] = ["gpt2-small-stories", "pythia-410m", "llama-tiny"];
const IDS: [&str; 5] = [
    "robustness",
    "cka",
    "suffix-neurons",
    "benchmarks",
    "stages",
];

fn styles(models: &[&str]) -> Vec<Style> {
    let colours = OKABE_ITO.iter().take(models.len());
    let style = |&colour| Style {
        colour,
        dash: Dash::Solid,
        marker: Marker::Circle,
    };
    colours.map(style).collect()
}

fn figure(title: &str, rows: Vec<Vec<Panel>>, models: &[&str]) -> Figure {
    Figure {
        title: title.to_owned(),
        description: format!("{title}, of made-up numbers."),
        rows,
        legend: models
            .iter()
            .zip(styles(models))
            .map(|(&label, style)| LegendEntry {
                label: label.to_owned(),
                group: String::new(),
                style,
            })
            .collect(),
    }
}

fn panel(title: &str, x: Axis, y: Axis, marks: Vec<Mark>) -> Panel {
    Panel {
        title: title.to_owned(),
        x,
        y,
        y2: None,
        marks,
    }
}

fn points(layers: usize, value: impl Fn(f64) -> f64) -> Vec<Point> {
    (0..layers)
        .map(|layer| {
            let x = layer as f64 / (layers.max(2) - 1) as f64;
            let y = value(x);
            Point {
                x,
                y,
                error: Some(0.1 * y.abs()),
            }
        })
        .collect()
}

/// Four panels of lines, like those of the robustness experiment.
pub(crate) fn lines(models: &[&str], layers: usize) -> Figure {
    let line = |index: usize, scale: f64| {
        Mark::Line(Line {
            style: styles(models)[index],
            label: models[index].to_owned(),
            points: points(layers, |x| {
                scale * ((x - 0.5).powi(2) * 4.0 + 0.05) * (1.0 + index as f64)
            }),
            side: Side::Left,
        })
    };
    let marks = |scale: f64| (0..models.len()).map(|index| line(index, scale)).collect();
    let depth = || Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0);
    let row = |title: &str| {
        let kl = Axis::new("KL divergence (nats)", Scale::Log10);
        let accuracy = Axis::new("Relative accuracy", Scale::Linear).between(0.0, 1.0);
        vec![
            panel(title, depth(), kl, marks(3.0)),
            panel(title, depth(), accuracy, marks(0.3)),
        ]
    };
    figure("Robustness", vec![row("Swap"), row("Drop")], models)
}

fn heat_maps(models: &[&str], layers: usize) -> Figure {
    let map = |model: &&str| {
        let values = Array2::from_shape_fn((layers, layers), |(a, b)| {
            (-(a as f64 - b as f64).abs() / layers as f64 * 2.0).exp()
        });
        let map = HeatMap {
            values,
            low: 0.0,
            high: 1.0,
            map: ColourMap::Blues,
            row_zero: RowZero::Bottom,
            labels: None,
            unit: "CKA".to_owned(),
        };
        let layer = || Axis::new("Layer", Scale::Integer);
        panel(model, layer(), layer(), vec![Mark::HeatMap(map)])
    };
    figure(
        "Similarity of blocks",
        vec![models.iter().map(map).collect()],
        &[],
    )
}

fn histograms() -> Figure {
    let styles = styles(&["-ing", "others"]);
    let histogram = |class: usize, neuron: usize| {
        let edges: Vec<f64> = (0..=50).map(|bin| -2.5 + 0.1 * f64::from(bin)).collect();
        let shift = class as f64 * 0.05 * neuron as f64;
        let count = |x: f64| (3000.0 * (-(x - shift).powi(2) * 3.0).exp()).floor();
        Mark::Histogram(Histogram {
            style: styles[class],
            counts: edges[1..].iter().map(|&edge| count(edge)).collect(),
            edges,
        })
    };
    let grid = (0..6).map(|row| {
        let cell = |column: usize| {
            panel(
                &format!("L{row}.{column}"),
                Axis::new("Logit effect", Scale::Linear),
                Axis::new("Tokens", Scale::Log10),
                vec![
                    histogram(1, 6 * row + column),
                    histogram(0, 6 * row + column),
                ],
            )
        };
        (0..6).map(cell).collect()
    });
    figure("Neurons of a suffix", grid.collect(), &["-ing", "others"])
}

fn scatters(models: &[&str], layers: usize) -> Figure {
    let marks = |task: usize| {
        let mut marks = Vec::new();
        for (index, style) in styles(models).into_iter().enumerate() {
            let y = 0.3 + 0.1 * index as f64;
            marks.push(Mark::Rule(Rule {
                y,
                style: Some(style),
            }));
            marks.push(Mark::Scatter(Scatter {
                style,
                label: models[index].to_owned(),
                points: points(layers, |x| y - 0.2 * (x - 0.5).powi(2) * task as f64),
                side: Side::Left,
            }));
        }
        marks
    };
    let task = |(index, title): (usize, &&str)| {
        panel(
            title,
            Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0),
            Axis::new("Accuracy", Scale::Linear),
            marks(index + 1),
        )
    };
    let tasks = ["ARC-Easy", "LAMBADA", "HellaSwag"];
    figure(
        "Benchmarks",
        vec![tasks.iter().enumerate().map(task).collect()],
        models,
    )
}

fn drawn(kind: usize, models: &[&str], layers: usize) -> Figure {
    match kind {
        1 | 6 | 11 | 16 => heat_maps(models, layers),
        2 => histograms(),
        3 | 8 | 13 | 18 => scatters(models, layers),
        _ => lines(models, layers),
    }
}

/// A report of `models` models, at most three, and `figures` figures of models with `layers` blocks.
///
/// Every figure has a drawing of each model, and all but every fourth figure also one of all models.
pub(crate) fn report(models: usize, figures: usize, layers: usize) -> Report {
    let models = &MODELS[..models];
    let drawing = |kind: usize, of: &[&str], model: Option<&str>| {
        let figure = drawn(kind, of, layers);
        Drawing {
            name: format!("figure-{kind}"),
            model: model.map(str::to_owned),
            svg: figure.svg(""),
            title: figure.title,
            description: format!("Figure {kind} of {}: {}", of.join(", "), figure.description),
        }
    };
    let section = |index: usize| {
        let mut drawings: Vec<Drawing> = models
            .iter()
            .map(|&model| drawing(index, &[model], Some(model)))
            .collect();
        if index % 4 != 3 {
            drawings.push(drawing(index, models, None));
        }
        let id = match index {
            0..5 => IDS[index].to_owned(),
            _ => format!("{}-{index}", IDS[index % 5]),
        };
        let rows = models.iter().flat_map(|&model| {
            (0..40).map(move |layer| {
                let mut row = vec![model.to_owned(), layer.to_string()];
                row.extend(
                    (0..14).map(|column| format!("{:.15}", f64::from(layer * column) / 7.0)),
                );
                row
            })
        });
        Section {
            title: format!("Figure {index}: what happens to {}", id.replace('-', " ")),
            stands_for: format!("nips Figure {index}a, v1 Figure 3"),
            caption: format!(
                "Rows: swapping block ℓ with ℓ+1, and dropping block ℓ. Bands: one standard error. ({index})"
            ),
            paper_says: format!(
                "The middle blocks are robust; between 72 % and 95 % of predictions stay ({index})."
            ),
            measured: format!(
                "The median relative accuracy between depths 0.2 and 0.9 is 0.8{index} ± 0.01."
            ),
            drawings,
            table: Table {
                columns: ["model", "layer"]
                    .into_iter()
                    .map(str::to_owned)
                    .chain((0..14).map(|column| format!("quantity_{column}_nats")))
                    .collect(),
                rows: rows.collect(),
                files: models
                    .iter()
                    .map(|model| TableFile {
                        model: Some((*model).to_owned()),
                        path: format!("{model}/{id}.csv"),
                    })
                    .collect(),
            },
            claims: vec![format!("D{index}")],
            id,
        }
    };
    let verdicts = [
        Verdict::Holds,
        Verdict::Fails,
        Verdict::Undecided,
        Verdict::NotTested,
    ];
    let claim = |index: usize| Claim {
        name: format!("D{index}"),
        version: ["nips", "v1, nips", "v1, v3, nips"][index % 3].to_owned(),
        statement: format!(
            "Claim {index}: swapping is milder than dropping at intermediate depth."
        ),
        verdict: verdicts[index % 4],
        reason: format!("the comparison at depth 0.{index} decides"),
        lines: models
            .iter()
            .chain([&"*"])
            .map(|model| ClaimLine {
                model: (*model).to_owned(),
                part: format!("mean difference over depths 0.2 to 0.9, swap ({index})"),
                measured: format!("0.{index}3 nats"),
                interval: "± 0.012".to_owned(),
                threshold: format!("< 0.{index}9"),
                verdict: verdicts[(index + model.len()) % 4],
                reason: format!("The paired difference over depths 0.2 to 0.9 ({index})."),
            })
            .collect(),
    };
    let text = str::to_owned;
    Report {
        title: "The Remarkable Robustness of LLMs, reproduced".to_owned(),
        introduction: vec![text("What this page is about, in made-up numbers.")],
        models: models
            .iter()
            .map(|model| ModelFacts {
                name: (*model).to_owned(),
                kind: text("toy"),
                about: format!("{model} is made up."),
                facts: vec![
                    (text("Blocks"), layers.to_string()),
                    (
                        text("Corpus"),
                        text("pile-sample, 64 sequences, 32,704 positions"),
                    ),
                    (text("Weights (SHA-256)"), "0123456789abcdef".repeat(4)),
                ],
            })
            .collect(),
        sections: (0..figures).map(section).collect(),
        claims: (0..figures + 2).map(claim).collect(),
        glossary: vec![(text("block"), text("An attention sublayer and an MLP."))],
        citations: vec![Citation {
            text: text("Someone: a paper."),
            address: text("https://arxiv.org/abs/2406.19384"),
            bibtex: text("@misc{someone,\n  title = {A paper}\n}"),
        }],
        known: models
            .iter()
            .map(|model| KnownRow {
                quantity: text("Peak of attention to the previous five tokens"),
                model: (*model).to_owned(),
                published: text("0.61"),
                error: text("0.02"),
                measured: text("0.58 ± 0.01"),
            })
            .collect(),
        provenance: vec![
            (
                text("Command"),
                text("cargo xtask reproduce --model pythia-410m --corpus pile.jsonl"),
            ),
            (text("layerwise"), text("0.1.0")),
            (text("Instructions"), text("avx2 fma")),
        ],
    }
}
