/* Body of histogram.h. */
#include "server/histogram.h"

const double fal_histogram_bounds[FAL_HISTOGRAM_BOUNDS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120};

void fal_histogram_add(fal_histogram *h, double seconds) {
    int i = 0;
    while (i < FAL_HISTOGRAM_BOUNDS && seconds > fal_histogram_bounds[i])
        i++;
    h->counts[i]++;
    h->count++;
    h->sum += seconds;
}
