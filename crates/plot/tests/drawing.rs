//! Every kind of mark is drawn, whatever its values, and with the same bytes.

#![allow(
    clippy::expect_used,
    reason = "a test reports by panicking, in its helpers too"
)]

use layerwise_plot::{
    Axis, Colour, ColourMap, Dash, Figure, HeatMap, Histogram, LegendEntry, Line, Mark, Marker,
    OKABE_ITO, Panel, Point, RowZero, Rule, Scale, Scatter, Side, Style,
};
use ndarray::Array2;
use std::path::Path;

/// Three series that differ in colour and marker.
const STYLES: [Style; 3] = [
    style(Colour(0x63, 0xba, 0xe0), Marker::Circle),
    style(Colour(0xe3, 0x64, 0x00), Marker::Square),
    style(OKABE_ITO[0], Marker::Circle),
];

const fn style(colour: Colour, marker: Marker) -> Style {
    Style {
        colour,
        dash: Dash::Solid,
        marker,
    }
}

/// A figure with every mark, scale and special case: a gap, values beyond the axis, bands, a lone error bar.
fn small_figure() -> Figure {
    let models = [
        ("gpt2", "gpt2"),
        ("pythia-1.4b", "gpt_neox"),
        ("a <b> & \"c\"", "none"),
    ];
    let line = |model: usize, values: &[(f64, Option<f64>)]| {
        let points = values.iter().enumerate().map(|(index, &(y, error))| Point {
            x: index as f64,
            y,
            error,
        });
        Mark::Line(Line {
            style: STYLES[model],
            label: models[model].0.to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    };
    let nan = f64::NAN;
    let high = [
        (9.0, Some(2.0)),
        (0.4, Some(0.1)),
        (0.03, Some(0.05)),
        (nan, None),
        (0.7, Some(0.2)),
    ];
    let low = [
        (5.0, None),
        (0.0, None),
        (-2.0, None),
        (0.2, None),
        (f64::INFINITY, None),
    ];
    let flat = [
        (0.1, None),
        (nan, None),
        (0.2, None),
        (nan, None),
        (0.3, None),
    ];
    let marks = || vec![line(0, &high), line(1, &low), line(2, &flat)];
    let panel = |title: &str, scale: Scale| Panel {
        title: title.to_owned(),
        x: Axis::new("Layer", Scale::Integer),
        y: Axis::new("Divergence (nats)", scale),
        y2: None,
        marks: marks(),
    };
    let mut linear = panel("Linear", Scale::Linear);
    linear.marks.insert(
        0,
        Mark::Rule(Rule {
            y: 0.0,
            style: None,
        }),
    );
    let mut fixed = panel("Fixed ends", Scale::Linear);
    fixed.y = fixed.y.between(0.0, 1.0);
    Figure {
        title: "A small figure".to_owned(),
        description: "Every mark & scale.".to_owned(),
        rows: vec![
            vec![panel("Logarithmic", Scale::Log10), linear],
            vec![fixed],
        ],
        legend: models
            .iter()
            .zip(STYLES)
            .map(|(&(label, group), style)| LegendEntry {
                label: label.to_owned(),
                group: group.to_owned(),
                style,
            })
            .collect(),
    }
}

#[test]
fn any_values_can_be_drawn() {
    let odd = [
        f64::MIN,
        -1.0,
        -0.0,
        5e-324,
        1.0,
        1e17,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ];
    let style = STYLES[2];
    let panel = |x: Scale, y: Scale| {
        let points = odd.iter().flat_map(|&x| {
            odd.iter().map(move |&y| Point {
                x,
                y,
                error: Some(y),
            })
        });
        let line = Line {
            style,
            label: "\u{0}".to_owned(),
            points: points.collect(),
            side: Side::Right,
        };
        Panel {
            title: "\u{0}\u{1b}字".to_owned(),
            x: Axis::new("x".repeat(500), x),
            y: Axis::new("y".repeat(500), y),
            y2: None,
            marks: odd
                .iter()
                .map(|&y| Mark::Rule(Rule { y, style: None }))
                .chain([Mark::Line(line)])
                .collect(),
        }
    };
    let scales = [Scale::Linear, Scale::Integer, Scale::Log10];
    let figure = Figure {
        title: String::new(),
        description: String::new(),
        rows: scales
            .map(|y| scales.map(|x| panel(x, y)).to_vec())
            .to_vec(),
        legend: Vec::new(),
    };
    let svg = figure.svg("");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    let empty = Figure {
        rows: Vec::new(),
        ..figure.clone()
    };
    for figure in [figure, empty] {
        figure.png("", 36.0).expect("a figure is a picture");
    }
}

const SERIES: [&str; 2] = ["gpt2", "pythia-1.4b"];

fn series_legend() -> Vec<LegendEntry> {
    SERIES
        .iter()
        .zip(STYLES)
        .map(|(&label, style)| LegendEntry {
            label: label.to_owned(),
            group: String::new(),
            style,
        })
        .collect()
}

fn figure(title: &str, rows: Vec<Vec<Panel>>, legend: Vec<LegendEntry>) -> Figure {
    Figure {
        title: title.to_owned(),
        description: String::new(),
        rows,
        legend,
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

/// Markers with and without error bars, some beyond their axis, over the reference rules of their series.
fn scatter_figure() -> Figure {
    let scatter = |series: usize| {
        let points = (0..12).map(|rank| {
            let x = f64::from(rank);
            let y = 0.5 + 0.12 * (x * 0.7 + series as f64).sin() + 0.03 * x;
            let error = (rank % 3 > 0).then_some(0.02 + 0.004 * x);
            Point { x, y, error }
        });
        Mark::Scatter(Scatter {
            style: STYLES[series],
            label: SERIES[series].to_owned(),
            points: points.collect(),
            side: Side::Left,
        })
    };
    let rule = |series: usize, y: f64| {
        Mark::Rule(Rule {
            y,
            style: Some(STYLES[series]),
        })
    };
    let marks = vec![rule(0, 0.62), rule(1, 0.71), scatter(0), scatter(1)];
    let panel =
        |title: &str, y: Axis| panel(title, Axis::new("Rank", Scale::Integer), y, marks.clone());
    figure(
        "Scatter",
        vec![vec![
            panel("From the values", Axis::new("Accuracy", Scale::Linear)),
            panel(
                "Cut",
                Axis::new("Accuracy", Scale::Linear).between(0.5, 0.8),
            ),
        ]],
        series_legend(),
    )
}

/// A divergence on the left axis and a share on the right one.
fn two_axes_figure() -> Figure {
    let mut styles = STYLES;
    styles[1].dash = Dash::Dashed;
    let line = |series: usize, side: Side, value: &dyn Fn(f64) -> f64| {
        let points = (0..24).map(|layer| {
            let x = f64::from(layer) / 23.0;
            let y = value(x);
            let error = Some(0.05 * y);
            Point { x, y, error }
        });
        Mark::Line(Line {
            style: styles[series],
            label: SERIES[series].to_owned(),
            points: points.collect(),
            side,
        })
    };
    let two = |title: &str, scale: f64| Panel {
        y2: Some(Axis::new("Prediction neurons (%)", Scale::Linear)),
        ..panel(
            title,
            Axis::new("Relative depth", Scale::Linear).between(0.0, 1.0),
            Axis::new("KL divergence (nats)", Scale::Log10),
            vec![
                line(0, Side::Left, &|x| 12.0 * (-4.0 * x).exp() * scale),
                line(1, Side::Right, &|x| {
                    2.5 * scale * (-(x - 0.85).powi(2) * 60.0).exp()
                }),
            ],
        )
    };
    figure(
        "Two axes",
        vec![vec![two("GPT-2", 1.0), two("Pythia", 8.0)]],
        series_legend(),
    )
}

/// A grid of small histograms on logarithmic axes, and impossible bins.
fn histogram_figure(columns: usize, rows: usize, bins: u32) -> Figure {
    let histogram = |series: usize, shift: f64| {
        let edges: Vec<f64> = (0..=bins)
            .map(|bin| -2.0 + 4.0 * f64::from(bin) / f64::from(bins))
            .collect();
        let counts = edges
            .windows(2)
            .map(|ends| (4000.0 * (-((ends[0] - shift) * 2.5).powi(2)).exp()).floor())
            .collect();
        Mark::Histogram(Histogram {
            style: STYLES[series],
            edges,
            counts,
        })
    };
    let odd = Mark::Histogram(Histogram {
        style: STYLES[0],
        edges: vec![0.0, 1.0, 2.0],
        counts: vec![f64::NAN, 5.0, 7.0],
    });
    let mut grid: Vec<Vec<Panel>> = (0..rows)
        .map(|row| {
            (0..columns)
                .map(|column| {
                    let shift = 0.2 * (row as f64 - column as f64) / rows as f64;
                    panel(
                        &format!("L{}.{}", 40 + row, 1234 + column),
                        Axis::new("Logit effect", Scale::Linear),
                        Axis::new("Tokens", Scale::Log10),
                        vec![histogram(0, shift), histogram(1, 0.5 + shift)],
                    )
                })
                .collect()
        })
        .collect();
    let linear = Axis::new("Tokens", Scale::Linear);
    grid[0][0] = panel("Odd", Axis::new("x", Scale::Linear), linear, vec![odd]);
    figure("Histograms", grid, series_legend())
}

fn similarity(layers: usize) -> Array2<f64> {
    Array2::from_shape_fn((layers, layers), |(a, b)| {
        (-(a as f64 - b as f64).abs() / (0.3 * layers as f64)).exp()
    })
}

fn heat_map(values: Array2<f64>, map: ColourMap, row_zero: RowZero, unit: &str) -> HeatMap {
    HeatMap {
        values,
        low: 0.0,
        high: 1.0,
        map,
        row_zero,
        labels: None,
        unit: unit.to_owned(),
    }
}

/// Square maps of different sizes with equal bars; the last row is short, and one map has a cell without a value.
fn heat_map_figure() -> Figure {
    let layer = || Axis::new("Layer", Scale::Integer);
    let map = |layers: usize| {
        let mut values = similarity(layers);
        if layers == 4 {
            values[(1, 2)] = f64::NAN;
            values[(2, 1)] = 7.0;
        }
        let map = heat_map(values, ColourMap::Blues, RowZero::Bottom, "CKA");
        panel(
            &format!("{layers} blocks"),
            layer(),
            layer(),
            vec![Mark::HeatMap(map)],
        )
    };
    figure(
        "Similarity",
        vec![vec![map(12), map(4), map(24)], vec![map(9)]],
        Vec::new(),
    )
}

/// A wide map with texts in its cells, counted from 1 and from the top.
fn labelled_heat_map_figure() -> Figure {
    let words = [
        " circumnavigated",
        " the",
        "par",
        "faite",
        "ment",
        "字",
        "\u{1b}",
        " &",
        "",
        " shen",
    ];
    let (rows, columns) = (10, 16);
    let values = Array2::from_shape_fn((rows, columns), |(row, column)| {
        ((row * 7 + column * 3) % 16) as f64 / 15.0
    });
    let labels = Array2::from_shape_fn((rows, columns), |(row, column)| {
        words[(row * 3 + column) % words.len()].to_owned()
    });
    let map = HeatMap {
        labels: Some(labels),
        ..heat_map(values, ColourMap::Viridis, RowZero::Top, "Attention")
    };
    let panel = |title: &str| {
        panel(
            title,
            Axis::new("Token position", Scale::Integer).between(1.0, 16.0),
            Axis::new("Sample", Scale::Integer).between(1.0, 10.0),
            vec![Mark::HeatMap(map.clone())],
        )
    };
    figure(
        "Attention of a head",
        vec![
            vec![panel("Last word is one token")],
            vec![panel("Last four tokens are one word")],
        ],
        Vec::new(),
    )
}

#[test]
fn any_marks_can_be_drawn() {
    let odd = [
        f64::MIN,
        -1.0,
        0.0,
        5e-324,
        1.0,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let style = STYLES[2];
    let mut rows = Vec::new();
    for scale in [Scale::Linear, Scale::Integer, Scale::Log10] {
        let axis = || Axis::new("", scale);
        let points: Vec<Point> = odd
            .iter()
            .flat_map(|&x| {
                odd.iter().map(move |&y| Point {
                    x,
                    y,
                    error: Some(x),
                })
            })
            .collect();
        let scatter = |side: Side| {
            Mark::Scatter(Scatter {
                style,
                label: "\u{0}\"<&".to_owned(),
                points: points.clone(),
                side,
            })
        };
        let histogram = |edges: &[f64], counts: &[f64]| {
            Mark::Histogram(Histogram {
                style,
                edges: edges.to_vec(),
                counts: counts.to_vec(),
            })
        };
        let mut two = panel(
            "",
            axis(),
            axis(),
            vec![scatter(Side::Left), scatter(Side::Right)],
        );
        let one = two.clone();
        two.y2 = Some(axis());
        let steps = vec![
            histogram(&odd, &odd[1..]),
            histogram(&[], &[]),
            histogram(&odd, &[]),
            histogram(&[], &odd),
        ];
        rows.push(vec![one, two, panel("", axis(), axis(), steps)]);
        let mut maps = Vec::new();
        for (low, high) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (2.0, -1.0),
            (f64::NAN, f64::INFINITY),
        ] {
            for shape in [(3, 3), (1, 9), (0, 9), (9, 0)] {
                let values = Array2::from_shape_fn(shape, |(row, column)| odd[row * 3 + column]);
                let map = HeatMap {
                    low,
                    high,
                    labels: Some(Array2::from_elem((2, 2), "<\u{1}>".repeat(100))),
                    ..heat_map(values, ColourMap::Viridis, RowZero::Top, &"u".repeat(500))
                };
                let far = axis().between(f64::MAX, f64::NAN);
                maps.push(panel(
                    "",
                    far,
                    axis(),
                    vec![Mark::HeatMap(map), scatter(Side::Left)],
                ));
            }
        }
        rows.push(maps);
    }
    for rows in [
        rows.clone(),
        vec![rows[0].clone()],
        vec![rows[1][..1].to_vec()],
    ] {
        let figure = figure("", rows, series_legend());
        let svg = figure.svg("");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        figure.png("", 36.0).expect("a figure is a picture");
    }
}

#[test]
fn markers_and_cells_say_their_values() {
    let check = |figure: Figure, count: usize, expected: &str| {
        let svg = figure.svg("");
        let title = &figure.title;
        assert_eq!(svg.matches(" data-value=\"").count(), count, "{title}");
        let attribute = format!(" data-value=\"{expected}\"");
        assert!(svg.contains(&attribute), "{title}: {expected}");
    };
    check(scatter_figure(), 2 * 2 * 12, "gpt2: x 1, 0.6073 ± 0.024");
    check(small_figure(), 3 * (4 + 5 + 3), "pythia-1.4b: x 3, 0.2");
    check(
        heat_map_figure(),
        12 * 12 + 4 * 4 + 24 * 24 + 9 * 9,
        "row 1, column 2: no value",
    );
    // The bin whose count is NaN has no value.
    check(histogram_figure(1, 1, 40), 1, "1 to 2: 5");
    let narrow = histogram_figure(6, 1, 100);
    check(
        narrow,
        1 + 2 * 5,
        "70868 in all, most in −0.2 to −0.16: 4000",
    );
    check(
        labelled_heat_map_figure(),
        2 * 160,
        "row 1, column 2 ( the): 0.2",
    );
}

#[test]
fn long_curves_have_few_markers_and_empty_panels_say_so() {
    let check = |ys: Vec<f64>, markers: usize, empty: bool| {
        let mut figure = small_figure();
        figure.rows.truncate(1);
        figure.rows[0].truncate(1);
        let Mark::Line(line) = &mut figure.rows[0][0].marks[0] else {
            panic!("a line");
        };
        let points = ys.into_iter().enumerate();
        let points = points.map(|(x, y)| Point {
            x: x as f64,
            y,
            error: None,
        });
        line.points = points.collect();
        figure.rows[0][0].marks.truncate(1);
        let svg = figure.svg("");
        assert_eq!(svg.matches("data-value=").count(), markers);
        assert_eq!(svg.contains("aria-label=\"no values\""), empty);
    };
    check(vec![1.0; 100], 100, false);
    check(vec![1.0; 101], 11, false);
    check(vec![f64::NAN; 3], 0, true);
    check(Vec::new(), 0, true);
}

#[test]
fn a_band_narrows_to_a_point_without_error() {
    let check = |errors: [Option<f64>; 4], bands: &[usize]| {
        let mut figure = small_figure();
        figure.rows.truncate(1);
        figure.rows[0].truncate(1);
        figure.rows[0][0].marks.truncate(1);
        let Mark::Line(line) = &mut figure.rows[0][0].marks[0] else {
            panic!("a line");
        };
        let points = errors.into_iter().enumerate();
        let points = points.map(|(x, error)| Point {
            x: x as f64,
            y: 0.5,
            error,
        });
        line.points = points.collect();
        let svg = figure.svg("");
        let areas = svg.lines().filter(|line| line.contains("fill-opacity"));
        // Corners of each band: two for each of its points.
        let corners = areas.map(|area| area.matches(['M', 'L', 'H', 'V']).count());
        let corners: Vec<usize> = corners.collect();
        assert_eq!(corners, bands, "{errors:?}");
    };
    let some = Some(0.1);
    check([some; 4], &[8]);
    check([Some(0.0), some, some, some], &[8]);
    check([None, some, some, some], &[6]);
    check([some, some, None, some], &[4]);
    check([Some(0.0); 4], &[]);
    check([None; 4], &[]);
}

/// Set `UPDATE_SNAPSHOTS` to rewrite the files, and look at them before committing; `PICTURES` names a folder for the figures as
/// PNG files.
#[test]
fn drawing_is_the_same_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for (name, figure) in [
        ("small-figure", small_figure()),
        ("scatter", scatter_figure()),
        ("two-axes", two_axes_figure()),
        ("histograms", histogram_figure(6, 2, 40)),
        ("heat-maps", heat_map_figure()),
        ("labelled-heat-map", labelled_heat_map_figure()),
    ] {
        let found = figure.svg("");
        let file = folder.join(format!("{name}.svg"));
        if let Some(pictures) = std::env::var_os("PICTURES") {
            let picture = Path::new(&pictures).join(format!("{name}.png"));
            let png = figure.png("", 200.0).expect("a figure is a picture");
            std::fs::write(picture, png).expect("the picture can be written");
        }
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&file, &found).expect("the snapshot can be written");
            continue;
        }
        let expected = std::fs::read_to_string(&file).expect("the snapshot can be read");
        for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{name}, line {}", line + 1);
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
}
