/* Without libFuzzer: every file of the seed folders goes through the fuzz target once, whole, cut
 * at every length up to 512 and with every byte flipped, so that plain builds test it as well. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* From the heap with its exact size, so that a sanitizer sees a read beyond the end. */
static void run_once(const void *bytes, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1);
    if (exact == NULL) abort();
    if (n > 0) memcpy(exact, bytes, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static void run_variants(rt_buf *seed)
{
    run_once(seed->data, seed->n);
    for (size_t n = 0; n < RT_MIN(seed->n, 512); n++) run_once(seed->data, n);
    for (size_t i = 0; i < RT_MIN(seed->n, 4096); i++) {
        seed->data[i] = (char)~seed->data[i];
        run_once(seed->data, seed->n);
        seed->data[i] = (char)~seed->data[i];
    }
}

static int run_folder(const char *folder, size_t *n_seeds)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        fprintf(stderr, "%s: cannot be read\n", folder);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        rt_buf seed = {0};
        if (entry->d_name[0] == '.') continue;
        if (rt_fs_join(path, sizeof path, folder, entry->d_name, NULL) == RT_OK &&
            rt_fs_read(path, 16u << 20, &seed, NULL) == RT_OK) {
            run_variants(&seed);
            (*n_seeds)++;
        }
        rt_buf_free(&seed);
    }
    closedir(dir);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    size_t n_seeds = 0;
    for (int i = 1; i < argc; i++) failed |= run_folder(argv[i], &n_seeds);
    printf("%zu seeds replayed\n", n_seeds);
    return failed != 0 || n_seeds == 0;
}
