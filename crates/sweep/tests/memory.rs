//! What the engine holds, measured by counting every allocation of this process; so this file has one test only.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_architecture::{Attention, Mlp, PerLayer, Rotary};
use layerwise_schedule::EditFamily;
use layerwise_sweep::{Divergence, Engine, Plan, SweepError, worker_bytes};
use layerwise_transformer::{Model, ModelConfig};
use peak_alloc::PeakAlloc;
use std::num::NonZeroUsize;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Tokens of the longest sequence.
const LENGTH: usize = 60;

/// Tokens of a vocabulary whose logits are larger than all that a worker may hold.
const WIDE_VOCAB: usize = 16_000;

/// Bytes by which the growth of a queue may differ between runs.
const SLACK: usize = 500;

/// The most bytes that a run on `sequences` sequences holds besides what was there before.
fn peak(model: &Model, plan: &Plan, sequences: usize, threads: usize) -> usize {
    let vocab = model.config().vocab;
    // The first is the longest; the lengths of others differ, so that buffers are made anew.
    let tokens: Vec<Vec<u32>> = (0..sequences)
        .map(|s| {
            let length = LENGTH - s % 3;
            (0..length)
                .map(|t| ((s * 977 + t * 131) % vocab) as u32)
                .collect()
        })
        .collect();
    let sequences: Vec<(usize, &Vec<u32>)> = tokens.iter().enumerate().collect();
    let measure = Divergence::new();
    let engine = Engine::new(model, plan, &measure).threads(NonZeroUsize::new(threads).unwrap());
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    engine
        .run(&sequences, |_, _| Ok::<(), SweepError>(()))
        .unwrap();
    ALLOCATED.peak_usage() - before
}

#[test]
fn memory_is_within_its_bound_and_does_not_grow_with_the_corpus() {
    let wide = ModelConfig::tiny().with(|c| {
        c.model = 64;
        c.vocab = WIDE_VOCAB;
    });
    let gated = ModelConfig::tiny().with(|c| {
        c.mlp = Mlp::Gated;
        c.learned_positions = None;
        c.attention = PerLayer::same(Attention::rotary(Rotary::new(8, 1e4)));
        c.kv_heads = 1;
        c.layers = 7;
    });
    let families: [&[&str]; 3] = [
        &["drop(l)", "swap(l,l+1)"],
        &["drop(l);drop(m)", "keep(0..l)", "repeat(l..L)"],
        &["parallel(0..l+2)", "drop(1)"],
    ];
    for config in [wide, gated] {
        let model = Model::random(config, 5);
        for texts in families {
            let families: Vec<EditFamily> =
                texts.iter().map(|text| text.parse().unwrap()).collect();
            let plan = Plan::new(model.stack(), &families, 4096).unwrap();
            let bound = worker_bytes(&model, &plan, &Divergence::new(), LENGTH);
            let logits = (LENGTH - 1) * model.config().vocab * size_of::<f32>();
            if model.config().vocab == WIDE_VOCAB {
                assert!(bound < logits, "{bound} bytes, logits {logits}");
            }
            let few = peak(&model, &plan, 4, 1);
            assert!(few <= bound, "{texts:?}: {few} bytes, at most {bound}");
            assert!(few > bound / 3, "{texts:?}: {few} bytes of {bound}");
            // Were anything kept of a sequence, 12 more would show.
            let many = peak(&model, &plan, 16, 1);
            assert!(many <= few + SLACK, "{texts:?}: {many} bytes, before {few}");
            for threads in [2, 5] {
                let peak = peak(&model, &plan, 16, threads);
                let bound = bound * threads;
                assert!(peak <= bound, "{texts:?}: {peak} bytes, at most {bound}");
            }
        }
    }
}
