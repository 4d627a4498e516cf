/* What this machine has: memory, room on disk, open files, free addresses. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/doctor/bind_place.h"
#include "cli/doctor/doctor.h"
#include "cli/doctor/place.h"
#include "common/base/fs.h"
#include "coordinator/run_folder.h"
#include "worker/runtime/run_path.h"

/* ---- memory ---- */

/* "MemAvailable:   123 kB"; 0 when it is not known. */
static uint64_t available_memory(void)
{
    char line[200];
    uint64_t kib = 0, most = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1) break;
    if (f != NULL) fclose(f);
    /* A container's limit; "max" is none. */
    f = fopen("/sys/fs/cgroup/memory.max", "re");
    if (f != NULL && fscanf(f, "%" SCNu64, &most) != 1) most = 0;
    if (f != NULL) fclose(f);
    return most > 0 ? RT_MIN(kib * 1024, most) : kib * 1024;
}

void check_memory(doctor *d)
{
    const config *c = d->config;
    d->memory.n_students = c->launch.students;
    d->memory.n_servers = c->launch.servers;
    d->memory.n_teachers = c->launch.teachers;
    d->memory.micro_batches = c->train.micro_batches;
    d->memory.micro_batch_tokens = c->train.micro_batch_tokens;
    if (d->n_params == 0) return; /* no student: reported already */
    memory_need need = memory_need_of(&d->memory);
    report_add(d->report, "memory", memory_verdict(&need, available_memory()));
}

/* ---- disk ---- */

static uint64_t exported_bytes(export_dtype dtype)
{
    return dtype == EXPORT_F32 ? 4 : 2;
}

static disk_basis disk_basis_of(const doctor *d, const char *run_dir, bool has_cache)
{
    const config *c = d->config;
    return (disk_basis){.n_rows = d->rows.n_rows_about,
                        .input_bytes_mean = corpus_sample_bytes_mean(&d->rows),
                        .answer_bytes_max = d->answer_bytes_max,
                        .n_texts = c->quality.samples,
                        .has_cache = has_cache,
                        .trains = true,
                        .n_params = d->n_params,
                        .checkpoints_kept = c->train.checkpoints_kept,
                        .n_exported_bytes = exported_bytes(c->export_dtype),
                        .n_there = place_bytes(run_dir)};
}

/* False when nothing can be written there. */
static bool check_folder(doctor *d, const char *check, const char *path, const char *path_setting,
                         place *out)
{
    rt_error err = {0};
    finding f;
    rt_status st = place_look(path, out, &err);
    if (st == RT_OK)
        f = finding_ok("%s %s", path, out->exists ? "can be written" : "can be made");
    else
        f = finding_fail(RT_IO, "%s cannot be written: %s", path, err.text);
    finding_expect(&f, "a folder, there or to be made, that this user may write");
    finding_fix(&f, "set %s to another folder, or clear the way", path_setting);
    report_add(d->report, check, f);
    return st == RT_OK;
}

/* Another run, or this one with other settings. */
static bool check_run(doctor *d, run_folder *folder)
{
    rt_error err = {0};
    rt_status st = run_folder_look(d->config, folder, &err);
    if (st == RT_OK) return true;
    finding f = finding_of_error(&err, "wait for it, or set run_dir to another folder");
    finding_expect(&f, "a new run, or this one to go on with");
    report_add(d->report, "run_dir", f);
    return false;
}

/* The path of the cache, and where it is; false when there is none or it cannot be written. */
static bool check_cache(doctor *d, place *out)
{
    char path[PATH_MAX];
    if (!d->has_server || cache_path(d->config, path, sizeof path, NULL) != RT_OK) return false;
    if (path[0] != '\0') return check_folder(d, "cache", path, "cache.dir", out);
    finding f = finding_warn("cache.dir is off: an answer that a process loses is paid twice");
    finding_expect(&f, "a folder for answers that were paid for");
    finding_fix(&f, "leave cache.dir empty");
    report_add(d->report, "cache", f);
    return false;
}

void check_places(doctor *d)
{
    run_folder folder;
    place run, cache;
    memset(&folder, 0, sizeof folder);
    bool is_free = check_run(d, &folder);
    bool has_cache = check_cache(d, &cache);
    if (!is_free || !check_folder(d, "run_dir", folder.path, "run_dir", &run)) return;
    bool same_disk = has_cache && cache.device == run.device;
    disk_basis basis = disk_basis_of(d, folder.path, same_disk);
    disk_need need = disk_need_of(&basis);
    report_add(d->report, "disk", disk_verdict(run.folder, &need, run.n_free));
    if (!has_cache || same_disk) return;
    basis = (disk_basis){.n_rows = basis.n_rows,
                         .answer_bytes_max = basis.answer_bytes_max * RT_MAX(basis.n_texts, 1u)};
    need = disk_need_of(&basis);
    need.least = 0; /* it may hold all answers already */
    report_add(d->report, "disk", disk_verdict(cache.folder, &need, cache.n_free));
}

/* ---- open files, addresses ---- */

void check_machine(doctor *d)
{
    const config *c = d->config;
    struct rlimit limit = {0};
    bind_place places[BIND_PLACES_MAX];
    files_basis basis = {.n_teachers = c->launch.teachers,
                         .n_students = c->launch.students,
                         .n_servers = c->launch.servers,
                         .in_flight_max = d->has_server ? c->teacher.in_flight_max : 0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        report_add(d->report, "open_files",
                   files_verdict(files_need_of(&basis), limit.rlim_cur, limit.rlim_max));
    size_t n = bind_places_of(c, places);
    for (size_t i = 0; i < n; i++)
        report_add(d->report, "address", bind_verdict(&places[i], bind_place_try(&places[i])));
    if (n == 0) {
        finding f = finding_ok("the launcher chooses them all");
        report_add(d->report, "address", f);
    }
}
