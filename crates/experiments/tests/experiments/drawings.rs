//! Drawings of figures from weights and from labelled data, made from records alone.

use layerwise_experiments::benchmarks::{self, Intervention};
use layerwise_experiments::core::tables::Tables;
use layerwise_experiments::experiment;
use layerwise_experiments::neurons;
use layerwise_experiments::neurons::Kind;
use layerwise_experiments::subword_heads::{self, Selection};
use layerwise_experiments::suffix_neurons;
use layerwise_experiments::suffix_probe;
use layerwise_experiments::wic::{self, Method};
use layerwise_plot::{Figure, Mark, Panel};

const FIGURES: [&str; 6] = [
    "neurons",
    "suffix-neurons",
    "benchmarks",
    "subword-heads",
    "wic",
    "suffix-probe",
];

fn of(model: &str) -> (String, String) {
    (model.to_owned(), "gpt2".to_owned())
}

fn neuron_record(name: &str, layer: usize, heavy: Option<f64>) -> neurons::Record {
    let (model, family) = of(name);
    neurons::Record {
        model,
        model_type: family,
        layer,
        layers: 3,
        relative_depth: layer as f64 / 2.0,
        neurons: 10,
        prediction: layer,
        suppression: 1,
        partition: 0,
        prediction_percent: 10.0 * layer as f64,
        suppression_percent: 10.0,
        partition_percent: 0.0,
        prediction_above_8_percent: 0.0,
        suppression_above_8_percent: 0.0,
        prediction_above_12_percent: 0.0,
        suppression_above_12_percent: 0.0,
        prediction_by_third_moment_percent: 0.0,
        suppression_by_third_moment_percent: 0.0,
        kurtosis_p05: 2.5,
        kurtosis_p25: 2.9,
        kurtosis_p50: 3.0,
        kurtosis_p75: 5.0,
        kurtosis_p95: 20.0,
        skewness_p05: -1.0,
        skewness_p25: -0.5,
        skewness_p50: 0.0,
        skewness_p75: 0.5,
        skewness_p95: 1.0,
        heavy_skewness_p50: heavy,
    }
}

fn results(model: &str) -> Tables {
    let mut results = Tables::default();
    for layer in 0..3 {
        let heavy = (layer > 0).then_some(-0.5);
        results.push(neuron_record(model, layer, heavy));
    }
    for rank in 1..=8 {
        let (model, family) = of(model);
        let kind = [Kind::Prediction, Kind::Suppression, Kind::Other][rank % 3];
        results.push(suffix_neurons::Record {
            model: model.clone(),
            model_type: family.clone(),
            rank,
            layer: 2,
            layers: 3,
            neuron: rank,
            kind,
            effect: 1.0,
            variance: 0.01,
            skewness: 1.0,
            kurtosis: 11.0,
        });
        for bin in 0..4 {
            results.push(suffix_neurons::Bin {
                model: model.clone(),
                model_type: family.clone(),
                rank,
                bin,
                low: bin as f64 * rank as f64,
                high: (bin + 1) as f64 * rank as f64,
                ending: bin as u64,
                others: 10,
            });
        }
        results.push(suffix_probe::Record {
            model,
            model_type: family,
            rank,
            layer: 2,
            layers: 3,
            neuron: rank,
            kind,
            single_accuracy: 0.7,
            single_accuracy_se: Some(0.1),
            ensemble_accuracy: 0.8,
            ensemble_accuracy_se: None,
            model_accuracy: 0.75,
            model_accuracy_se: Some(0.02),
            examples: 100,
        });
    }
    for (intervention, layer) in [
        (Intervention::None, None),
        (Intervention::Drop, Some(0)),
        (Intervention::Drop, Some(2)),
        (Intervention::Swap, Some(1)),
    ] {
        let (model, family) = of(model);
        results.push(benchmarks::Record {
            model,
            model_type: family,
            task: "standin-cloze".to_owned(),
            intervention,
            layer,
            layers: 3,
            relative_depth: layer.map(|layer| layer as f64 / 2.0),
            accuracy: 0.25,
            accuracy_se: Some(0.05),
            difference: 0.0,
            difference_se: Some(0.0),
            items: 100,
        });
    }
    for selection in [
        Selection::Single,
        Selection::Multi,
        Selection::MultiFiltered,
    ] {
        for token in 0..16 {
            let (model, family) = of(model);
            let attention = if token == 3 { 0.5 } else { 0.01 };
            results.push(subword_heads::Record {
                model: model.clone(),
                model_type: family.clone(),
                layer: 1,
                head: 2,
                layers: 3,
                selection,
                token,
                attention,
                attention_se: Some(0.01),
                windows: 10,
            });
            let samples = if selection == Selection::MultiFiltered {
                1
            } else {
                10
            };
            results
                .of_mut::<subword_heads::Cell>()
                .extend((1..=samples).map(|sample| subword_heads::Cell {
                    model: model.clone(),
                    model_type: family.clone(),
                    layer: 1,
                    head: 2,
                    selection,
                    sample,
                    position: 16 - token,
                    text: format!(" t{token}"),
                    attention,
                }));
        }
    }
    for method in [Method::Probe, Method::Cosine] {
        for state in 0..=3 {
            let (model, family) = of(model);
            results.push(wic::Record {
                model,
                model_type: family,
                pairs_of: "wic".to_owned(),
                method,
                state,
                layers: 3,
                relative_depth: state as f64 / 3.0,
                accuracy: 0.5 + 0.05 * state as f64,
                accuracy_se: Some(0.01),
                chosen: 0.01,
                train_pairs: 100,
                dev_pairs: 10,
                test_pairs: 50,
            });
        }
    }
    results
}

fn shape(figure: &Figure) -> Vec<usize> {
    figure.rows.iter().map(Vec::len).collect()
}

fn points(panel: &Panel) -> Vec<usize> {
    let points = |mark: &Mark| match mark {
        Mark::Line(line) => Some(line.points.len()),
        Mark::Scatter(scatter) => Some(scatter.points.len()),
        _ => None,
    };
    panel.marks.iter().filter_map(points).collect()
}

fn drawings(id: &str, tables: &Tables) -> Vec<(String, Figure)> {
    experiment(id).unwrap().drawings(tables)
}

fn drawing(figure: &str, results: &Tables, name: &str) -> Figure {
    let mut drawings = drawings(figure, results);
    let at = drawings.iter().position(|(own, _)| own == name).unwrap();
    drawings.swap_remove(at).1
}

#[test]
fn without_results_there_is_nothing_to_draw() {
    for figure in FIGURES {
        assert_eq!(drawings(figure, &Tables::default()), [], "{figure:?}");
    }
}

#[test]
fn every_drawing_is_a_picture() {
    let mut both = results("gpt2");
    both.extend(results("gpt2-xl"));
    for results in [&results("gpt2"), &both] {
        for figure in FIGURES {
            for (name, drawing) in drawings(figure, results) {
                let svg = drawing.svg("");
                assert!(!svg.contains("NaN"), "{name}");
                drawing.png("", 36.0).unwrap();
            }
        }
    }
}

#[test]
fn one_model_has_percentiles_and_several_have_medians() {
    let one = results("gpt2");
    let figure = drawing("neurons", &one, "neurons");
    assert_eq!(shape(&figure), [3, 3]);
    assert_eq!(points(&figure.rows[0][0]), [3]);
    assert_eq!(points(&figure.rows[1][0]), [3; 5]);
    let Mark::Line(line) = &figure.rows[1][2].marks[1] else {
        panic!("the median skewness is a line")
    };
    assert!(line.points[0].y.is_nan() && line.points[2].y == -0.5);
    // From half of the least density to a little above the greatest.
    let axes = [0, 1].map(|panel: usize| &figure.rows[0][panel].y);
    assert_eq!(axes[0], axes[1]);
    assert_eq!((axes[0].min, axes[0].max), (Some(5.0), Some(24.0)));
    let mut both = one;
    both.extend(results("gpt2-xl"));
    let figure = drawing("neurons", &both, "neurons");
    assert_eq!(points(&figure.rows[1][0]), [3; 2]);
}

#[test]
fn neurons_of_the_ending_stand_in_rows_of_six() {
    let figure = drawing("suffix-neurons", &results("gpt2"), "suffix-neurons");
    assert_eq!(shape(&figure), [6, 2]);
    let first = &figure.rows[0][0];
    assert_eq!(first.title, "2.1 −");
    let Mark::Histogram(others) = &first.marks[0] else {
        panic!("a histogram")
    };
    assert_eq!(others.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(others.counts, [10.0; 4]);
    assert_eq!(figure.rows[1][1].title, "2.8");
}

#[test]
fn the_first_neuron_of_each_kind_stands_in_the_pair() {
    let mut results = results("gpt2");
    let figure = drawing("suffix-neurons", &results, "suffix-neurons-pair");
    let titles: Vec<&str> = figure.rows[0].iter().map(|p| p.title.as_str()).collect();
    assert_eq!(titles, ["2.1 −", "2.3 +"]);
    results
        .of_mut::<suffix_neurons::Record>()
        .retain(|r| r.kind != Kind::Prediction);
    assert_eq!(drawings("suffix-neurons", &results).len(), 1);
}

#[test]
fn families_are_rows_of_a_drawing_for_each_intervention() {
    let mut both = results("gpt2");
    let mut other = results("pythia-410m");
    for record in other.of_mut::<benchmarks::Record>() {
        record.model_type = "gpt_neox".to_owned();
    }
    both.extend(other);
    let figure = drawing("benchmarks", &both, "benchmarks-drop");
    assert_eq!(shape(&figure), [1, 1]);
    let titles: Vec<&str> = figure
        .rows
        .iter()
        .map(|row| row[0].title.as_str())
        .collect();
    assert_eq!(titles, ["standin-cloze, GPT-2", "standin-cloze, Pythia"]);
    assert_eq!(points(&figure.rows[1][0]), [2]);
    let names = drawings("benchmarks", &both);
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["benchmarks-swap", "benchmarks-drop", "benchmarks-repeat"]
    );
}

#[test]
fn tasks_are_columns_and_interventions_rows() {
    let figure = drawing("benchmarks", &results("gpt2"), "benchmarks");
    assert_eq!(shape(&figure), [1, 1, 1]);
    let counts: Vec<Vec<usize>> = figure.rows.iter().map(|row| points(&row[0])).collect();
    assert_eq!(counts, [[1], [2], [0]], "swap, drop, repeat");
    let said = &figure.description;
    assert!(said.contains("Items: standin-cloze 100."), "{said}");
    for row in &figure.rows {
        assert!(matches!(row[0].marks[0], Mark::Rule(_)), "the plain model");
    }
}

#[test]
fn maps_show_windows_in_their_order() {
    let results = results("gpt2");
    let figure = drawing("subword-heads", &results, "subword-heads");
    // One filtered window is too few for a map.
    assert_eq!(shape(&figure), [1, 1]);
    assert!(!figure.description.contains("filter"));
    let title = "Last word four tokens: block 1, head 2, 10 of 10 windows";
    assert_eq!(figure.rows[1][0].title, title);
    let Mark::HeatMap(map) = &figure.rows[1][0].marks[0] else {
        panic!("a heat map")
    };
    assert_eq!(map.values.dim(), (10, 16));
    assert_eq!(
        map.values[(4, 12)],
        0.5,
        "the word's first piece is the 13th token"
    );
    assert_eq!(map.labels.as_ref().unwrap()[(0, 15)], "t0");
    let means = drawing("subword-heads", &results, "subword-heads-means");
    assert_eq!(points(&means.rows[0][1]), [16]);
}

#[test]
fn senses_have_a_panel_for_each_method() {
    let figure = drawing("wic", &results("gpt2"), "wic");
    assert_eq!(shape(&figure), [2]);
    assert_eq!(points(&figure.rows[0][1]), [4]);
    assert_eq!(figure.rows[0][0].y, figure.rows[0][1].y);
    let said = &figure.description;
    let sizes = "wic: 100 pairs to train, 10 to choose, 50 to test.";
    assert!(said.contains(sizes), "{said}");
}

#[test]
fn probes_show_kinds_ensemble_and_model() {
    let figure = drawing("suffix-probe", &results("gpt2"), "suffix-probe");
    assert_eq!(shape(&figure), [1]);
    assert_eq!(points(&figure.rows[0][0]), [8, 2, 3, 3]);
    assert_eq!(figure.legend.len(), 5);
}
