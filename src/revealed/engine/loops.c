/* Loops that numpy would pass over several times. C99 with the vectors of gcc and clang: arrays in, arrays out; nothing
 * allocated, no Python.
 *
 * hatch_build.py compiles this file where there is a compiler; loops.py, beside it, loads what came of it and says what
 * each loop does. Each has a counterpart in numpy, run where this was not compiled, and where a loop here returns 0: it
 * has seen that something is wrong, and the counterpart finds the words.
 */

#include <stddef.h>
#include <stdint.h>

#define LOOP __attribute__((visibility("default")))

/* Rows that are added up before their sum joins that of the others. */
#define FEW 256

/* Of loops that read much there is one more for processors that add four numbers at a time; neither adds and multiplies
 * in one step, so all find the same numbers. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* The checksum of this text: of another text than the one beside it, loops are not used. */
LOOP uint32_t source(void) { return SOURCE; }

/* Two numbers at a time, which every processor of 64 bits can; sums run in two such lanes, as one waits for itself. */
typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t bits __attribute__((vector_size(16)));

static inline pair at(const double *cell) { return *(const pair *)cell; }

/* Cells that are asked for ahead of time, some 5 kB: alone the processor reads on too late. Past the end it is no harm. */
static inline void ahead(const double *cell)
{
    const char *place = (const char *)((uintptr_t)cell + 640 * sizeof(double));
    __builtin_prefetch(place);
    __builtin_prefetch(place + 64);
}

/* Whether a row sums to one and has no cell below zero. Signs are seen in their bits: a zero of negative sign, too,
 * is left for the counterpart to look at. */
static inline int are_probabilities(const double *row, ptrdiff_t n, double tolerance)
{
    pair even = {0.0, 0.0}, odd = {0.0, 0.0};
    bits signs = {0, 0};
    ptrdiff_t j = 0;
    for (; j + 3 < n; j += 4) {
        even += at(row + j);
        odd += at(row + j + 2);
        signs |= (bits)at(row + j) | (bits)at(row + j + 2);
    }
    if (j + 1 < n) {
        even += at(row + j);
        signs |= (bits)at(row + j);
        j += 2;
    }
    if (j < n) {
        const pair last = {row[j], 0.0};
        odd += last;
        signs |= (bits)last;
    }
    even += odd;
    const double off = even[0] + even[1] - 1.0;
    return (off <= tolerance) & (off >= -tolerance) & ((signs[0] | signs[1]) >= 0); /* not a number fails too */
}

static inline double product(const double *one, const double *other, ptrdiff_t n)
{
    pair even = {0.0, 0.0}, odd = {0.0, 0.0};
    ptrdiff_t j = 0;
    for (; j + 3 < n; j += 4) {
        even += at(one + j) * at(other + j);
        odd += at(one + j + 2) * at(other + j + 2);
    }
    if (j + 1 < n) {
        even += at(one + j) * at(other + j);
        j += 2;
    }
    even += odd;
    return even[0] + even[1] + (j < n ? one[j] * other[j] : 0.0);
}

/* Find the probability of what was shown on a row, which is looked at unless tolerance is below 0; NULL where the code
 * is none. */
static inline const double *shown_in(const double *row, ptrdiff_t n_actions, double tolerance, const int32_t *code,
                                     int *sound)
{
    const size_t place = code ? (size_t)*code : 0; /* what is below zero is far beyond */
    if (place >= (size_t)n_actions)
        return NULL;
    if (tolerance >= 0.0) {
        ahead(row);
        *sound &= are_probabilities(row, n_actions, tolerance);
    }
    return row + place;
}

/* Gather the probability of what was shown, and no more.
 *
 * each       (n_rows, n_actions), the next row `step` cells on (0: one row for all)
 * tolerance  how far a row's sum may be from one; below 0: rows are not looked at
 * codes      (n_rows,) what was shown; NULL: the first cell
 */
LOOP WIDE int gather(const double *restrict each, ptrdiff_t step, double tolerance, const int32_t *restrict codes,
                     ptrdiff_t n_rows, ptrdiff_t n_actions, double *restrict found)
{
    int sound = 1;
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        const double *shown = shown_in(each + i * step, n_actions, tolerance, codes ? codes + i : NULL, &sound);
        if (!shown)
            return 0;
        found[i] = *shown;
    }
    return sound;
}

/* The same, divided by the propensity: the weight of each row; times the reward; and what these add up to.
 *
 * block             rows that are added up together
 * weight, weighted  (n_rows,); NULL: sums alone are asked
 * sums              (n_blocks, 7) of weights, of their squares, of weighted rewards, of their squares, of the products
 *                   of both; the largest weight; how many weights are zero
 */
LOOP WIDE int weigh(const double *restrict each, ptrdiff_t step, double tolerance, const int32_t *restrict codes,
                    const double *restrict propensity, const double *restrict reward, ptrdiff_t n_rows,
                    ptrdiff_t n_actions, ptrdiff_t block, double *restrict weight, double *restrict weighted,
                    double *restrict sums)
{
    int sound = 1;
    for (ptrdiff_t start = 0; start < n_rows; start += block, sums += 7) {
        const ptrdiff_t stop = start + block < n_rows ? start + block : n_rows;
        double found[5] = {0.0}, largest = 0.0;
        ptrdiff_t n_zero = 0;
        for (ptrdiff_t from = start; from < stop; from += FEW) { /* few at a time: sums of sums lose fewer digits */
            const ptrdiff_t to = from + FEW < stop ? from + FEW : stop;
            double total = 0.0, square = 0.0, earned = 0.0, earned_square = 0.0, both = 0.0;
            for (ptrdiff_t i = from; i < to; i++) {
                const double *shown = shown_in(each + i * step, n_actions, tolerance, codes ? codes + i : NULL, &sound);
                if (!shown)
                    return 0;
                const double one = *shown / propensity[i], worth = one * reward[i];
                if (weight) {
                    weight[i] = one;
                    weighted[i] = worth;
                }
                total += one;
                square += one * one;
                earned += worth;
                earned_square += worth * worth;
                both += one * worth;
                largest = one > largest ? one : largest;
                n_zero += one == 0.0;
            }
            const double some[5] = {total, square, earned, earned_square, both};
            for (int k = 0; k < 5; k++)
                found[k] += some[k];
        }
        for (int k = 0; k < 5; k++)
            sums[k] = found[k];
        sums[5] = largest;
        sums[6] = (double)n_zero;
    }
    return sound;
}

/* What a model foretells, averaged by the policy, and of what was shown (told; NULL: not asked). */
LOOP WIDE int foretell(const double *restrict each, ptrdiff_t step, const double *restrict rewards, ptrdiff_t rewards_step,
                  const int32_t *restrict codes, ptrdiff_t n_rows, ptrdiff_t n_actions, double *restrict expected,
                  double *restrict told)
{
    double total = 0.0;
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        const double *foretold = rewards + i * rewards_step;
        ahead(foretold);
        const double mean = product(each + i * step, foretold, n_actions);
        total += mean;
        expected[i] = mean;
        if (told) {
            if ((size_t)codes[i] >= (size_t)n_actions)
                return 0;
            told[i] = foretold[codes[i]];
        }
    }
    return total - total == 0.0; /* finite: zero times infinity is not, either, and no cell escapes */
}

/* Rows of answers, and independent beliefs about n_params parameters that learn from them.
 *
 * index, value   (cells,) the parameters that rows touch, in a row each once, and their features
 * added_...      (cells,) what was added to each
 * mean, variance of the linear predictor that was looked at last
 */
struct answers {
    const int64_t *index;
    const double *value;
    double *precision, *shift;
    int64_t n_params;
    double *added_precision, *added_shift;
    double mean, variance;
};

/* Find mean and variance of the linear predictor of the row from cell `start` to `stop`. */
LOOP int predict(struct answers *it, ptrdiff_t start, ptrdiff_t stop)
{
    double mean[2] = {0.0, 0.0}, variance[2] = {0.0, 0.0};
    for (ptrdiff_t j = start; j < stop; j++) {
        const int64_t k = it->index[j];
        if (k < 0 || k >= it->n_params)
            return 0;
        const double value = it->value[j], left = value / it->precision[k];
        mean[j & 1] += left * it->shift[k];
        variance[j & 1] += left * value;
    }
    it->mean = mean[0] + mean[1];
    it->variance = variance[0] + variance[1];
    return 1;
}

/* Move the beliefs that predict looked at by the row's answer, and tell what was added.
 *
 * first, second  the derivative of the logarithm of the answer's probability by the mean; less the second
 */
LOOP void move(struct answers *it, ptrdiff_t start, ptrdiff_t stop, double first, double second)
{
    const int64_t *restrict index = it->index;
    const double *restrict value = it->value;
    double *restrict precision = it->precision, *restrict shift = it->shift;
    double *restrict added_precision = it->added_precision, *restrict added_shift = it->added_shift;
    for (ptrdiff_t j = start; j < stop; j++) {
        const int64_t k = index[j];
        const double before = precision[k], pull = shift[k];
        const double left = 1.0 - second * (value[j] * (value[j] / before)); /* of the parameter's own variance */
        const double after = before / left, pulled = (first * value[j] + pull) / left;
        precision[k] = after;
        shift[k] = pulled;
        added_precision[j] = after - before;
        added_shift[j] = pulled - pull;
    }
}

/* Climb from several layouts at once: each step takes the best option of one slot given those of the others.
 *
 * pull    (n_options, n_options) what two options add to each other
 * first   (n_slots + 1,) where the options of each slot begin, and the last end
 * order   (n_slots,) in which slots take their turns; rounds: over all of them, at most
 * at      (n_starts, n_slots) the option in each slot, moved in place
 * field   (n_starts, n_options) what each option would add to each layout, kept in step
 */
LOOP void climb(const double *restrict pull, ptrdiff_t n_options, const int64_t *restrict first,
                const int64_t *restrict order, ptrdiff_t n_slots, ptrdiff_t rounds, ptrdiff_t n_starts,
                int64_t *restrict at, double *restrict field)
{
    for (ptrdiff_t start = 0; start < n_starts; start++, at += n_slots, field += n_options) {
        int moved = 1;
        for (ptrdiff_t round = 0; round < rounds && moved; round++) {
            moved = 0;
            for (ptrdiff_t turn = 0; turn < n_slots; turn++) {
                const int64_t slot = order[turn], before = at[slot];
                int64_t best = first[slot];
                for (int64_t option = best + 1; option < first[slot + 1]; option++)
                    if (field[option] > field[best] || (field[option] != field[option] && field[best] == field[best]))
                        best = option; /* the first that is no number is the largest, as in numpy */
                if (best == before)
                    continue;
                const double *of_best = pull + best * n_options, *of_before = pull + before * n_options;
                for (ptrdiff_t option = 0; option < n_options; option++)
                    field[option] += of_best[option] - of_before[option];
                at[slot] = best;
                moved = 1;
            }
        }
    }
}
