//! Products and the vocabulary pass, at the shapes of GPT-2 small and SmolLM2-135M.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layerwise::kernels::gemm::{Packed, Precision, Scratch, Write, multiply};
use layerwise::kernels::vocabulary::{self, Unembedding};
use ndarray::{Array2, s};

/// On a CPU without AVX512-BF16 the bf16 format is slow.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

fn matrix(rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(r, c)| {
        ((r * 31 + c * 17) % 101) as f32 / 101.0 - 0.5
    })
}

/// Throughput is in floating-point operations, two for each multiply-add.
fn products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("product");
    group.sample_size(20);
    for (rows, inner, columns) in [
        (512, 768, 2304),
        (512, 768, 3072),
        (512, 3072, 768),
        (512, 576, 3072),
        (128, 576, 576),
        (48, 64, 512),
    ] {
        let a = matrix(rows, inner);
        let mut out = Array2::zeros((rows, columns));
        let mut scratch = Scratch::default();
        group.throughput(Throughput::Elements((2 * rows * inner * columns) as u64));
        for precision in PRECISIONS {
            let b = Packed::rounded(matrix(inner, columns).view(), precision);
            group.bench_function(
                BenchmarkId::new(precision.name(), format!("{rows}x{inner}x{columns}")),
                |bencher| {
                    bencher.iter(|| {
                        multiply(
                            a.view(),
                            &b,
                            0..columns,
                            out.view_mut(),
                            Write::Replace,
                            &mut scratch,
                        )
                    });
                },
            );
        }
    }
    group.finish();
}

/// The matrices of SmolLM2-135M's blocks and its unembedding, \[inputs, outputs\], and the number of times each occurs.
const SMOLLM2: [(usize, usize, usize); 5] = [
    (30, 576, 960),
    (30, 576, 576),
    (30, 576, 3072),
    (30, 1536, 576),
    (1, 576, 49_152),
];

/// Products of few rows with every matrix of a model, so that weights come from memory. Throughput is in bytes of weights.
fn few_rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("few rows");
    group.sample_size(10);
    let a = matrix(64, 1536);
    for precision in PRECISIONS {
        let shapes = SMOLLM2.iter();
        let weights: Vec<Packed> = shapes
            .flat_map(|&(count, inner, columns)| {
                (0..count).map(move |_| Packed::rounded(matrix(inner, columns).view(), precision))
            })
            .collect();
        let bytes_of_f32: usize = weights
            .iter()
            .map(|weight| Packed::bytes(weight.inputs(), weight.outputs()))
            .sum();
        let bytes = match precision {
            Precision::F32 => bytes_of_f32,
            Precision::Bf16 => bytes_of_f32 / 2,
        };
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut out = Array2::zeros((64, 49_152 + 16));
        let mut scratch = Scratch::default();
        for rows in [1, 4, 8, 16, 32, 64] {
            group.bench_function(BenchmarkId::new(precision.name(), rows), |bencher| {
                bencher.iter(|| {
                    for weight in &weights {
                        let columns = 0..weight.outputs();
                        multiply(
                            a.slice(s![..rows, ..weight.inputs()]),
                            weight,
                            columns.clone(),
                            out.slice_mut(s![..rows, columns]),
                            Write::Replace,
                            &mut scratch,
                        );
                    }
                });
            });
        }
    }
    group.finish();
}

fn vocabulary_pass(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vocabulary pass");
    group.sample_size(10);
    for (model, vocab) in [(768, 50_257), (576, 49_152)] {
        let states = matrix(512, model);
        group.throughput(Throughput::Elements((2 * 512 * model * vocab) as u64));
        for precision in PRECISIONS {
            let weight = Packed::rounded(matrix(vocab, model).t(), precision);
            let unembedding = Unembedding {
                cap: None,
                weight: &weight,
                bias: None,
            };
            group.bench_function(
                BenchmarkId::new(precision.name(), format!("{model}x{vocab}")),
                |bencher| {
                    bencher.iter(|| vocabulary::pass(states.view(), unembedding, &[]));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, products, few_rows, vocabulary_pass);
criterion_main!(benches);
