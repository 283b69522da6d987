/* Whole sets of tiny models: interrupted anywhere and gone on with, the files are the same; hostile original cards do no
 * harm; what is wrong with a folder is found. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "check.h"
#include "publish/lint.h"
#include "publish/original.h"
#include "publish/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char model[] = FAL_SOURCE_DIR "/tests/golden/models/falcon-40b-like";
static const char text[] = FAL_SOURCE_DIR "/CONTRIBUTING.md";

/* A folder with everything in it, removed at the end. */
typedef struct place {
    char path[64];
    char joined[8][320];
    int next;
} place;

static place place_make(void) {
    place p = {.path = "/tmp/falconer-set-XXXXXX"};
    assert_non_null(mkdtemp(p.path));
    return p;
}

static const char *at(place *p, const char *name) {
    char *path = p->joined[p->next++ % 8];
    size_t folder_bytes = strlen(p->path), name_bytes = strlen(name);
    assert_true(folder_bytes + 1 + name_bytes < sizeof p->joined[0]);
    memcpy(path, p->path, folder_bytes);
    path[folder_bytes] = '/';
    memcpy(path + folder_bytes + 1, name, name_bytes + 1);
    return path;
}

static void place_remove(place *p) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", p->path);
    assert_int_equal(system(command), 0);
}

static void put(place *p, const char *name, const char *data, size_t length) {
    fal_error err = {0};
    CHECK_OK(fal_file_write(at(p, name), data, length, &err), &err);
}

static void get(place *p, const char *name, char **data) {
    size_t length = 0;
    fal_error err = {0};
    CHECK_OK(fal_file_read(data, &length, at(p, name), 1 << 24, &err), &err);
}

static bool same_bytes(place *a, const char *name_a, place *b, const char *name_b) {
    fal_mapping x, y;
    fal_error err = {0};
    CHECK_OK(fal_mapping_open(&x, at(a, name_a), &err), &err);
    CHECK_OK(fal_mapping_open(&y, at(b, name_b), &err), &err);
    bool same = x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
    fal_mapping_release(&x);
    fal_mapping_release(&y);
    return same;
}

/* ---- making ---- */

/* Cancels at the n-th call whose step begins with a word; keeps what was said. */
typedef struct watch {
    const char *step;
    int n_left; /* 0: never */
    char said[2000];
} watch;

static bool on_progress(void *user, const char *what, uint64_t n_done, uint64_t n_total) {
    watch *w = user;
    (void)n_done;
    (void)n_total;
    if (!w->step || strncmp(what, w->step, strlen(w->step)) != 0) return true;
    return w->n_left == 0 || --w->n_left > 0;
}

static void on_log(void *user, fal_log_level level, const char *area, const char *line) {
    watch *w = user;
    size_t used = strlen(w->said);
    (void)level;
    (void)area;
    snprintf(w->said + used, sizeof w->said - used, "%s\n", line);
}

static fal_publish_options options_of(const char *source, const char *directory, watch *w) {
    static const fal_mix *mixes[3];
    mixes[0] = fal_mix_by_name("Q4_0");
    mixes[1] = fal_mix_by_name("Q4_K_M");
    mixes[2] = fal_mix_by_name("Q8_0");
    return (fal_publish_options){
        .source = source,
        .directory = directory,
        .mixes = mixes,
        .n_mixes = 3,
        .name = "tiny",
        .license = "mit",
        .n_threads = 2,
        .n_window = 64,
        .n_windows = 2,
        .n_at_once = 2,
        .log = {on_log, w},
        .on_progress = on_progress,
        .user = w
    };
}

static void make_whole(place *p, const char *directory, const char *with_text) {
    watch w = {0};
    fal_set set = {0};
    fal_error err = {0};
    fal_publish_options o = options_of(model, at(p, directory), &w);
    o.text = with_text;
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    assert_int_equal(set.n_files, 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(set.files[i].was_kept);
    fal_set_release(&set);
}

static void lint(place *p, const char *directory, fal_names *findings) {
    fal_error err = {0};
    *findings = (fal_names){0};
    CHECK_OK(fal_lint_folder(findings, at(p, directory), NULL, &err), &err);
}

static void interrupted_sets_go_on(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    static const char *const files[] = {"tiny.Q4_0.gguf", "tiny.Q4_K_M.gguf", "tiny.Q8_0.gguf"};
    make_whole(&p, "whole", NULL);
    watch w = {.step = "quantizing 3-3", .n_left = 1};
    fal_set set = {0};
    fal_publish_options o = options_of(model, at(&p, "set"), &w);
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_CANCELLED, &err, "cancelled");
    fal_set_release(&set);
    fal_names names = {0};
    CHECK_OK(fal_folder_list(&names, at(&p, "set"), "", &err), &err);
    assert_int_equal(names.count, 2); /* two whole files, nothing half */
    fal_names_release(&names);
    w = (watch){0};
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    assert_non_null(strstr(w.said, "kept, since they are finished: Q4_0, Q4_K_M\n"));
    assert_true(set.files[1].was_kept);
    assert_false(set.files[2].was_kept);
    fal_set_release(&set);
    for (size_t i = 0; i < 3; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "whole/%s", files[i]);
        snprintf(b, sizeof b, "set/%s", files[i]);
        assert_true(same_bytes(&p, a, &p, b));
    }
    assert_true(same_bytes(&p, "whole/README.md", &p, "set/README.md"));
    assert_true(same_bytes(&p, "whole/SHA256SUMS", &p, "set/SHA256SUMS"));
    place_remove(&p);
}

/* A file under the final name that is of another mix, damaged or of another model is made anew. */
static void strangers_are_not_kept(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    make_whole(&p, "set", NULL);
    make_whole(&p, "whole", NULL);
    CHECK_OK(fal_copy_file(at(&p, "whole/tiny.Q8_0.gguf"), at(&p, "set/tiny.Q4_0.gguf"), &err),
             &err);
    put(&p, "set/tiny.Q8_0.gguf", "GGUF", 4);
    watch w = {0};
    fal_set set = {0};
    fal_publish_options o = options_of(model, at(&p, "set"), &w);
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    assert_false(set.files[0].was_kept);
    assert_true(set.files[1].was_kept);
    assert_false(set.files[2].was_kept);
    fal_set_release(&set);
    assert_true(same_bytes(&p, "whole/tiny.Q4_0.gguf", &p, "set/tiny.Q4_0.gguf"));
    assert_true(same_bytes(&p, "whole/tiny.Q8_0.gguf", &p, "set/tiny.Q8_0.gguf"));
    o.source = FAL_SOURCE_DIR "/tests/golden/models/falcon-11b-like";
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    for (size_t i = 0; i < 3; i++)
        assert_false(set.files[i].was_kept);
    fal_set_release(&set);
    place_remove(&p);
}

static void measured_sets_go_on(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    watch w = {.step = "measuring Q4_K_M", .n_left = 1};
    fal_set set = {0};
    fal_publish_options o = options_of(model, at(&p, "set"), &w);
    o.text = text;
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_CANCELLED, &err, "");
    fal_set_release(&set);
    assert_false(fal_file_exists(at(&p, "set/.reference.gguf")));
    assert_false(fal_file_exists(at(&p, "set/README.md")));
    put(&p, "set/.reference.gguf", "of a run that was killed", 24);
    w = (watch){0};
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    assert_non_null(strstr(w.said, "taken over: 1 of 3"));
    for (size_t i = 0; i < 3; i++) {
        const fal_measured *m = &set.files[i].measured;
        assert_true(m->is_there);
        assert_true(m->perplexity > 1 && m->divergence > 0 && m->agreement > 0
                    && m->agreement <= 1);
        const fal_cost *c = &set.files[i].cost;
        assert_true(c->is_there && c->prompt_speed > 0 && c->answer_speed > 0);
        assert_int_equal(c->peak_bytes, 0); /* nobody said how to measure it */
    }
    /* More bits are nearer to the reference. */
    assert_true(set.files[2].measured.divergence < set.files[1].measured.divergence);
    assert_true(set.files[1].measured.divergence < set.files[0].measured.divergence);
    fal_set_release(&set);
    assert_false(fal_file_exists(at(&p, "set/.reference.gguf")));
    fal_names findings;
    lint(&p, "set", &findings);
    for (size_t i = 0; i < findings.count; i++)
        fail_msg("finding: %s", findings.items[i]);
    fal_names_release(&findings);
    place_remove(&p);
}

/* Files of another importance matrix are not those that are asked for. */
static void another_calibration_makes_anew(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    fal_set set = {0};
    watch w = {0};
    char *once = NULL;
    size_t length = 0;
    CHECK_OK(fal_file_read(&once, &length, text, 1 << 20, &err), &err);
    put(&p, "other", once, length - 10);
    fal_free(once);
    fal_publish_options o = options_of(model, at(&p, "set"), &w);
    o.n_mixes = 1;
    const char *const texts[] = {text, text, at(&p, "other")};
    for (size_t i = 0; i < 3; i++) {
        o.calibration = texts[i];
        CHECK_OK(fal_publish(&set, &o, &err), &err);
        assert_int_equal(set.files[0].was_kept, i == 1);
        fal_set_release(&set);
    }
    place_remove(&p);
}

/* A file is not written over itself while it is read. */
static void the_source_is_not_overwritten(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    fal_set set = {0};
    watch w = {0};
    make_whole(&p, "set", NULL);
    fal_publish_options o = options_of(at(&p, "set/tiny.Q8_0.gguf"), at(&p, "set"), &w);
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "is q8_0 already");
    fal_set_release(&set);
    const fal_mix *f32 = fal_mix_by_name("F32");
    char *source = fal_path_join(at(&p, "set"), "tiny.F32.gguf");
    o = options_of(model, at(&p, "set"), &w);
    o.mixes = &f32;
    o.n_mixes = 1;
    CHECK_OK(fal_publish(&set, &o, &err), &err);
    fal_set_release(&set);
    o.source = source;
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "over itself");
    fal_set_release(&set);
    assert_int_equal(symlink(p.path, at(&p, "elsewhere")), 0);
    o.source = p.path;
    o.directory = at(&p, "elsewhere");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "would be lost");
    fal_set_release(&set);
    fal_free(source);
    place_remove(&p);
}

static void bad_wishes_are_refused_first(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    fal_set set = {0};
    watch w = {0};
    put(&p, "bad.md", "{{nothing}}", 11);
    put(&p, "empty", "", 0);
    fal_publish_options o = options_of(model, at(&p, "set"), &w);
    o.template_file = at(&p, "bad.md");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_FORMAT, &err, "bad.md:1: no placeholder");
    fal_set_release(&set);
    o.template_file = NULL;
    o.text = at(&p, "empty");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "is empty");
    fal_set_release(&set);
    o.text = at(&p, "absent");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_NOT_FOUND, &err, "absent");
    fal_set_release(&set);
    o.text = NULL;
    const fal_mix *twice[] = {fal_mix_by_name("Q4_0"), fal_mix_by_name("q4_0")};
    o.mixes = twice;
    o.n_mixes = 2;
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "twice");
    fal_set_release(&set);
    o.n_mixes = 1;
    put(&p, "short", "three words only", 16);
    o.text = at(&p, "short");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_LIMIT, &err, "a window needs 64");
    fal_set_release(&set);
    o.text = NULL;
    o.calibration = at(&p, "short");
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_LIMIT, &err, "a window needs 512");
    fal_set_release(&set);
    o.calibration = NULL;
    o.base_model = "a](b)";
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "owner/name");
    fal_set_release(&set);
    o.base_model = NULL;
    o.license = "mit: x\ny";
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "an identifier is needed");
    fal_set_release(&set);
    o.license = NULL;
    o.name = "...";
    CHECK_STATUS(fal_publish(&set, &o, &err), FAL_E_ARGUMENT, &err, "--name");
    fal_set_release(&set);
    assert_false(fal_file_exists(at(&p, "set")));
    place_remove(&p);
}

/* ---- original cards ---- */

static void read_original(place *p, const char *name, fal_original *out, watch *w) {
    fal_error err = {0};
    const fal_log log = {on_log, w};
    *w = (watch){0};
    CHECK_OK(fal_original_read(out, at(p, name), &log, &err), &err);
}

static void hostile_cards_do_no_harm(void **state) {
    (void)state;
    place p = place_make();
    fal_original o;
    watch w;
    read_original(&p, "absent.md", &o, &w);
    assert_null(o.body);
    assert_string_equal(w.said, "");
    put(&p, "plain.md", "# A card\n", 9);
    read_original(&p, "plain.md", &o, &w);
    assert_null(o.front);
    assert_string_equal(o.body, "# A card\n");
    fal_original_release(&o);
    put(&p, "broken.md", "---\na: [\n---\nbody", 17);
    read_original(&p, "broken.md", &o, &w);
    assert_null(o.front);
    assert_string_equal(o.body, "body");
    assert_non_null(strstr(w.said, "nothing is carried over"));
    fal_original_release(&o);
    put(&p, "crlf.md", "---\r\nlicense: mit\r\n---\r\na\r\nb\x1b]0;x\x07\r\n", 37);
    read_original(&p, "crlf.md", &o, &w);
    assert_non_null(o.front);
    assert_string_equal(o.body, "a\nb]0;x\n");
    fal_original_release(&o);
    size_t huge = 3 << 20;
    char *data = test_malloc(huge);
    for (size_t i = 0; i < huge; i++)
        data[i] = i % 100 == 99 ? '\n' : 'x';
    put(&p, "huge.md", data, huge);
    read_original(&p, "huge.md", &o, &w);
    assert_true(strlen(o.body) < (1 << 20) + 100);
    assert_non_null(strstr(o.body, "it is cut here"));
    assert_non_null(strstr(w.said, "1 MiB"));
    fal_original_release(&o);
    memset(data, 0, huge);
    put(&p, "zeros.md", data, huge);
    read_original(&p, "zeros.md", &o, &w);
    fal_original_release(&o);
    test_free(data);
    place_remove(&p);
}

/* What a card shows comes along; what lies elsewhere, or is the set's own, does not. */
static void files_of_cards_come_along(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    fal_original o;
    watch w;
    static const char card[] =
        "![a](images/a.png) [b](gone.md) ![c](./gone.png) [d](../secret) [e](link) [f](README.md)\n"
        "[g](https://x.org) [h](cached.txt) [i](folder/secret) [j](./SHA256SUMS)\n";
    CHECK_OK(fal_folder_make(at(&p, "hf/images"), &err), &err);
    CHECK_OK(fal_folder_make(at(&p, "out"), &err), &err);
    CHECK_OK(fal_folder_make(at(&p, "elsewhere"), &err), &err);
    CHECK_OK(fal_folder_make(at(&p, "blobs"), &err), &err);
    put(&p, "hf/README.md", card, sizeof card - 1);
    put(&p, "hf/images/a.png", "picture", 7);
    put(&p, "hf/SHA256SUMS", "theirs", 6);
    put(&p, "secret", "s", 1);
    put(&p, "elsewhere/secret", "s", 1);
    put(&p, "blobs/0a1b", "cached", 6);
    assert_int_equal(symlink("../secret", at(&p, "hf/link")), 0);
    assert_int_equal(symlink("../elsewhere", at(&p, "hf/folder")), 0);
    assert_int_equal(symlink("../blobs/0a1b", at(&p, "hf/cached.txt")), 0);
    read_original(&p, "hf/README.md", &o, &w);
    CHECK_OK(fal_original_bring_files(&o, at(&p, "hf"), at(&p, "out"), "a/b", &err), &err);
    assert_string_equal(
        o.body,
        "![a](images/a.png) [b](https://huggingface.co/a/b/blob/main/gone.md) "
        "![c](https://huggingface.co/a/b/resolve/main/gone.png) "
        "[d](https://huggingface.co/a/b/blob/main/../secret) "
        "[e](https://huggingface.co/a/b/blob/main/link) [f](README.md)\n"
        "[g](https://x.org) [h](cached.txt) [i](https://huggingface.co/a/b/blob/main/folder/secret) "
        "[j](./SHA256SUMS)\n");
    assert_false(fal_file_exists(at(&p, "out/SHA256SUMS")));
    assert_true(fal_file_exists(at(&p, "out/images/a.png")));
    assert_true(fal_file_exists(at(&p, "out/cached.txt")));
    assert_false(fal_file_exists(at(&p, "out/link")));
    assert_false(fal_file_exists(at(&p, "out/folder")));
    assert_false(fal_file_exists(at(&p, "out/README.md")));
    fal_original_release(&o);
    place_remove(&p);
}

static void names_follow_from_paths(void **state) {
    (void)state;

    static const struct {
        const char *path, *name, *hub;
    } cases[] = {
        {"/a/alfred-40b-1023/",                         "alfred-40b-1023", NULL              },
        {"falcon-7b.bf16.gguf",                         "falcon-7b",       NULL              },
        {"x/falcon-7b-F16.gguf",                        "falcon-7b",       NULL              },
        {"my model!.gguf",                              "my-model-",       NULL              },
        {"/h/models--tiiuae--falcon-7b/snapshots/0a1/", "falcon-7b",       "tiiuae/falcon-7b"},
        {"models--x/snapshots/0a1",                     "0a1",             NULL              },
        {"models--a--b/other",                          "other",           NULL              },
        {".hidden",                                     "-hidden",         NULL              },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *name = fal_model_name_of(cases[i].path), *hub = fal_hub_name_of(cases[i].path);
        assert_string_equal(name, cases[i].name);
        if (cases[i].hub) {
            assert_string_equal(hub, cases[i].hub);
        } else {
            assert_null(hub);
        }
        fal_free(name);
        fal_free(hub);
    }
}

/* ---- the linter ---- */

/* In the card or list `name` of the set, `from` becomes `to` for the time of one look. */
static void check_found(place *p, const char *name, const char *from, const char *to,
                        const char *finding) {
    char *before = NULL;
    get(p, name, &before);
    const char *place_of = strstr(before, from);
    if (!place_of) fail_msg("'%s' does not stand in %s", from, name);
    fal_string_builder changed = {0};
    fal_string_append(&changed, before, (size_t)(place_of - before));
    fal_string_append_text(&changed, to);
    fal_string_append_text(&changed, place_of + strlen(from));
    put(p, name, changed.text, changed.length);
    fal_names findings;
    bool found = false;
    lint(p, "set", &findings);
    for (size_t i = 0; i < findings.count; i++)
        found |= strstr(findings.items[i], finding) != NULL;
    if (!found)
        fail_msg("'%s' is not found (%zu findings, first '%s')", finding, findings.count,
                 findings.count ? findings.items[0] : "");
    fal_names_release(&findings);
    put(p, name, before, strlen(before));
    fal_string_release(&changed);
    fal_free(before);
}

static void seeded_damage_is_found(void **state) {
    (void)state;
    place p = place_make();
    fal_error err = {0};
    fal_names findings;
    make_whole(&p, "set", NULL);
    lint(&p, "set", &findings);
    for (size_t i = 0; i < findings.count; i++)
        fail_msg("finding: %s", findings.items[i]);
    fal_names_release(&findings);

    static const struct {
        const char *file, *from, *to, *finding;
    } cases[] = {
        {"set/README.md",  "| Q4_0 | 17",      "| Q4_0 | 18",
         "the size of tiny.Q4_0.gguf is given as 18"                                                                  },
        {"set/README.md",  "| Q8_0 | ",        "| Q8_0 | big ",                  "is no number"                       },
        {"set/README.md",  "kB | 5.20",        "kB | 5.30",
         "bits per weight of tiny.Q4_0.gguf is given as 5.30"                                                         },
        {"set/README.md",  "| Q8_0 |",         "| Q6_K |",                       "tensors are not what Q6_K means"    },
        {"set/README.md",  "| Q8_0 |",         "| Q9_0 |",                       "'Q9_0' of tiny.Q8_0.gguf is no type"},
        {"set/README.md",  "](tiny.Q8_0.gguf", "](tiny.gguf",                    "'tiny.gguf' leads to no file"       },
        {"set/README.md",  "](tiny.Q8_0.gguf", "](tiny.gguf",
         "no row of a table is about 'tiny.Q8_0.gguf'"                                                                },
        {"set/README.md",  "](SHA256SUMS)",    "](../SUMS)",                     "leads out of the folder"            },
        {"set/README.md",  "# tiny",           "![x](x.png)",                    "the image 'x.png' leads to no file" },
        {"set/README.md",  "license: mit\n",   "",                               "no license"                         },
        {"set/README.md",  "license: mit",     "license: [",                     "README.md:"                         },
        {"set/README.md",  "tags:\n",          "tags: x\nlicense: mit\ntags:\n", "is given twice"                     },
        {"set/README.md",  "---\n",            "",                               "no front matter"                    },
        {"set/README.md",  "\n---\n",          "\n",                             "never ends"                         },
        {"set/README.md",  "license: mit",     "license: mit\nthumbnail: t.png",
         "the image 't.png' leads to no file"                                                                         },
        {"set/README.md",  "# tiny",           "# \xff",                         "not UTF-8"                          },
        {"set/SHA256SUMS", "tiny.Q8_0.gguf",   "gone.gguf",                      "'gone.gguf' is not there"           },
        {"set/SHA256SUMS", "tiny.Q8_0.gguf",   "gone.gguf",
         "SHA256SUMS: 'tiny.Q8_0.gguf' is missing"                                                                    },
        {"set/SHA256SUMS", "tiny.Q8_0.gguf",   "tiny.Q4_0.gguf",
         "'tiny.Q4_0.gguf' has another SHA-256"                                                                       },
        {"set/SHA256SUMS", "  tiny",           "tiny",                           "this is no SHA-256"                 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_found(&p, cases[i].file, cases[i].from, cases[i].to, cases[i].finding);
    put(&p, "set/tiny.Q8_0.gguf.partial-1-0", "x", 1);
    assert_int_equal(truncate(at(&p, "set/tiny.Q4_0.gguf"), 100000), 0);
    assert_int_equal(unlink(at(&p, "set/tiny.Q4_K_M.gguf")), 0);
    assert_int_equal(unlink(at(&p, "set/SHA256SUMS")), 0);
    lint(&p, "set", &findings);
    static const char *const expected[] = {
        "interrupted run", "tiny.Q4_0.gguf: ", "'tiny.Q4_K_M.gguf' leads to no file",
        "SHA256SUMS: not there"};
    for (size_t k = 0; k < 4; k++) {
        bool found = false;
        for (size_t i = 0; i < findings.count; i++)
            found |= strstr(findings.items[i], expected[k]) != NULL;
        if (!found) fail_msg("'%s' is not found", expected[k]);
    }
    fal_names_release(&findings);
    fal_names none = {0};
    CHECK_STATUS(fal_lint_folder(&none, at(&p, "absent"), NULL, &err), FAL_E_NOT_FOUND, &err,
                 "absent");
    CHECK_STATUS(fal_lint_folder(&none, at(&p, "set/README.md"), NULL, &err), FAL_E_ARGUMENT, &err,
                 "not a folder");
    fal_names_release(&none);
    place_remove(&p);
}

static int no_block_is_lost(void **state) {
    (void)state;
    return fal_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(interrupted_sets_go_on),
                                       cmocka_unit_test(strangers_are_not_kept),
                                       cmocka_unit_test(measured_sets_go_on),
                                       cmocka_unit_test(bad_wishes_are_refused_first),
                                       cmocka_unit_test(another_calibration_makes_anew),
                                       cmocka_unit_test(the_source_is_not_overwritten),
                                       cmocka_unit_test(hostile_cards_do_no_harm),
                                       cmocka_unit_test(files_of_cards_come_along),
                                       cmocka_unit_test(names_follow_from_paths),
                                       cmocka_unit_test(seeded_damage_is_found)};
    return cmocka_run_group_tests(tests, NULL, no_block_is_lost);
}
