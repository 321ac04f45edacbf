/* The machine's f32 peak: independent chains of fused multiply-adds in registers, in GFLOP/s.
   cc -O3 -march=native -ffp-contract=fast -o fma_peak fma_peak.c; one process for each core. */
#include <stdio.h>
#include <time.h>

typedef float vector __attribute__((vector_size(64)));
enum { CHAINS = 16, ROUNDS = 60000000 };

int main(void) {
    vector sums[CHAINS], x, y;
    for (int i = 0; i < 16; i++) { x[i] = 0.999f; y[i] = 0.001f; }
    for (int c = 0; c < CHAINS; c++) sums[c] = x;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long round = 0; round < ROUNDS; round++) {
#pragma GCC unroll 16
        for (int c = 0; c < CHAINS; c++) sums[c] = sums[c] * x + y;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    float total = 0;
    for (int c = 0; c < CHAINS; c++) for (int i = 0; i < 16; i++) total += sums[c][i];
    double seconds = (to.tv_sec - from.tv_sec) + 1e-9 * (to.tv_nsec - from.tv_nsec);
    printf("%.2f %g\n", 2.0 * 16 * CHAINS * (double)ROUNDS / seconds * 1e-9, total);
    return 0;
}
