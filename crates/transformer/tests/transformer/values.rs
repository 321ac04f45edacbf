//! Laws of edits of values on executed models: every checkpoint of `fixtures/parity`.

use layerwise_architecture::{Attention, NormPlace, PerLayer};
use layerwise_schedule::{Edit, Schedule, ScheduleError, Site, Source};
use layerwise_transformer::{
    Address, Batch, Constants, Model, ModelConfig, Observer, State, Taken, TransformerError,
    Values, check_site,
};
use ndarray::{Array2, ArrayD, ArrayViewD, ArrayViewMutD, IxDyn, s};
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

const TOKENS: [u32; 7] = [3, 0, 5, 3, 8, 1, 7];
const OTHERS: [u32; 7] = [4, 2, 5, 9, 8, 6, 2];

/// Every fixture; those that only test loading add no new case.
fn models() -> Vec<(String, Model)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("golden.safetensors").exists())
        .collect();
    folders.sort();
    let named = folders.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, Model::open(path).unwrap())
    });
    let models: Vec<_> = named.collect();
    assert!(models.len() > 40, "{} models", models.len());
    models
}

fn made(model: &Model, text: &str) -> Schedule {
    let plain = Schedule::plain(model.stack()).unwrap();
    text.parse::<Edit>()
        .unwrap()
        .apply(&plain)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run(model: &Model, text: &str) -> Array2<f32> {
    model.run(&TOKENS, &made(model, text), &mut ()).unwrap()
}

/// Runs an edit on the first tokens. Its `plain` values come from the same tokens, its `donor` values from another sequence.
fn run_with(model: &Model, text: &str, donor: &[u32]) -> Array2<f32> {
    let (plain, schedule) = (made(model, "id"), made(model, text));
    let mut values = Values::default();
    for (source, tokens) in [(Source::Plain, &TOKENS[..]), (Source::Donor, donor)] {
        let mut taken = Taken::of(schedule.overlay().taken_from(source));
        model.run(tokens, &plain, &mut taken).unwrap();
        values.take(source, taken);
    }
    model.run(&TOKENS, (&schedule, &values), &mut ()).unwrap()
}

/// The writable sites that a model has, each with a block.
fn sites(model: &Model) -> impl Iterator<Item = Site> {
    let has = |site: &Site| site.is_writable() && check_site(model.config(), *site).is_ok();
    Site::ALL.iter().copied().filter(has)
}

fn largest_difference(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    (a - b).iter().fold(0.0, |most, v| most.max(v.abs()))
}

#[test]
fn plain_values_and_those_of_the_sequence_itself_change_no_bit() {
    for (name, model) in models() {
        let expected = run(&model, "id");
        for site in sites(&model) {
            for (verb, edit) in [
                ("plain", format!("plain({site})")),
                ("donor", format!("donor({site})")),
            ] {
                let found = run_with(&model, &edit, &TOKENS);
                assert_eq!(found, expected, "{name}: {verb} of {site}");
            }
        }
        // The same with only some units and positions.
        for edit in [
            "plain(attn.head_out[1,0]@2)",
            "donor(attn.k[0..2,-1]@-3..)",
            "plain(attn.pattern[0,1..]@1..4)",
        ] {
            if model.config().kv_heads > 1 || !edit.contains("attn.k") {
                assert_eq!(run_with(&model, edit, &TOKENS), expected, "{name}: {edit}");
            }
        }
    }
}

#[test]
fn a_donor_of_the_whole_stream_takes_over() {
    for (name, model) in models() {
        let donor = model.run(&OTHERS, &made(&model, "id"), &mut ()).unwrap();
        let last = model.config().layers - 1;
        let edits = [
            "donor(embed)".to_owned(),
            "donor(resid.pre[0])".to_owned(),
            "donor(resid.post[0])".to_owned(),
            format!("donor(resid.post[{last}])"),
            "donor(resid.pre[1])".to_owned(),
        ];
        for edit in edits {
            assert_eq!(run_with(&model, &edit, &OTHERS), donor, "{name}: {edit}");
        }
        // An edit of the last position leaves earlier positions as they are.
        let one = run_with(&model, &format!("donor(resid.post[{last}]@-1)"), &OTHERS);
        assert_eq!(one.row(6), donor.row(6), "{name}");
        assert_eq!(
            one.slice(s![..6, ..]),
            run(&model, "id").slice(s![..6, ..]),
            "{name}"
        );
    }
}

#[test]
fn a_frozen_address_takes_its_value_from_the_plain_pass() {
    for (name, model) in models() {
        let last = model.config().layers - 1;
        let both = format!("zero(attn.out[0]);plain(resid.post[{last}])");
        assert_eq!(
            run_with(&model, &both, &OTHERS),
            run(&model, "id"),
            "{name}"
        );
    }
}

#[test]
fn zeroed_updates_are_dropped_sublayers() {
    for (name, model) in models() {
        if model.config().norm_place == NormPlace::OfSum {
            // The norm of stream and update still acts.
            assert_ne!(
                run(&model, "zero(attn.out[0])"),
                run(&model, "drop_attn(0)"),
                "{name}"
            );
            continue;
        }
        for (zeroed, dropped) in [
            ("zero(attn.out[0])", "drop_attn(0)"),
            ("zero(mlp.out[0..2])", "drop_mlp(0..2)"),
            ("zero(attn.out[1]);zero(mlp.out[1])", "drop(1)"),
            ("repeat(1);zero(mlp.out[1])", "repeat(1);drop_mlp(1)"),
            ("swap(0,1);zero(attn.out[0])", "swap(0,1);drop_attn(0)"),
            (
                "replace(0,1);zero(attn.out[1])",
                "replace(0,1);drop_attn(1)",
            ),
            (
                "parallel(0..2);zero(mlp.out[1])",
                "parallel(0..2);drop_mlp(1)",
            ),
        ] {
            assert_eq!(
                run(&model, zeroed),
                run(&model, dropped),
                "{name}: {zeroed} = {dropped}"
            );
        }
    }
}

#[test]
fn scales_are_what_they_say() {
    for (name, model) in models() {
        let plain = run(&model, "id");
        for site in sites(&model) {
            assert_eq!(
                run(&model, &format!("scale({site},0)")),
                run(&model, &format!("zero({site})")),
                "{name}: {site}"
            );
            assert_eq!(
                run(&model, &format!("scale({site},1)")),
                plain,
                "{name}: {site}"
            );
            assert_ne!(
                run(&model, &format!("scale({site},-2)")),
                plain,
                "{name}: {site}"
            );
        }
        // Without an output bias, scaling the heads one by one is scaling the attention.
        let biased = largest_difference(
            &run(&model, "zero(attn.head_out[0])"),
            &run(&model, "drop_attn(0)"),
        ) > 0.0;
        if !biased {
            let heads: Vec<String> = (0..model.config().heads)
                .map(|head| format!("scale(attn.head_out[0,{head}],0.5)"))
                .collect();
            let (found, expected) = (
                run(&model, &heads.join(";")),
                run(&model, "scale_attn(0,0.5)"),
            );
            if model.config().norm_place == NormPlace::Before {
                let most = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
                assert!(
                    largest_difference(&found, &expected) <= 1e-5 * most,
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn wide_windows_change_no_bit_and_narrow_ones_hide_keys() {
    for (name, model) in models() {
        let plain = run(&model, "id");
        for edit in ["window(0..L,7)", "window(1,100,strict)", "cut(0,0..,2,6)"] {
            assert_eq!(run(&model, edit), plain, "{name}: {edit}");
        }
        for edit in [
            "window(0,3)",
            "window(0,1,strict)",
            "cut(0,0..,3..,1)",
            "cut(1,0,-1,0..3)",
        ] {
            let schedule = made(&model, edit);
            let mut patterns =
                Taken::of([(Some(0), Site::AttnPattern), (Some(1), Site::AttnPattern)]);
            let end = model.run(&TOKENS, &schedule, &mut patterns).unwrap();
            assert!(end.iter().all(|v| v.is_finite()), "{name}: {edit}");
            for ((block, _), pattern) in patterns.kept() {
                for ((head, query, key), weight) in pattern
                    .view()
                    .into_dimensionality::<ndarray::Ix3>()
                    .unwrap()
                    .indexed_iter()
                {
                    let masks = schedule.overlay().masks(block.unwrap());
                    let hidden = masks
                        .into_iter()
                        .any(|mask| mask.hides(head, query, key, 7));
                    assert!(
                        !hidden || *weight == 0.0,
                        "{name}: {edit}, {head} {query} {key}"
                    );
                }
                for sum in pattern.sum_axis(ndarray::Axis(2)).iter() {
                    assert!((sum - 1.0).abs() < 1e-5, "{name}: {edit} {sum}");
                }
            }
        }
    }
}

#[test]
fn a_query_keeps_a_key_of_the_models_own_window() {
    let config = ModelConfig::tiny().with(|c| {
        c.attention = PerLayer::same(Attention::default().with(|a| a.window = Some(2)));
    });
    let model = Model::random(config, 3);
    let check = |edit: &str, is_refused: bool| {
        let schedule = made(&model, edit);
        let run = model.run(&TOKENS, &schedule, &mut ()).map(drop);
        let state = State::new(&model, &schedule, TOKENS.len()).map(drop);
        for outcome in [run, state] {
            let found = match outcome {
                Ok(()) => false,
                Err(TransformerError::Schedule(error)) => {
                    matches!(*error, ScheduleError::NoKeyLeft { query: 6, .. })
                }
                Err(error) => panic!("{edit}: {error}"),
            };
            assert_eq!(found, is_refused, "{edit}");
        }
    };
    check("cut(0,0,6,5..7)", true);
    check("cut(0,0,6,6)", false);
    check("cut(0,0,6,0..6)", false);
}

#[test]
fn an_edit_changes_nothing_before_its_positions() {
    for (name, model) in models() {
        let plain = run(&model, "id");
        for site in sites(&model) {
            let edited = run(&model, &format!("scale({site}@4..,-3)"));
            assert_eq!(
                edited.slice(s![..4, ..]),
                plain.slice(s![..4, ..]),
                "{name}: {site}"
            );
            assert_ne!(edited, plain, "{name}: {site}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Laws for any family, tokens, site and positions. That edits change anything is tested above: on equal tokens, for example,
    /// an edit of queries changes nothing.
    #[test]
    fn edits_of_values_keep_their_laws(
        (model, site) in any::<(Index, Index)>(),
        tokens in proptest::collection::vec(0_u32..10, 2..9),
        from in any::<Index>(),
        moving in proptest::sample::select(vec!["drop(0)", "swap(0,1)", "repeat(1)", "reverse(0..L)", "parallel(0..2)"]),
    ) {
        static MODELS: LazyLock<Vec<(String, Model)>> = LazyLock::new(models);
        let (name, model) = model.get(&MODELS[..]);
        let sites: Vec<Site> = sites(model).collect();
        let (site, from) = (site.get(&sites), from.index(tokens.len()));
        let at = format!("{site}@{from}..");
        let run = |text: &str| -> Array2<f32> {
            let (plain, schedule) = (made(model, "id"), made(model, text));
            let mut taken = Taken::of(schedule.overlay().taken_from(Source::Plain));
            model.run(&tokens, &plain, &mut taken).unwrap();
            let mut values = Values::default();
            values.take(Source::Plain, taken);
            model.run(&tokens, (&schedule, &values), &mut ()).unwrap()
        };
        let plain = run("id");
        prop_assert_eq!(&run(&format!("plain({at})")), &plain, "{} {}", name, at);
        let scaled = format!("scale({at},-3)");
        let edited = run(&scaled);
        prop_assert_eq!(edited.slice(s![..from, ..]), plain.slice(s![..from, ..]), "{} {}", name, at);
        let [last, both] = [run(&format!("zero({at})")), run(&format!("{scaled};zero({at})"))];
        prop_assert_eq!(both, last, "{} {}", name, at);
        let [before, after] = [format!("{scaled};{moving}"), format!("{moving};{scaled}")];
        prop_assert_eq!(run(&before), run(&after), "{} {}", name, before);
    }
}

/// Multiplies one site, as a schedule's `scale` does.
struct Scaling(Site, f32, usize);

impl Observer for Scaling {
    fn wants(&self, _: Address) -> bool {
        false
    }
    fn observe(&mut self, _: Address, _: ArrayViewD<'_, f32>) {}
    fn edits(&self, address: Address) -> bool {
        address.site == self.0
    }
    fn edit(&mut self, _: Address, mut activation: ArrayViewMutD<'_, f32>) {
        self.2 += 1;
        activation.mapv_inplace(|value| value * self.1);
    }
}

#[test]
fn an_observer_writes_what_an_edit_writes_under_every_schedule() {
    for (name, model) in models() {
        for site in sites(&model) {
            for moved in [
                "id",
                "repeat(1)",
                "drop_attn(0)",
                "drop_mlp(1)",
                "swap(0,1)",
                "parallel(0..2)",
            ] {
                let mut scaling = Scaling(site, -0.5, 0);
                let written = model
                    .run(&TOKENS, &made(&model, moved), &mut scaling)
                    .unwrap();
                assert!(scaling.2 > 0, "{name}: {site} under {moved}");
                let edited = run(&model, &format!("{moved};scale({site},-0.5)"));
                assert_eq!(written, edited, "{name}: {site} under {moved}");
            }
        }
    }
}

#[test]
fn batches_and_states_have_the_bits_of_sequences_alone() {
    let edits = [
        "zero(attn.head_out[0,0])",
        "scale(resid.post[1]@3..,0.5)",
        "window(0..2,2)",
        "cut(1,0,3..,0..2)",
        "zero(attn.pattern[1,0]@2);scale(attn.k[0],2)",
        "zero(embed@1)",
    ];
    for (name, model) in models() {
        for edit in edits {
            let schedule = made(&model, edit);
            let alone = [&TOKENS[..], &OTHERS[..5]]
                .map(|tokens| model.run(tokens, &schedule, &mut ()).unwrap());
            let mut batch = Batch::default();
            let whole = batch.add(&TOKENS);
            let parent = batch.add(&OTHERS[..2]);
            let child = batch.add_child(parent, &OTHERS[2..5]);
            let together = model.run(&batch, &schedule, &mut ()).unwrap();
            assert_eq!(
                together.slice(s![batch.rows_of(whole), ..]),
                alone[0],
                "{name}: {edit}"
            );
            assert_eq!(
                together.slice(s![batch.rows_of(parent), ..]),
                alone[1].slice(s![..2, ..]),
                "{name}: {edit}"
            );
            assert_eq!(
                together.slice(s![batch.rows_of(child), ..]),
                alone[1].slice(s![2.., ..]),
                "{name}: {edit}"
            );
            let mut state = State::new(&model, &schedule, 7).unwrap();
            let parts =
                [&TOKENS[..3], &TOKENS[3..4], &TOKENS[4..]].map(|part| state.extend(part).unwrap());
            let rows: Vec<_> = parts.iter().flat_map(|part| part.outer_iter()).collect();
            assert_eq!(
                ndarray::stack(ndarray::Axis(0), &rows).unwrap(),
                alone[0],
                "{name}: {edit}"
            );
            // Next to a sequence without edits.
            let plain = model.plain();
            let new = |schedule| State::new(&model, schedule, 7).unwrap();
            let [mut edited, mut other, mut shorter] =
                [new(&schedule), new(&plain), new(&schedule)];
            let mut all = [
                (&mut edited, &TOKENS[..]),
                (&mut other, &TOKENS[..]),
                (&mut shorter, &OTHERS[..5]),
            ];
            let together = State::extend_all(&mut all).unwrap();
            let unedited = model.run(&TOKENS, &plain, &mut ()).unwrap();
            for (first, expected) in [(0, &alone[0]), (7, &unedited), (14, &alone[1])] {
                let rows = together.slice(s![first..first + expected.nrows(), ..]);
                assert_eq!(rows, expected, "{name}: {edit}");
            }
        }
    }
}

#[test]
fn what_a_state_cannot_know_is_refused_with_a_reason() {
    let (_, model) = models().swap_remove(0);
    let check = |edit: &str, expected: &str| {
        let error = State::new(&model, &made(&model, edit), 7).unwrap_err();
        assert!(error.to_string().contains(expected), "{edit}: {error}");
    };
    check("plain(attn.out[0])", "takes values of the plain run");
    check("donor(attn.out[0])", "takes values of a paired sequence");
    check("mean(attn.out[0])", "takes means of a reference text");
    check("zero(embed@-1)", "is not known in advance");
    check(
        "zero(embed@7)",
        "position 7 is out of range in a sequence of 7 tokens",
    );
    check("cut(0,0,2,0..3)", "left without any key");
}

#[test]
fn constants_act_as_their_numbers_say() {
    for (name, model) in models() {
        let c = model.config();
        let numbers = |shape: &[usize]| {
            ArrayD::from_shape_fn(IxDyn(shape), |index| {
                0.1 * (index[shape.len() - 1] as f32 - 1.5)
            })
        };
        let mut constants = Constants::default();
        constants
            .set_tensor("stream".parse().unwrap(), numbers(&[c.model]))
            .unwrap();
        constants
            .set_tensor("head".parse().unwrap(), numbers(&[c.head]))
            .unwrap();
        constants
            .set_tensor("heads".parse().unwrap(), numbers(&[c.heads, c.head]))
            .unwrap();
        constants.set_mean((Some(1), Site::MlpOut), numbers(&[c.model]));
        let constants = Arc::new(constants);
        let run = |edit: &str| {
            let values = Values::of(Arc::clone(&constants));
            let schedule = made(&model, edit);
            model.run(&TOKENS, (&schedule, &values), &mut ())
        };
        for (one, other) in [
            ("put(mlp.out[1],stream)", "mean(mlp.out[1])"),
            ("put(attn.head_out[0],head)", "put(attn.head_out[0],heads)"),
            (
                "put(attn.head_out[0,1],head)",
                "zero(attn.head_out[0,1]);add(attn.head_out[0,1],heads,1)",
            ),
            (
                "add(resid.post[0],stream,2)",
                "add(resid.post[0],stream,1);add(resid.post[0],stream,1)",
            ),
        ] {
            let off = largest_difference(&run(one).unwrap(), &run(other).unwrap());
            assert!(off < 1e-4, "{name}: {one} = {other} within {off}");
        }
        assert!(
            matches!(
                run("put(mlp.out[1],other)"),
                Err(TransformerError::MissingValues { .. })
            ),
            "{name}"
        );
        assert!(
            matches!(
                run("mean(mlp.out[0])"),
                Err(TransformerError::MissingValues { .. })
            ),
            "{name}"
        );
        if c.model != c.head {
            let error = run("put(mlp.out[1],head)").unwrap_err();
            assert!(
                matches!(error, TransformerError::ValuesShape { .. }),
                "{name}: {error}"
            );
        }
    }
    let not_finite = Constants::default().set_tensor(
        "v".parse().unwrap(),
        ArrayD::from_elem(IxDyn(&[3]), f32::NAN),
    );
    let message = not_finite.unwrap_err().to_string();
    assert_eq!(
        message,
        "tensor `v`: expected finite values, found NaN at index 0 in row-major order"
    );
}
