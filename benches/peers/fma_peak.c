/* The machine's peak, in GFLOP/s: independent chains of multiply-adds in registers, f32 or (argument `bf16`) bf16 pairs.
   It runs for seconds, so that a clock which only a moment can hold does not count.
   cc -O3 -march=native -ffp-contract=fast -o fma_peak fma_peak.c; one process for each core. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

typedef float vector __attribute__((vector_size(64)));
enum { CHAINS = 16, ROUNDS = 1000000000 };

static double seconds_since(struct timespec from) {
    struct timespec to;
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (to.tv_sec - from.tv_sec) + 1e-9 * (to.tv_nsec - from.tv_nsec);
}

int main(int count, char **arguments) {
    struct timespec from;
    double seconds, operations = 2.0 * 16 * CHAINS * (double)ROUNDS;
    float total = 0;
    if (count > 1 && !strcmp(arguments[1], "bf16")) {
#ifdef __AVX512BF16__
        __m512 sums[CHAINS];
        __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.25f));
        for (int c = 0; c < CHAINS; c++) sums[c] = _mm512_set1_ps(0);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (long round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 16
            for (int c = 0; c < CHAINS; c++) sums[c] = _mm512_dpbf16_ps(sums[c], x, x);
        }
        seconds = seconds_since(from);
        operations *= 2;
        for (int c = 0; c < CHAINS; c++) total += sums[c][0];
#else
        puts("0 0");
        return 0;
#endif
    } else {
        vector sums[CHAINS], x, y;
        for (int i = 0; i < 16; i++) { x[i] = 0.999f; y[i] = 0.001f; }
        for (int c = 0; c < CHAINS; c++) sums[c] = x;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (long round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 16
            for (int c = 0; c < CHAINS; c++) sums[c] = sums[c] * x + y;
        }
        seconds = seconds_since(from);
        for (int c = 0; c < CHAINS; c++) for (int i = 0; i < 16; i++) total += sums[c][i];
    }
    printf("%.2f %g\n", operations / seconds * 1e-9, total);
    return 0;
}
