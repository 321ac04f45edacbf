//! The plain forward pass, both lenses and the drop + swap sweep of a small random model, in tokens a second.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use layerwise::schedule::{EditFamily, Schedule};
use layerwise::sweep::{Divergence, Engine, Plan, SweepError};
use layerwise::transformer::{Model, ModelConfig};
use ndarray::Array2;
use std::convert::Infallible;

fn model() -> Model {
    let config = ModelConfig::tiny().with(|c| {
        c.layers = 8;
        c.model = 256;
        c.heads = 4;
        c.kv_heads = 4;
        c.head = 64;
        c.neurons = 1024;
        c.vocab = 4096;
        c.context = 256;
    });
    Model::random(config, 1)
}

fn tokens() -> Vec<u32> {
    (0..256).map(|i| i * 37 % 4096).collect()
}

fn forward(criterion: &mut Criterion) {
    let (model, tokens) = (model(), tokens());
    let plain = Schedule::plain(model.stack()).expect("the model has blocks");
    let mut group = criterion.benchmark_group("forward pass");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(tokens.len() as u64));
    group.bench_function("logits everywhere", |bencher| {
        bencher.iter(|| {
            model
                .logits(&tokens, &plain)
                .expect("the tokens fit the model")
        });
    });
    group.finish();
}

fn lens(criterion: &mut Criterion) {
    let (model, tokens) = (model(), tokens());
    let width = model.config().model;
    // The cost does not depend on the values in the residual streams.
    let states: Vec<_> = (0..=model.config().layers)
        .map(|state| {
            let stream = Array2::from_shape_fn((tokens.len(), width), |(position, feature)| {
                ((state + 3 * position + 7 * feature) as f32).sin()
            });
            model.lens_state(stream.view())
        })
        .collect();
    let mut group = criterion.benchmark_group("lens");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(tokens.len() as u64));
    group.bench_function("both lenses, 8 blocks", |bencher| {
        bencher.iter(|| model.compare_lenses(&states, || Ok::<(), Infallible>(())));
    });
    group.finish();
}

fn sweep(criterion: &mut Criterion) {
    let (model, tokens) = (model(), tokens());
    let families: Vec<EditFamily> = ["drop(l)", "swap(l,l+1)"]
        .map(|text| text.parse().expect("the family is well formed"))
        .to_vec();
    let plan = Plan::new(model.stack(), &families, 4096).expect("the families fit the model");
    let measure = Divergence::new();
    let mut group = criterion.benchmark_group("sweep");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(tokens.len() as u64));
    group.bench_function("drop and swap, 8 blocks", |bencher| {
        bencher.iter(|| {
            Engine::new(&model, &plan, &measure)
                .run(&[(0, &tokens)], |_, _| Ok::<(), SweepError>(()))
                .expect("the tokens fit the model");
        });
    });
    group.finish();
}

criterion_group!(benches, forward, lens, sweep);
criterion_main!(benches);
