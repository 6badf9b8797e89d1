#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    double numbers[1024];
    size_t count = 0;
    while (count < 1024 && scanf("%lf", &numbers[count]) == 1) {
        count++;
    }
    qsort(numbers, count, sizeof numbers[0], ascending);
    if (count > 0) {
        printf("%g\n", numbers[count / 2]);
    }
    return 0;
}
