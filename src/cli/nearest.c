/* Edit distance with swaps of neighbours (optimal string alignment), for suggestions only. */
#include "cli/nearest.h"

#include <string.h>

enum {
    MAX_NAME = 63
};

static int smaller(int a, int b) {
    return a < b ? a : b;
}

int fal_edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n > MAX_NAME || m > MAX_NAME) return MAX_NAME + 1;
    int rows[3][MAX_NAME + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replace, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        int *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[m];
}

void fal_nearest_offer(fal_nearest *nearest, const char *name) {
    size_t length = strlen(nearest->word);
    int distance = fal_edit_distance(nearest->word, name);
    /* The beginning of a name is as good as one typing error. */
    if (length >= 2 && strncmp(name, nearest->word, length) == 0) distance = 1;
    int limit = length < 6 ? 2 : 3;
    if (length < 3) limit = 1;
    if (distance > limit || (nearest->best && distance >= nearest->distance)) return;
    nearest->best = name;
    nearest->distance = distance;
}
