#include "cli/doctor/needs.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static memory_basis toy_basis(void)
{
    return (memory_basis){.student = {.n_params = 10 * MIB,
                                      .d_model = 100,
                                      .n_layers = 2,
                                      .d_attention = 100,
                                      .d_key_value = 50,
                                      .d_ff = 300},
                          .n_students = 1,
                          .n_servers = 1,
                          .micro_batch_tokens = 1000,
                          .micro_batches = 4,
                          .n_teachers = 1};
}

Test(doctor_needs, memory_is_weights_activations_and_processes)
{
    memory_basis b = toy_basis();
    memory_need n = memory_need_of(&b);
    /* 5 x 40 MiB, 55 MiB, and 1000 tokens x 2 layers x 1800 floats x 2.1 */
    cr_expect_eq(n.students, 255 * MIB + 4 * 1000 * 2 * 1800 * 21 / 10);
    cr_expect_eq(n.servers, 220 * MIB);
    cr_expect_eq(n.teachers, 20 * MIB);
    cr_expect_eq(n.total, n.students + n.servers + n.teachers + n.others);
}

Test(doctor_needs, memory_grows_with_processes_and_early_gradients)
{
    memory_basis b = toy_basis();
    memory_need one = memory_need_of(&b);
    b.n_students = 3;
    memory_need three = memory_need_of(&b);
    cr_expect_eq(three.students, 3 * one.students);
    cr_expect_eq(three.servers, one.servers + 80 * MIB, "two others may be early");
    b.micro_batches = 2;
    cr_expect_eq(memory_need_of(&b).servers, one.servers + 40 * MIB);
    b.n_students = 0;
    cr_expect_eq(memory_need_of(&b).students, 0);
}

Test(doctor_needs, a_native_teacher_has_weights_keys_and_values)
{
    memory_basis b = toy_basis();
    b.teacher = (memory_model){.n_params = MIB, .n_layers = 4, .d_key_value = 128};
    b.teacher_tokens = 1024;
    b.n_teachers = 2;
    cr_expect_eq(memory_need_of(&b).teachers, 2 * (4 * MIB + 4 * MIB + 40 * MIB));
}

Test(doctor_needs, too_little_memory_is_a_warning_and_unknown_memory_too)
{
    memory_basis b = toy_basis();
    memory_need n = memory_need_of(&b);
    cr_expect_eq(memory_verdict(&n, n.total).level, FINDING_OK);
    cr_expect_eq(memory_verdict(&n, n.total - 1).level, FINDING_WARN);
    cr_expect_eq(memory_verdict(&n, 0).level, FINDING_WARN);
    b.student.n_params = UINT64_MAX;
    b.n_students = UINT64_MAX;
    n = memory_need_of(&b);
    cr_expect_gt(n.total, (uint64_t)8e18, "saturates");
}

static disk_basis toy_disk(void)
{
    return (disk_basis){.n_rows = 1000,
                        .input_bytes_mean = 200,
                        .answer_bytes_max = 400,
                        .n_texts = 1,
                        .trains = true,
                        .n_params = 1000000,
                        .checkpoints_kept = 2,
                        .n_exported_bytes = 4};
}

Test(doctor_needs, disk_is_certain_up_to_the_length_of_answers)
{
    disk_basis b = toy_disk();
    disk_need n = disk_need_of(&b);
    uint64_t model = 12 * UINT64_C(1000000) * 4 + 4 * 1000000;
    cr_expect_eq(n.least, 1000 * (2 * 200 + 600) + 1000 * 200 + model);
    cr_expect_eq(n.most, n.least + 1000 * 400 + 1000 * 400);
    b.has_cache = true;
    b.n_texts = 5;
    cr_expect_eq(disk_need_of(&b).most, n.most + 5 * 1000 * 400, "each text is kept");
    b = toy_disk();
    b.trains = false;
    cr_expect_eq(disk_need_of(&b).least, 1000 * (2 * 200 + 600));
}

Test(doctor_needs, what_is_there_need_not_be_written_again)
{
    disk_basis b = toy_disk();
    disk_need n = disk_need_of(&b);
    b.n_there = 10000000;
    cr_expect_eq(disk_need_of(&b).least, n.least - 10000000);
    b.n_there = UINT64_C(1) << 50;
    cr_expect_eq(disk_need_of(&b).most, 0);
}

Test(doctor_needs, too_little_for_the_least_fails_and_for_the_most_warns)
{
    disk_need n = {.least = 100, .most = 200};
    cr_expect_eq(disk_verdict("/d", &n, 200).level, FINDING_OK);
    cr_expect_eq(disk_verdict("/d", &n, 199).level, FINDING_WARN);
    cr_expect_eq(disk_verdict("/d", &n, 100).level, FINDING_WARN);
    finding f = disk_verdict("/d", &n, 99);
    cr_expect_eq(f.level, FINDING_FAIL);
    cr_expect_eq(f.why, RT_IO);
    cr_expect(strstr(f.found, "/d") != NULL);
}

Test(doctor_needs, open_files_go_by_the_process_that_needs_most)
{
    files_basis b = {.n_teachers = 1, .n_students = 1, .n_servers = 1};
    cr_expect_eq(files_need_of(&b), 64 + 12);
    b.in_flight_max = 1024;
    cr_expect_eq(files_need_of(&b), 64 + 2048);
    cr_expect_eq(files_verdict(100, 100, 100).level, FINDING_OK);
    finding f = files_verdict(100, 99, 4096);
    cr_expect_eq(f.level, FINDING_WARN);
    cr_expect_str_eq(f.fix, "ulimit -n 100");
    cr_expect(strstr(files_verdict(100, 64, 64).fix, "hard limit") != NULL);
}

Test(doctor_needs, bytes_are_written_for_people)
{
    char text[BYTES_TEXT_SIZE];
    cr_expect_str_eq(bytes_text(0, text), "0 B");
    cr_expect_str_eq(bytes_text(1023, text), "1023 B");
    cr_expect_str_eq(bytes_text(1536, text), "1.5 KiB");
    cr_expect_str_eq(bytes_text(20 * MIB, text), "20 MiB");
    cr_expect_str_eq(bytes_text(UINT64_MAX, text), "16384 PiB");
}
