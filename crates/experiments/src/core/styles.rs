//! Colours and line styles of models, the same for a model in every figure.
//!
//! Each family has a hue and a marker, and larger models of a family are darker. The hues of the two families that most figures
//! compare, GPT-2 and Pythia, stay distinct under red-green colour blindness at every pair of sizes. Among five families hue
//! alone cannot achieve that, so the marker distinguishes families as well.
//! A model whose name does not state its size has the middle colour of its family, so that it looks the same alone and next to
//! others. A model of an unknown family takes the next colour of [`OKABE_ITO`].

use layerwise_plot::{Colour, Dash, LegendEntry, Marker, OKABE_ITO, Style};

/// The style of the n-th line of one model.
pub fn nth(place: usize) -> Style {
    const MARKERS: [Marker; 5] = [
        Marker::Circle,
        Marker::Square,
        Marker::Triangle,
        Marker::Diamond,
        Marker::TriangleDown,
    ];
    const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];
    Style {
        colour: OKABE_ITO[place % OKABE_ITO.len()],
        dash: DASHES[place % DASHES.len()],
        marker: MARKERS[place % MARKERS.len()],
    }
}

/// A legend of lines with these styles, in order.
pub fn legend_of<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<LegendEntry> {
    let entry = |(place, label): (usize, &str)| LegendEntry {
        label: label.to_owned(),
        group: String::new(),
        style: nth(place),
    };
    labels.enumerate().map(entry).collect()
}

/// The style of one family of models.
struct Look {
    /// Values of `model_type` that belong to the family.
    model_types: &'static [&'static str],
    /// Colours of its smallest, middle and largest model, from light to dark.
    ramp: [Colour; 3],
    marker: Marker,
    /// Parameters of the models at the ends of the ramp.
    smallest: f64,
    largest: f64,
}

const FAMILIES: &[Look] = &[
    Look {
        model_types: &["gpt2"],
        ramp: [
            Colour(0x63, 0xba, 0xe0),
            Colour(0x23, 0x7f, 0xc8),
            Colour(0x13, 0x31, 0x6d),
        ],
        marker: Marker::Circle,
        smallest: 124e6,
        largest: 1.5e9,
    },
    Look {
        model_types: &["gpt_neox", "pythia"],
        ramp: [
            Colour(0xec, 0xa3, 0x42),
            Colour(0xe3, 0x64, 0x00),
            Colour(0x7d, 0x25, 0x16),
        ],
        marker: Marker::Square,
        smallest: 160e6,
        largest: 12e9,
    },
    Look {
        model_types: &["phi"],
        ramp: [
            Colour(0xe2, 0x8d, 0xcc),
            Colour(0xbc, 0x48, 0x91),
            Colour(0x6b, 0x13, 0x46),
        ],
        marker: Marker::Triangle,
        smallest: 1.0e9,
        largest: 2.7e9,
    },
    Look {
        model_types: &["llama"],
        ramp: [
            Colour(0x5b, 0xc9, 0x9e),
            Colour(0x19, 0x96, 0x6e),
            Colour(0x00, 0x4c, 0x3a),
        ],
        marker: Marker::Diamond,
        smallest: 135e6,
        largest: 8e9,
    },
    Look {
        model_types: &["qwen2"],
        ramp: [
            Colour(0xaa, 0xa8, 0xc0),
            Colour(0x74, 0x72, 0x85),
            Colour(0x2d, 0x2b, 0x3c),
        ],
        marker: Marker::TriangleDown,
        smallest: 0.5e9,
        largest: 14e9,
    },
];

/// Models whose names state no number of parameters. Phi-1 and Phi-1.5 are equally large; their version distinguishes them.
const NAMED_SIZES: &[(&str, f64)] = &[
    ("gpt2", 124e6),
    ("gpt2-medium", 355e6),
    ("gpt2-large", 774e6),
    ("gpt2-xl", 1.5e9),
    ("phi-1", 1.0e9),
    ("phi-1_5", 1.5e9),
    ("phi-1.5", 1.5e9),
    ("phi-2", 2.7e9),
];

/// The colour of a model by its `name` and its `family` (the `model_type` of its config).
///
/// `None` if the family is unknown. A name states a size if it is one of GPT-2's or Phi's or has a part such as `410m` or `2.8B`
/// between hyphens; other models of a family get its middle colour.
///
/// ```
/// # use layerwise_experiments::core::styles::colour_of_model;
/// let small = colour_of_model("pythia-410m", "gpt_neox");
/// assert_eq!(small, colour_of_model("EleutherAI/pythia-410m-deduped", "gpt_neox"));
/// assert_ne!(small, colour_of_model("pythia-2.8b", "gpt_neox"));
/// assert_eq!(colour_of_model("my-model", "my-family"), None);
/// ```
pub fn colour_of_model(name: &str, family: &str) -> Option<Colour> {
    let family = family_of(family)?;
    let depth = |size: f64| {
        let depth = (size / family.smallest).ln() / (family.largest / family.smallest).ln();
        depth.clamp(0.0, 1.0)
    };
    let depth = parameters_of(name).map_or(0.5, depth);
    Some(Colour::along(&family.ramp, depth))
}

/// Styles of the models of one figure, given as (name, family), in their order.
///
/// Models that would get the same colour differ in their dash pattern, for up to four of them.
pub fn styles_of_models(models: &[(&str, &str)]) -> Vec<Style> {
    let mut styles: Vec<Style> = Vec::with_capacity(models.len());
    let mut unknown = 0;
    for &(name, family) in models {
        let colour = colour_of_model(name, family).unwrap_or_else(|| {
            unknown += 1;
            OKABE_ITO[(unknown - 1) % OKABE_ITO.len()]
        });
        let twins = styles.iter().filter(|style| style.colour == colour).count();
        styles.push(Style {
            colour,
            dash: Dash::ALL[twins % Dash::ALL.len()],
            marker: family_of(family).map_or(Marker::Circle, |family| family.marker),
        });
    }
    styles
}

/// The position of a model in a legend: known families first, each from small to large, then by name.
pub fn legend_order<'a>(name: &'a str, family: &'a str) -> impl Ord + use<'a> {
    let rank = FAMILIES
        .iter()
        .position(|known| known.model_types.contains(&family))
        .unwrap_or(FAMILIES.len());
    // Sizes are positive, and bit patterns of positive numbers are ordered as the numbers are.
    let size = parameters_of(name).map_or(u64::MAX, f64::to_bits);
    let family = if rank == FAMILIES.len() { family } else { "" };
    (rank, family, size, name)
}

fn family_of(model_type: &str) -> Option<&'static Look> {
    FAMILIES
        .iter()
        .find(|family| family.model_types.contains(&model_type))
}

/// The number of parameters that a model's name states.
fn parameters_of(name: &str) -> Option<f64> {
    let name = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let named = NAMED_SIZES.iter().find(|(known, _)| *known == name);
    named.map(|&(_, size)| size).or_else(|| {
        name.split(['-', '_']).rev().find_map(|part| {
            let (number, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
            let unit = match unit {
                "k" => 1e3,
                "m" => 1e6,
                "b" => 1e9,
                _ => return None,
            };
            let digits = number.chars().all(|c| c.is_ascii_digit() || c == '.');
            let count: f64 = number.parse().ok().filter(|_| digits)?;
            (count > 0.0 && count.is_finite()).then_some(count * unit)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER_MODELS: [(&str, &str); 18] = [
        ("gpt2", "gpt2"),
        ("gpt2-medium", "gpt2"),
        ("gpt2-large", "gpt2"),
        ("gpt2-xl", "gpt2"),
        ("pythia-410m", "gpt_neox"),
        ("pythia-1.4b", "gpt_neox"),
        ("pythia-2.8b", "gpt_neox"),
        ("pythia-6.9b", "gpt_neox"),
        ("pythia-12b", "gpt_neox"),
        ("phi-1", "phi"),
        ("phi-1_5", "phi"),
        ("phi-2", "phi"),
        ("Llama-3.2-1B", "llama"),
        ("Llama-3.2-3B", "llama"),
        ("Qwen2.5-0.5B", "qwen2"),
        ("Qwen2.5-1.5B", "qwen2"),
        ("Qwen2.5-3B", "qwen2"),
        ("Qwen2.5-14B", "qwen2"),
    ];

    #[test]
    fn sizes_are_read_from_names() {
        let check = |name: &str, expected: Option<f64>| {
            assert_eq!(parameters_of(name), expected, "{name:?}");
        };
        check("gpt2", Some(124e6));
        check("openai-community/gpt2-xl", Some(1.5e9));
        check("EleutherAI/pythia-2.8b-deduped", Some(2.8e9));
        check("SmolLM2-135M", Some(135e6));
        check("Qwen2.5-0.5B-Instruct", Some(0.5e9));
        check("microsoft/phi-1_5", Some(1.5e9));
        check("stories-260k", Some(260e3));
        check("plain-b", None);
        check("infb", None);
        check("naïve-ö", None);
        check("0m", None);
        check("", None);
    }

    #[test]
    fn models_of_a_family_darken_with_size() {
        for pair in PAPER_MODELS.windows(2) {
            let [(small, family), (large, other)] = [pair[0], pair[1]];
            if family == other {
                let light = colour_of_model(small, family).unwrap().luminance();
                let dark = colour_of_model(large, family).unwrap().luminance();
                assert!(light > dark * 1.15, "{small} {light}, {large} {dark}");
            }
        }
    }

    #[test]
    fn no_two_models_of_a_figure_look_the_same() {
        let unknown: Vec<String> = (0..10).map(|index| format!("model {index}")).collect();
        let models: Vec<(&str, &str)> = PAPER_MODELS
            .into_iter()
            .chain([("tiny-1k", "llama"), ("tiny-2k", "llama")])
            .chain(unknown.iter().map(|name| (name.as_str(), "none")))
            .collect();
        let styles = styles_of_models(&models);
        assert_eq!(styles.len(), models.len());
        for (index, style) in styles.iter().enumerate() {
            assert_eq!(styles[..index].iter().find(|other| *other == style), None);
        }
    }

    #[test]
    fn a_model_looks_the_same_alone_and_beside_others() {
        let models = [("gpt2-8x160", "gpt2"), ("smollm2", "llama")];
        let together = styles_of_models(&models);
        for (model, style) in models.into_iter().zip(together) {
            assert_eq!(styles_of_models(&[model]), [style]);
        }
    }

    #[test]
    fn legends_are_ordered_by_family_and_size() {
        let mut models = PAPER_MODELS.to_vec();
        models.extend([("zebra", "a"), ("zebra", "b"), ("bear", "b")]);
        let expected = [
            &PAPER_MODELS[..],
            &[("zebra", "a"), ("bear", "b"), ("zebra", "b")],
        ]
        .concat();
        models.reverse();
        models.sort_by(|a, b| legend_order(a.0, a.1).cmp(&legend_order(b.0, b.1)));
        assert_eq!(models, expected);
    }
}
