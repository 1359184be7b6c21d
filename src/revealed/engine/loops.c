/* Loops that numpy would pass over several times. C99 with the vectors of gcc and clang: arrays in, arrays out; nothing
 * allocated, no Python.
 *
 * hatch_build.py compiles this file where there is a compiler; loops.py, beside it, loads what came of it and says what
 * each loop does. Each has a counterpart in numpy, run where this was not compiled, and where a loop here returns 0: it
 * has seen that something is wrong, and the counterpart finds the words.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Protected: seen from outside, but called from here it is this one, whatever other library has a function of its name,
 * such as curses has `move`. */
#define LOOP __attribute__((visibility("protected")))

/* Rows whose cells are looked at before they are added up: few enough that both find work while memory is read. So many
 * times as many are added up before their sum joins that of the others, which loses fewer digits. */
#define FEW 32
#define TIMES 8

/* Of loops that read much there is one more for processors that add four numbers at a time; neither adds and multiplies
 * in one step, so all find the same numbers. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) /* which wants no such arguments of helpers */
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* The checksum of this text: of another text than the one beside it, loops are not used. */
LOOP uint32_t source(void) { return SOURCE; }

/* Four numbers at a time; where a processor has room for two, the compiler takes two turns, and the sums are the same. */
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t bits __attribute__((vector_size(32), aligned(8), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE four at(const double *cell) { return *(const four *)cell; }
INLINE double sum_of(four each) { return (each[0] + each[1]) + (each[2] + each[3]); }
/* In each lane the one, where it is so, or the other. */
INLINE bits chosen(bits so, bits one, bits other) { return (so & one) | (~so & other); }
INLINE int any(bits each) { return ((each[0] | each[1]) | (each[2] | each[3])) != 0; }

/* Cells that are asked for ahead of time, some 10 kB: alone the processor reads on too late. Past the end no harm. */
INLINE void ahead(const double *cell)
{
    __builtin_prefetch((const char *)((uintptr_t)cell + 1280 * sizeof(double)));
}

/* The last four cells of a row of n, those masked that are among its first fours. */
INLINE bits past_fours(ptrdiff_t n)
{
    static const int64_t masks[7] = {0, 0, 0, 0, -1, -1, -1};
    return *(const bits *)(masks + (n & 3));
}

/* Add up a row, and gather the signs of its cells: a zero of negative sign, too, is left for the counterpart. */
INLINE double sum_of_row(const double *row, ptrdiff_t n, bits *signs)
{
    if (n < 4) {
        double sum = 0.0;
        for (ptrdiff_t j = 0; j < n; j++) {
            const four cell = {row[j]};
            sum += row[j];
            *signs |= (bits)cell;
        }
        return sum;
    }
    four sum = at(row);
    *signs |= (bits)sum;
    for (ptrdiff_t j = 4; j + 3 < n; j += 4) {
        sum += at(row + j);
        *signs |= (bits)at(row + j);
    }
    const bits last = (bits)at(row + n - 4);
    *signs |= last;
    return sum_of(sum + (four)(last & past_fours(n)));
}

/* The product of two vectors; the first, of which there are most often more to come, is asked for ahead of time. */
INLINE double product(const double *one, const double *other, ptrdiff_t n)
{
    if (n < 4) {
        double sum = 0.0;
        for (ptrdiff_t j = 0; j < n; j++)
            sum += one[j] * other[j];
        return sum;
    }
    four even = {0.0}, odd = {0.0}; /* in turns, as a sum waits for itself */
    ptrdiff_t j = 0;
    for (; j + 7 < n; j += 8) {
        ahead(one + j);
        even += at(one + j) * at(other + j);
        odd += at(one + j + 4) * at(other + j + 4);
    }
    if (j + 3 < n)
        even += at(one + j) * at(other + j);
    const bits last = (bits)(at(one + n - 4) * at(other + n - 4));
    return sum_of(even + odd + (four)(last & past_fours(n)));
}

/* Gather the probability of what was shown on some rows, which are looked at unless tolerance is below 0. Tells whether
 * each sums to one, has no cell below zero, and has what was shown. */
INLINE int shown_on(const double *each, ptrdiff_t step, double tolerance, const int32_t *codes, ptrdiff_t n_rows,
                    ptrdiff_t n_actions, double *found)
{
    bits signs = {0};
    int sound = 1;
    for (ptrdiff_t i = 0; i < n_rows; i++, each += step) {
        const size_t place = codes ? (size_t)codes[i] : 0; /* what is below zero is far beyond */
        if (place >= (size_t)n_actions)
            return 0;
        found[i] = each[place];
        if (tolerance >= 0.0) {
            ahead(each);
            ahead(each + 8);
            const double off = sum_of_row(each, n_actions, &signs) - 1.0;
            sound &= (off <= tolerance) & (off >= -tolerance); /* not a number fails too */
        }
    }
    return sound & !any(signs < 0);
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
    return shown_on(each, step, tolerance, codes, n_rows, n_actions, found);
}

/* Of some rows, in four lanes. */
struct sums {
    four weight, square, earned, earned_square, both, largest;
    bits n_not_zero;
};

INLINE four larger(four one, four other) { return (four)chosen(one > other, (bits)one, (bits)other); }

INLINE void add_up(struct sums *to, four weight, four earned)
{
    to->weight += weight;
    to->square += weight * weight;
    to->earned += earned;
    to->earned_square += earned * earned;
    to->both += weight * earned;
    to->largest = larger(weight, to->largest);
    to->n_not_zero -= weight != 0.0;
}

INLINE void merge(struct sums *to, const struct sums *some)
{
    to->weight += some->weight;
    to->square += some->square;
    to->earned += some->earned;
    to->earned_square += some->earned_square;
    to->both += some->both;
    to->largest = larger(some->largest, to->largest);
    to->n_not_zero += some->n_not_zero;
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
    for (ptrdiff_t start = 0; start < n_rows; start += block, sums += 7) {
        const ptrdiff_t stop = start + block < n_rows ? start + block : n_rows;
        struct sums found = {{0.0}};
        struct sums some = {{0.0}};
        for (ptrdiff_t from = start, turn = 1; from < stop; from += FEW, turn++) {
            const ptrdiff_t n = from + FEW < stop ? FEW : stop - from;
            double shown[FEW];
            if (!shown_on(each + from * step, step, tolerance, codes ? codes + from : NULL, n, n_actions, shown))
                return 0;
            ptrdiff_t i = 0;
            for (; i + 3 < n; i += 4) {
                const four one = at(shown + i) / at(propensity + from + i), worth = one * at(reward + from + i);
                add_up(&some, one, worth);
                if (weight) {
                    *(four *)(weight + from + i) = one;
                    *(four *)(weighted + from + i) = worth;
                }
            }
            for (; i < n; i++) {
                const four one = {shown[i] / propensity[from + i]}, worth = {one[0] * reward[from + i]};
                add_up(&some, one, worth);
                if (weight) {
                    weight[from + i] = one[0];
                    weighted[from + i] = worth[0];
                }
            }
            if (turn % TIMES == 0 || from + n == stop) {
                merge(&found, &some);
                some = (struct sums){{0.0}};
            }
        }
        const four each_sum[5] = {found.weight, found.square, found.earned, found.earned_square, found.both};
        for (int k = 0; k < 5; k++)
            sums[k] = sum_of(each_sum[k]);
        sums[5] = 0.0;
        sums[6] = (double)(stop - start);
        for (int lane = 0; lane < 4; lane++) {
            sums[5] = found.largest[lane] > sums[5] ? found.largest[lane] : sums[5];
            sums[6] -= (double)found.n_not_zero[lane];
        }
    }
    return 1;
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
        const double mean = product(foretold, each + i * step, n_actions);
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

/* The highest score so far in each of four lanes, and whose it is. */
struct highest {
    four score;
    bits whose;
};

INLINE void look_at(struct highest *it, four score, bits whose)
{
    const bits more = score > it->score;
    it->score = (four)chosen(more, (bits)score, (bits)it->score);
    it->whose = chosen(more, whose, it->whose);
}

/* Whose score is the highest of all, the first of equal ones. */
INLINE int64_t first_of(const struct highest *it)
{
    double most = it->score[0];
    int64_t whose = it->whose[0];
    for (int lane = 1; lane < 4; lane++) {
        const double score = it->score[lane];
        if (score > most || (score == most && it->whose[lane] < whose)) {
            most = score;
            whose = it->whose[lane];
        }
    }
    return whose;
}

/* Score candidates under one draw and its mirror image, by fours, so many (at most four) fours at a time: loops of a
 * known length keep what they add up in registers. Told where `own` is not NULL: the scores, of the image if `mirrored`. */
INLINE four score_some(int n_fours, ptrdiff_t j, const double *context, ptrdiff_t n_columns, const double *parts,
                       ptrdiff_t n_candidates, const double *twice, const double *barred, struct highest *drawn,
                       struct highest *image, double *own, int mirrored)
{
    four score[4] = {{0.0}, {0.0}, {0.0}, {0.0}}, total = {0.0};
    for (ptrdiff_t b = 0; b < n_columns; b++, parts += n_candidates)
        for (int k = 0; k < n_fours; k++)
            score[k] += context[b] * at(parts + j + 4 * k);
    for (int k = 0; k < n_fours; k++, j += 4) {
        const bits whose = j + (bits){0, 1, 2, 3};
        const four open = score[k] + at(barred + j), other = at(twice + j) - score[k] + at(barred + j);
        look_at(drawn, open, whose);
        look_at(image, other, whose);
        total += at(twice + j) - score[k]; /* finite only if both are */
        if (own)
            *(four *)(own + j) = mirrored ? other : open;
    }
    return total;
}

/* Count in how many draws each candidate has the highest score, the first of equal ones, in each of several contexts.
 *
 * contexts  (n_contexts, n_columns)
 * parts     (n_half, n_columns, n_candidates) what contexts are multiplied by; four candidates or more
 * twice     (n_contexts, n_candidates) twice the mean scores: less those of a draw they are those of its mirror image
 * n_draws   of which the first n_half are not images
 * barred    (n_candidates,) zero, or minus infinity where it may not be shown
 * member    (n_contexts,) the draw whose scores are told
 * own       (n_contexts, n_candidates) these scores
 * best      (n_contexts,) whose of them is the highest
 * counts    (n_contexts, n_candidates) zero before
 */
LOOP WIDE int count(const double *restrict contexts, ptrdiff_t n_contexts, ptrdiff_t n_columns,
                    const double *restrict parts, ptrdiff_t n_half, ptrdiff_t n_candidates,
                    const double *restrict twice, ptrdiff_t n_draws, const double *restrict barred,
                    const int64_t *restrict member, double *restrict own, int64_t *restrict best,
                    double *restrict counts)
{
    four total = {0.0};
    for (ptrdiff_t i = 0; i < n_contexts; i++)
        if (member[i] < 0 || member[i] >= n_draws)
            return 0;
    for (ptrdiff_t draw = 0; draw < n_half; draw++, parts += n_columns * n_candidates)
        for (ptrdiff_t i = 0; i < n_contexts; i++) {
            const double *context = contexts + i * n_columns, *mean = twice + i * n_candidates;
            const int mirrored = member[i] == n_half + draw;
            double *told = mirrored || member[i] == draw ? own + i * n_candidates : NULL;
            double *highest = counts + i * n_candidates;
            struct highest drawn = {{0.0}, {0}}, image = {{0.0}, {0}};
            drawn.score -= __builtin_inf();
            image.score -= __builtin_inf();
            ptrdiff_t j = 0;
            for (; j + 15 < n_candidates; j += 16)
                total += score_some(4, j, context, n_columns, parts, n_candidates, mean, barred, &drawn, &image, told,
                                    mirrored);
            for (; j < n_candidates; j += 4) {
                j = j + 4 <= n_candidates ? j : n_candidates - 4; /* the last four overlap */
                total += score_some(1, j, context, n_columns, parts, n_candidates, mean, barred, &drawn, &image, told,
                                    mirrored);
            }
            const int64_t first = first_of(&drawn), other = first_of(&image);
            highest[first] += 1.0;
            if (n_half + draw < n_draws)
                highest[other] += 1.0;
            if (told)
                best[i] = mirrored ? other : first;
        }
    return sum_of(total - total) == 0.0; /* all are finite */
}

/* Choose in each of several contexts: what has the highest score under the draw that is its own, and in which share of
 * all draws it has.
 *
 * cells     (n_contexts, n_cells) what is known of each
 * left      (n_columns,) the cell that each column of contexts is; NULL: they are the columns
 * right     (n_columns,) the cell that it is multiplied by; NULL: by none
 * most      columns stay below, in size
 * parts, n_half, n_candidates, n_draws, barred as above
 * twice     (n_columns, n_candidates) what contexts are multiplied by for twice the mean scores
 * members   (n_draws,) whose draw it is, of decisions by number
 * number    (n_contexts,)
 * room      (n_contexts, n_columns + 3 n_candidates + 1) zero before
 * best      (n_contexts,)
 * share     (n_contexts,)
 */
LOOP WIDE int choose(const double *restrict cells, ptrdiff_t n_contexts, ptrdiff_t n_cells,
                     const int64_t *restrict left, const int64_t *restrict right, double most, ptrdiff_t n_columns,
                     const double *restrict parts, ptrdiff_t n_half, ptrdiff_t n_candidates,
                     const double *restrict twice, ptrdiff_t n_draws, const double *restrict barred,
                     const int64_t *restrict members, const int64_t *restrict number, double *restrict room,
                     int64_t *restrict best, double *restrict share)
{
    double *contexts = room, *mean = contexts + n_contexts * n_columns, *own = mean + n_contexts * n_candidates;
    double *counts = own + n_contexts * n_candidates;
    int64_t *member = (int64_t *)(counts + n_contexts * n_candidates);
    int sound = 1;
    for (ptrdiff_t i = 0; i < n_contexts; i++, cells += n_cells) {
        if (number[i] < 0 || number[i] >= n_draws)
            return 0;
        member[i] = members[number[i]];
        double *context = contexts + i * n_columns, *middle = mean + i * n_candidates;
        for (ptrdiff_t b = 0; b < n_columns; b++) {
            context[b] = cells[left ? left[b] : b] * (right ? cells[right[b]] : 1.0);
            sound &= context[b] < most && context[b] > -most; /* not a number fails too */
            for (ptrdiff_t j = 0; j < n_candidates; j++)
                middle[j] += context[b] * twice[b * n_candidates + j];
        }
    }
    if (!sound || !count(contexts, n_contexts, n_columns, parts, n_half, n_candidates, mean, n_draws, barred, member,
                         own, best, counts))
        return 0;
    for (ptrdiff_t i = 0; i < n_contexts; i++)
        share[i] = counts[i * n_candidates + best[i]] / (double)n_draws;
    return 1;
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

/* What an answer of yes (else no) says of a linear predictor of which N(mean, variance) is believed: the numbers, and the
 * steps to them, of models/glm/tilt.py, which says why they are right. */
enum { PROBIT = 1, LOGIT = 2 };

static void probit(double sign, double mean, double variance, double *first, double *second)
{
    const double spread = sqrt(1 + variance), t = sign * mean / spread;
    const double below = t > -25 ? 0.5 * erfc(-t * M_SQRT1_2) : 0.0;
    const double ratio =
        below != 0.0 ? exp(-0.5 * t * t) / (sqrt(2 * M_PI) * below) : -t + 1 / (-t + 2 / (-t + 3 / -t));
    *first = sign * ratio / spread;
    *second = ratio * (ratio + t) / (1 + variance);
}

static void logit(double sign, double mean, double variance, double *first, double *second)
{
    mean *= sign;
    double at = mean < 0.0 ? 0.0 : mean, missing = 0.0, curvature = 0.0, step = 1.0;
    for (int turn = 0; turn <= 100; turn++) {
        missing = at < 700 ? 1 / (1 + exp(at)) : 0.0;
        curvature = missing * (1 - missing);
        if (turn == 100 || (-1e-5 < step && step < 1e-5))
            break;
        step = (variance * missing - (at - mean)) / (1 + variance * curvature);
        at += step;
    }
    const double left = 1 + variance * curvature;
    *first = sign * (missing + curvature * (at - mean)) / left;
    *second = curvature / left;
}

/* Predict, look what the answer says, and move. 0 where something is wrong: nothing was moved. */
LOOP int learn(struct answers *it, int link, ptrdiff_t start, ptrdiff_t stop, double answer)
{
    if (!predict(it, start, stop) || !(it->variance > -1.0))
        return 0;
    double first, second;
    (link == PROBIT ? probit : logit)(answer != 0.0 ? 1.0 : -1.0, it->mean, it->variance, &first, &second);
    move(it, start, stop, first, second);
    return 1;
}

/* The same of one row alone: what is added to each of its n_cells, to precisions first. */
LOOP int learn_one(int link, double *precision, double *shift, ptrdiff_t n_params, const int64_t *index,
                   const double *value, ptrdiff_t n_cells, double answer, double *added)
{
    struct answers it = {index, value, precision, shift, n_params, added, added + n_cells, 0.0, 0.0};
    return learn(&it, link, 0, n_cells, answer);
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
