use super::format::{FUSED, Format, Pair};
use super::panel::{MC, NC, NR};
use super::product::multiply_with;
use super::*;
use crate::cpu::InstructionSet;
use crate::noise::noise;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use proptest::prelude::*;
use std::ops::Range;

/// The chains of every element, written as plainly as possible.
fn reference(
    a: &Array2<f32>,
    b: &Array2<f32>,
    start: Option<&Array2<f32>>,
    precision: Precision,
) -> Array2<f32> {
    let (term, chain) = match precision {
        Precision::F32 => (1, f32::KC),
        Precision::Bf16 => (2, Pair::KC),
    };
    Array2::from_shape_fn((a.nrows(), b.ncols()), |(row, column)| {
        let mut total = start.map(|start| start[(row, column)]);
        let inputs: Vec<usize> = (0..a.ncols()).collect();
        for chain in inputs.chunks(chain * term) {
            let order = chain.chunks(term).flat_map(|term| term.iter().rev());
            let chain = order.fold(0.0_f32, |sum, &k| {
                let (x, y) = (a[(row, k)], b[(k, column)]);
                precision.round(x).mul_add(precision.round(y), sum)
            });
            total = Some(total.map_or(chain, |total| total + chain));
        }
        total.unwrap_or(0.0)
    })
}

/// Whether an instruction set fuses products with their sums, so that it gives the bits of the reference.
fn is_exact(set: InstructionSet, precision: Precision) -> bool {
    precision == Precision::Bf16 || FUSED || set != InstructionSet::Portable
}

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

#[test]
fn packing_is_undone() {
    for (inputs, outputs) in [(1, 1), (3, 32), (5, 33), (7, 100), (0, 4), (70, 40)] {
        for precision in PRECISIONS {
            let round = |matrix: Array2<f32>| matrix.mapv(|value| precision.round(value));
            let matrix = noise(inputs, outputs, 1);
            let packed = Packed::rounded(matrix.view(), precision);
            assert_eq!(packed.precision(), precision);
            let matrix = round(matrix);
            assert_eq!(packed.unpack(), matrix);
            let transposed = noise(outputs, inputs, 2);
            let by_columns = Packed::rounded(transposed.t(), precision);
            assert_eq!(by_columns.unpack(), round(transposed).t());
            let part = outputs / 3 / NR * NR..outputs - outputs / 5;
            let transposed = packed.transposed(part.clone());
            let part = matrix.slice(s![.., part]);
            assert_eq!(transposed, Packed::rounded(part.t(), precision));
            for column in 0..outputs {
                assert!(
                    packed
                        .column(column)
                        .eq(matrix.column(column).iter().copied())
                );
            }
        }
    }
}

#[test]
fn parts_are_put_side_by_side() {
    let parts = [3, 32, 61, 1, 0, 40].map(|columns| noise(columns, 35, columns as u64));
    let views: Vec<_> = parts.iter().map(|part| part.t()).collect();
    let whole = ndarray::concatenate(ndarray::Axis(1), &views).unwrap();
    for precision in PRECISIONS {
        let mut packed = Packed::zeros(35, whole.ncols(), precision);
        let mut first = 0;
        for view in &views {
            packed.put(first, *view);
            first += view.ncols();
        }
        assert_eq!(packed, Packed::rounded(whole.view(), precision));
    }
}

#[test]
fn parts_lie_below_each_other() {
    let parts = [4, 1, 0, 1, 33, 60, 3, 2].map(|rows| noise(rows, 67, rows as u64));
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    let whole = ndarray::concatenate(ndarray::Axis(0), &views).unwrap();
    for precision in PRECISIONS {
        let mut packed = Packed::zeros(whole.nrows(), 67, precision);
        let mut first = 0;
        for view in &views {
            packed.put_rows(first, *view);
            first += view.nrows();
        }
        assert_eq!(packed, Packed::rounded(whole.view(), precision));
        let columnwise = whole.t().as_standard_layout().into_owned();
        packed.put_rows(3, columnwise.t().slice(ndarray::s![3.., ..]));
        assert_eq!(packed, Packed::rounded(whole.view(), precision));
    }
}

#[test]
fn long_rows_are_summed_in_chains_whatever_is_packed_together() {
    let bias = noise(1, NC + 70, 9).into_raw_vec_and_offset().0;
    // Several slices and more than NC columns; then more rows than one block.
    for (rows, inner, width) in [
        (14, 7 * f32::KC + 5, NC + 70),
        (MC + 20, 4 * f32::KC + 7, 70),
    ] {
        let bias = &bias[..width];
        let (a, b) = (noise(rows, inner, 1), noise(inner, width, 2));
        let rows_of_bias = Array2::from_shape_fn((rows, width), |(_, column)| bias[column]);
        for precision in PRECISIONS {
            let packed = Packed::rounded(b.view(), precision);
            let (plain, biased) = (
                reference(&a, &b, None, precision),
                reference(&a, &b, Some(&rows_of_bias), precision),
            );
            for set in InstructionSet::available() {
                if !is_exact(set, precision) {
                    continue;
                }
                for (write, expected) in [(Write::Replace, &plain), (Write::Biased(bias), &biased)]
                {
                    let mut out = Array2::zeros((rows, width));
                    let scratch = &mut Scratch::default();
                    multiply_with(
                        set,
                        a.view(),
                        &packed,
                        0..width,
                        out.view_mut(),
                        write,
                        scratch,
                    );
                    assert_eq!(out, expected, "{set:?}");
                }
            }
        }
    }
}

#[test]
fn nan_and_infinity_reach_the_result() {
    for value in [f32::NAN, f32::INFINITY] {
        for place in [0, 32, 34] {
            let mut a = noise(3, 35, 1);
            a[(1, place)] = value;
            let b = noise(35, 80, 2);
            for precision in PRECISIONS {
                for set in InstructionSet::available() {
                    let mut out = Array2::zeros((3, 80));
                    let packed = Packed::rounded(b.view(), precision);
                    let scratch = &mut Scratch::default();
                    multiply_with(
                        set,
                        a.view(),
                        &packed,
                        0..80,
                        out.view_mut(),
                        Write::Replace,
                        scratch,
                    );
                    assert!(out.row(1).iter().all(|value| !value.is_finite()));
                    // The same scratch then serves shorter rows, which must not meet the old values.
                    let mut short = Array2::zeros((3, 80));
                    multiply_with(
                        set,
                        a.slice(s![.., ..33]).map(|_| 1.0).view(),
                        &packed,
                        0..80,
                        short.view_mut(),
                        Write::Replace,
                        scratch,
                    );
                    assert!(short.iter().all(|value| value.is_finite()), "{set:?}");
                }
            }
        }
    }
}

#[test]
fn subnormal_numbers_count_as_zero_in_bf16() {
    let tiny = f32::MIN_POSITIVE / 4.0;
    let b = ndarray::arr2(&[[1.0], [tiny], [1e-30]]);
    let b = Packed::rounded(b.view(), Precision::Bf16);
    for set in InstructionSet::available() {
        let mut out = Array2::from_elem((2, 1), 7.0);
        let a = ndarray::arr2(&[[tiny, 1.0, 0.0], [0.0, 0.0, 1e-30]]);
        let scratch = &mut Scratch::default();
        multiply_with(
            set,
            a.view(),
            &b,
            0..1,
            out.view_mut(),
            Write::Replace,
            scratch,
        );
        assert_eq!(out, Array2::<f32>::zeros((2, 1)), "{set:?}");
    }
}

/// `c = a · b` or `c += a · b`, for a `b` that is used once.
fn matmul(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    c: ArrayViewMut2<'_, f32>,
    write: Write<'_>,
) {
    multiply(
        a,
        &Packed::new(b),
        0..b.ncols(),
        c,
        write,
        &mut Scratch::default(),
    );
}

#[test]
fn a_row_is_the_same_in_few_rows_as_in_512() {
    // One and several slices, one and several groups of columns.
    for (inner, columns) in [(64, 64), (24, 41), (300, 161), (1, 5), (801, 33)] {
        let (a, b) = (noise(512, inner, 1), noise(inner, columns, 2));
        for precision in PRECISIONS {
            let packed = Packed::rounded(b.view(), precision);
            for set in InstructionSet::available() {
                let scratch = &mut Scratch::default();
                let mut product = |rows: usize, write: Write<'_>| {
                    let mut c = Array2::from_elem((rows, columns), 0.25);
                    let a = a.slice(s![..rows, ..]);
                    multiply_with(set, a, &packed, 0..columns, c.view_mut(), write, scratch);
                    c
                };
                for write in [Write::Replace, Write::Add] {
                    let all = product(512, write);
                    // From one row to tiles that do and do not share the prefetching of a panel.
                    for rows in (1..=16).chain([23, 24, 25, 64, 179, 180, 181, 193]) {
                        let few = product(rows, write);
                        assert_eq!(
                            few,
                            all.slice(s![..rows, ..]),
                            "{rows} rows, inner {inner}, columns {columns}, {set:?}, {precision:?}"
                        );
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_f64_for_any_strides(rows in 0usize..40, inner in 0usize..70, columns in 0usize..50, flip_b: bool, add: bool, seed: u64) {
        let a = noise(rows, inner, seed) ;
        let b = if flip_b { noise(columns, inner, seed ^ 7).reversed_axes() } else { noise(inner, columns, seed ^ 7) };
        let start = noise(rows, columns, seed ^ 99);
        let mut out = start.clone();
        matmul(a.view(), b.view(), out.view_mut(), if add { Write::Add } else { Write::Replace });
        let expected = a.mapv(f64::from).dot(&b.mapv(f64::from)) + if add { start.mapv(f64::from) } else { Array2::zeros((rows, columns)) };
        for (got, expected) in out.iter().zip(&expected) {
            prop_assert!((f64::from(*got) - expected).abs() <= 1e-6 * (1.0 + inner as f64), "{got} against {expected}");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_chains_bit_for_bit(rows in 0usize..30, inner in 0usize..80, unused in 0usize..3, outputs in 1usize..140, first in 0usize..3, add: bool, bf16: bool, seed: u64) {
        let precision = PRECISIONS[usize::from(bf16)];
        let (a, b) = (noise(rows, inner, seed), noise(inner + unused, outputs, seed ^ 7));
        let packed = Packed::rounded(b.view(), precision);
        let b = b.slice(s![..inner, ..]).to_owned();
        let first = (first * NR).min((outputs - 1) / NR * NR);
        let start = noise(rows, outputs - first, seed ^ 99);
        let part = b.slice(s![.., first..]).to_owned();
        let expected = reference(&a, &part, add.then_some(&start), precision);
        let exact = a.mapv(|value| f64::from(precision.round(value))).dot(&part.mapv(|value| f64::from(precision.round(value))));
        for set in InstructionSet::available() {
            // The destination is a window of a wider array, as the output of one head is.
            let mut wide = Array2::from_elem((rows, outputs - first + 3), 7.0);
            let mut out = wide.slice_mut(s![.., ..outputs - first]);
            out.assign(&start);
            let write = if add { Write::Add } else { Write::Replace };
            multiply_with(set, a.view(), &packed, first..outputs, out.view_mut(), write, &mut Scratch::default());
            if is_exact(set, precision) {
                prop_assert_eq!(&out, &expected, "{:?}", set);
            }
            for ((got, exact), start) in out.iter().zip(&exact).zip(&start) {
                let expected = exact + if add { f64::from(*start) } else { 0.0 };
                prop_assert!((f64::from(*got) - expected).abs() <= 1e-6 * (1.0 + inner as f64), "{:?}", set);
            }
            prop_assert!(wide.slice(s![.., outputs - first..]).iter().all(|value| *value == 7.0), "nothing is written beside the destination");
        }
    }

    #[test]
    fn a_row_depends_on_itself_alone(rows in 1usize..200, inner in 1usize..600, outputs in 1usize..100, some in 1usize..200, bf16: bool, seed: u64) {
        let (a, b) = (noise(rows, inner, seed), noise(inner, outputs, seed ^ 7));
        let packed = Packed::rounded(b.view(), PRECISIONS[usize::from(bf16)]);
        let some = some.min(rows);
        let product = |rows: usize| {
            let mut out = Array2::zeros((rows, outputs));
            multiply(a.slice(s![..rows, ..]), &packed, 0..outputs, out.view_mut(), Write::Replace, &mut Scratch::default());
            out
        };
        let all = product(rows);
        prop_assert_eq!(all.slice(s![..some, ..]), product(some));
    }

    #[test]
    fn threads_that_share_the_columns_give_the_same_bits(rows in 0usize..14, inner in 1usize..600, outputs in 0usize..300, parts in 1usize..9, bf16: bool, seed: u64) {
        let (a, b) = (noise(rows, inner, seed), noise(inner, outputs, seed ^ 7));
        let packed = Packed::rounded(b.view(), PRECISIONS[usize::from(bf16)]);
        let bias = noise(1, outputs, seed ^ 3).into_raw_vec_and_offset().0;
        let product = |columns: Range<usize>, c: ArrayViewMut2<'_, f32>| {
            let write = Write::Biased(&bias[columns.clone()]);
            multiply(a.view(), &packed, columns, c, write, &mut Scratch::default());
        };
        let [mut at_once, mut shared] = [(); 2].map(|_| Array2::from_elem((rows, outputs), 7.0));
        product(0..outputs, at_once.view_mut());
        let shares: Vec<_> = packed.shares(parts).collect();
        prop_assert_eq!(shares.len(), parts.min(outputs.div_ceil(NR)));
        std::thread::scope(|scope| {
            let (mut rest, mut first) = (shared.view_mut(), 0);
            for columns in shares {
                assert_eq!(columns.start, first, "shares follow on each other");
                assert!(!columns.is_empty());
                let (own, others) = rest.split_at(ndarray::Axis(1), columns.len());
                (rest, first) = (others, columns.end);
                let product = &product;
                scope.spawn(move || product(columns, own));
            }
            assert_eq!(first, outputs, "shares cover the columns");
        });
        prop_assert_eq!(at_once, shared);
    }

    #[test]
    fn rows_packed_once_give_the_same_products(rows in 0usize..30, inner in 0usize..900, outputs in 1usize..100, biased: bool, bf16: bool, seed: u64) {
        let precision = PRECISIONS[usize::from(bf16)];
        let (a, b) = (noise(rows, inner, seed), noise(inner, outputs, seed ^ 7));
        let packed = Packed::rounded(b.view(), precision);
        let left = PackedA::new(a.view(), precision);
        let bias = vec![0.5; outputs];
        for columns in [0..outputs, 0..outputs.min(NR), (outputs - 1) / NR * NR..outputs] {
            let write = if biased { Write::Biased(&bias[columns.clone()]) } else { Write::Replace };
            let [mut at_once, mut again] = [(); 2].map(|_| Array2::from_elem((rows, columns.len()), 7.0));
            multiply(a.view(), &packed, columns.clone(), at_once.view_mut(), write, &mut Scratch::default());
            left.multiply(&packed, columns, again.view_mut(), write, &mut Scratch::default());
            prop_assert_eq!(at_once, again);
        }
    }
}
