//! The laws of schedules, on executed models.

use layerwise_architecture::{Attention, Bos, Family, Mlp, Norm, PerLayer, Residual, Rotary};
use layerwise_schedule::{Edit, Schedule, Step};
use layerwise_transformer::{
    Address, Batch, Model, ModelConfig, Observer, Recording, Site, TransformerError, Values,
    Workspace, check_site,
};
use ndarray::{Array2, ArrayViewD};
use proptest::prelude::*;

fn sequential(seed: u64) -> Model {
    Model::random(ModelConfig::tiny(), seed)
}

/// Everything that `tiny` is not: parallel residuals, rotary positions, gated MLP, grouped KV heads, RMSNorm.
fn parallel(seed: u64) -> Model {
    let config = ModelConfig::tiny().with(|c| {
        c.family = Family::GptNeoX;
        c.norm = Norm::RmsNorm;
        c.residual = Residual::ParallelTwoNorms;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(4, 100.0)));
        c.mlp = Mlp::Gated;
        c.kv_heads = 2;
        c.tied = false;
        c.bos = Bos::Nothing;
    });
    Model::random(config, seed)
}

fn models() -> [Model; 2] {
    [sequential(11), parallel(12)]
}

fn any_model() -> impl Strategy<Value = Model> {
    (any::<bool>(), any::<u64>()).prop_map(|(is_parallel, seed)| match is_parallel {
        true => parallel(seed),
        false => sequential(seed),
    })
}

fn any_tokens() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(0_u32..50, 1..70).prop_map(|mut tokens| {
        tokens.truncate(64);
        tokens
    })
}

const TOKENS: [u32; 9] = [0, 41, 7, 7, 23, 3, 49, 12, 5];

fn schedule(model: &Model, edit: &str) -> Schedule {
    edit.parse::<Edit>()
        .unwrap()
        .apply(&Schedule::plain(model.stack()).unwrap())
        .unwrap()
}

fn logits(model: &Model, tokens: &[u32], edit: &str) -> Array2<f32> {
    model.logits(tokens, &schedule(model, edit)).unwrap()
}

/// Reads the stream after every block and writes nothing.
struct Blocks<'a>(&'a mut Vec<Array2<f32>>);

impl Observer for Blocks<'_> {
    fn wants(&self, address: Address) -> bool {
        address.site == Site::ResidPost
    }
    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        self.0
            .push(activation.to_owned().into_dimensionality().unwrap());
    }
}

/// A plain run in which the updates of some blocks are zeroed after they are computed.
fn zero_ablated(model: &Model, tokens: &[u32], blocks: std::ops::Range<usize>) -> Array2<f32> {
    let mut residual = model.embed(tokens).unwrap();
    let mut workspace = Workspace::new(model, &tokens.into());
    for stage in Schedule::plain(model.stack()).unwrap().stages() {
        let Some(Step::Update(parts)) = stage.step() else {
            unreachable!()
        };
        let before = residual.clone();
        model.apply(&stage, &mut residual, &mut workspace, &Values::default());
        if parts.iter().any(|part| blocks.contains(&part.block())) {
            let update = (&residual - &before) * 0.0;
            residual = before + update;
        }
    }
    model.unembed(model.final_norm(residual.view()).view())
}

#[test]
fn the_legacy_lens_differs_from_the_logits_by_the_biases_alone() {
    let model = sequential(11);
    let last = model
        .run(&TOKENS, &schedule(&model, "id"), &mut ())
        .unwrap();
    let difference = model.legacy_lens(last.view(), last.view()) - logits(&model, &TOKENS, "id");
    for row in difference.outer_iter() {
        let off = (&row - &difference.row(0))
            .iter()
            .fold(0.0_f32, |most, v| most.max(v.abs()));
        assert!(
            off < 1e-4,
            "the omitted bias is the same at every position, off by {off}"
        );
    }
    let early = model.embed(&TOKENS).unwrap();
    let (small, large) = (
        model.legacy_lens(early.view(), last.view()),
        model.standard_lens(early.view()),
    );
    assert_ne!(small, large);
}

#[test]
fn sites_have_the_shapes_their_names_promise() {
    for model in models() {
        let c = model.config().clone();
        let sites: Vec<Site> = Site::ALL
            .iter()
            .copied()
            .filter(|site| check_site(&c, *site).is_ok())
            .collect();
        let mut recording = Recording::of(&c, &sites).unwrap();
        model
            .observed_logits(&TOKENS, &schedule(&model, "repeat(2)"), &mut recording)
            .unwrap();
        let seq = TOKENS.len();
        for (address, activation) in recording.activations() {
            let expected = match address.site {
                Site::AttnQ | Site::AttnHeadOut => vec![seq, c.heads, c.head],
                Site::AttnK | Site::AttnV => vec![seq, c.kv_heads, c.head],
                Site::AttnPattern => vec![c.heads, seq, seq],
                Site::MlpPre | Site::MlpUp | Site::MlpPost => vec![seq, c.neurons],
                Site::Logits => vec![seq, c.vocab],
                _ => vec![seq, c.model],
            };
            assert_eq!(activation.shape(), expected, "{address:?}");
            assert_eq!(
                address.block.is_some(),
                address.site.in_block(),
                "{address:?}"
            );
        }
        let runs = recording
            .activations()
            .keys()
            .filter(|a| a.block == Some(2) && a.site == Site::ResidPost);
        assert_eq!(runs.count(), 2, "a repeated block has distinct readings");
    }
}

/// Every run of a block offers the stream once as `resid.pre` and once as `resid.post`, whatever parts an edit left of the block.
/// Each run reads the stream that the run before it left.
#[test]
fn each_run_of_a_block_offers_the_stream_before_and_after_it() {
    let edits = [
        ("id", vec![0, 1, 2, 3]),
        ("drop_attn(1)", vec![0, 1, 2, 3]),
        ("drop_mlp(1)", vec![0, 1, 2, 3]),
        ("drop_attn(0);drop_mlp(2)", vec![0, 1, 2, 3]),
        ("repeat(1)", vec![0, 1, 1, 2, 3]),
        ("repeat(1);drop_attn(1)", vec![0, 1, 1, 2, 3]),
        ("repeat(1);drop_mlp(1)", vec![0, 1, 1, 2, 3]),
        ("loop(0..2);drop_mlp(0)", vec![0, 1, 0, 1, 2, 3]),
        ("replace(2,1);drop_mlp(1)", vec![0, 1, 1, 3]),
        ("scale_attn(1,0.5);drop_mlp(0..2)", vec![0, 1, 2, 3]),
    ];
    for model in [sequential(11), parallel(12)] {
        for (edit, runs) in &edits {
            let sites = [Site::Embed, Site::ResidPre, Site::ResidPost];
            let mut recording = Recording::of(model.config(), &sites).unwrap();
            let edited = schedule(&model, edit);
            let last = model.run(&TOKENS, &edited, &mut recording).unwrap();
            let of = |site| {
                let activations = recording.activations().iter();
                activations
                    .filter(move |(address, _)| address.site == site)
                    .map(|(address, activation)| (address.block.unwrap(), activation.clone()))
                    .unzip::<usize, _, Vec<_>, Vec<_>>()
            };
            let ((read, before), (left, after)) = (of(Site::ResidPre), of(Site::ResidPost));
            assert_eq!((&read, &left), (runs, runs), "{edit}");
            assert_eq!(
                before[0],
                *recording.get(None, Site::Embed).unwrap(),
                "{edit}"
            );
            assert_eq!(before[1..], after[..after.len() - 1], "{edit}");
            assert_eq!(*after.last().unwrap(), last.into_dyn(), "{edit}");
        }
    }
}

#[test]
fn sites_that_a_model_lacks_are_refused() {
    let refused = |model: &Model, site| {
        matches!(
            Recording::of(model.config(), &[site]),
            Err(TransformerError::NoSuchSite { .. })
        )
    };
    assert!(refused(&parallel(12), Site::ResidMid) && !refused(&sequential(11), Site::ResidMid));
    assert!(refused(&sequential(11), Site::MlpUp) && !refused(&parallel(12), Site::MlpUp));
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = sequential(11);
    let plain = Schedule::plain(model.stack()).unwrap();
    assert!(matches!(
        model.logits(&[], &plain),
        Err(TransformerError::EmptySequence)
    ));
    assert!(matches!(
        model.logits(&[50], &plain),
        Err(TransformerError::TokenOutOfRange {
            token: 50,
            position: 0,
            vocab: 50
        })
    ));
    assert!(matches!(
        model.logits(&[1; 65], &plain),
        Err(TransformerError::SequenceTooLong {
            found: 65,
            context: 64
        })
    ));
    let other = Schedule::plain(parallel(12).stack()).unwrap();
    assert!(matches!(
        model.logits(&[1], &other),
        Err(TransformerError::ScheduleMismatch { .. })
    ));
}

fn any_edit() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("id".to_owned()),
        (0..4).prop_map(|l| format!("drop({l})")),
        (0..4, 0..4).prop_map(|(l, m)| format!("swap({l},{m})")),
        (0..4).prop_map(|l| format!("repeat({l})")),
        (0..3).prop_map(|l| format!("parallel({l}..{})", l + 2)),
        (0..4).prop_map(|l| format!("scale_mlp({l},0.25)")),
        Just("reverse(0..4)".to_owned()),
        Just("parallel(1..4,sum);drop(2)".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_empty_edit_is_a_plain_loop_over_blocks(model in any_model(), tokens in any_tokens()) {
        let plain = Schedule::plain(model.stack()).unwrap();
        let mut residual = model.embed(&tokens).unwrap();
        let mut workspace = Workspace::new(&model, &Batch::from(&tokens));
        let mut after_blocks = Vec::new();
        let steps_per_block = plain.steps().len() / model.config().layers;
        for block in 0..model.config().layers {
            for stage in plain.stages().skip(block * steps_per_block).take(steps_per_block) {
                let Some(Step::Update(parts)) = stage.step() else { panic!("the plain schedule has no branches") };
                prop_assert!(parts.iter().all(|part| part.block() == block && part.scale() == 1.0));
                model.apply(&stage, &mut residual, &mut workspace, &Values::default());
            }
            after_blocks.push(residual.clone());
        }
        let mut seen = Vec::new();
        let last = model.run(&tokens, &schedule(&model, "id"), &mut Blocks(&mut seen)).unwrap();
        prop_assert_eq!(seen, after_blocks);
        prop_assert_eq!(&last, &residual);
        let expected = model.unembed(model.final_norm(residual.view()).view());
        prop_assert_eq!(logits(&model, &tokens, "id"), expected);
    }

    #[test]
    fn dropping_blocks_zeroes_their_updates(model in any_model(), tokens in any_tokens(), first in 0usize..4, length in 1usize..4) {
        let last = (first + length).min(4);
        let zeroed = zero_ablated(&model, &tokens, first..last);
        prop_assert_eq!(&logits(&model, &tokens, &format!("scale({first}..{last},0)")), &zeroed);
        if last - first < 4 {
            prop_assert_eq!(&logits(&model, &tokens, &format!("drop({first}..{last})")), &zeroed);
        }
    }

    #[test]
    fn the_standard_lens_at_the_last_step_gives_the_logits(model in any_model(), tokens in any_tokens(), edit in any_edit()) {
        let last = model.run(&tokens, &schedule(&model, &edit), &mut ()).unwrap();
        prop_assert_eq!(model.standard_lens(last.view()), logits(&model, &tokens, &edit));
    }

    #[test]
    fn a_later_token_changes_no_earlier_position(model in any_model(), tokens in any_tokens(), edit in any_edit(), at: prop::sample::Index, token in 0u32..50) {
        let schedule = schedule(&model, &edit);
        let before = model.logits(&tokens, &schedule).unwrap();
        let at = at.index(tokens.len());
        let mut changed = tokens;
        changed[at] = token;
        let after = model.logits(&changed, &schedule).unwrap();
        for position in 0..at {
            prop_assert_eq!(before.row(position), after.row(position));
        }
    }

    #[test]
    fn equal_edits_give_equal_logits(model in any_model(), tokens in any_tokens(), l in 0usize..4, m in 0usize..4) {
        let pairs = [
            (format!("drop({l})"), format!("drop_attn({l});drop_mlp({l})")),
            (format!("swap({l},{m});swap({m},{l})"), "id".to_owned()),
            (format!("drop({l});drop({m})"), format!("drop([{m},{l}])")),
            (format!("repeat({l},1)"), format!("scale({m},1)")),
            (format!("loop({l}..{},3)", l + 1), format!("repeat({l},3)")),
            ("reverse(0..4);reverse(0..4)".to_owned(), "id".to_owned()),
        ];
        for (a, b) in pairs {
            prop_assert_eq!(logits(&model, &tokens, &a), logits(&model, &tokens, &b), "{} = {}", a, b);
        }
    }
}
