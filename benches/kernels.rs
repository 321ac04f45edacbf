//! Products and the vocabulary pass, at the shapes of GPT-2 small and SmolLM2-135M with 512 tokens.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layerwise::kernels::gemm::{Packed, Precision, Scratch, Write, multiply};
use layerwise::kernels::vocabulary::{self, Unembedding};
use ndarray::Array2;

/// On a CPU without AVX512-BF16 the second is slow.
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

fn vocabulary_pass(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vocabulary pass");
    group.sample_size(10);
    for (model, vocab) in [(768, 50_257), (576, 49_152)] {
        let states = matrix(512, model);
        group.throughput(Throughput::Elements((2 * 512 * model * vocab) as u64));
        for precision in PRECISIONS {
            let weight = Packed::rounded(matrix(vocab, model).t(), precision);
            let unembedding = Unembedding {
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

criterion_group!(benches, products, vocabulary_pass);
criterion_main!(benches);
