/* Front matter carried over and refused, templates filled and refused, links found, text made harmless. */
#include "base/alloc.h"
#include "check.h"
#include "publish/front_matter.h"
#include "publish/links.h"
#include "publish/template.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- front matter ---- */

static fal_front_matter *open_front(const char *yaml) {
    fal_front_matter *f = NULL;
    fal_error err = {0};
    CHECK_OK(fal_front_matter_open(&f, fal_slice_of(yaml), "card", &err), &err);
    return f;
}

static void check_written(const char *yaml, const fal_key_edit *edits, const char *expected) {
    fal_front_matter *f = yaml ? open_front(yaml) : NULL;
    fal_string_builder out = {0};
    fal_error err = {0};
    CHECK_OK(fal_front_matter_write(&out, f, edits, &err), &err);
    assert_string_equal(out.text, expected);
    fal_string_release(&out);
    fal_front_matter_close(f);
}

static void front_matter_is_found(void **state) {
    (void)state;

    static const struct {
        const char *card, *yaml, *body;
        fal_front_matter_place place;
    } cases[] = {
        {"---\na: 1\n---\nbody\n",              "a: 1\n",   "body\n",                 FAL_FRONT_MATTER_WHOLE   },
        {"\xef\xbb\xbf---\r\na: 1\r\n---\r\nb", "a: 1\r\n", "b",                      FAL_FRONT_MATTER_WHOLE   },
        {"---\n---\n",                          "",         "",                       FAL_FRONT_MATTER_WHOLE   },
        {"---  \na: 1\n--- \t",                 "a: 1\n",   "",                       FAL_FRONT_MATTER_WHOLE   },
        {"---\na: 1\n",                         "",         "---\na: 1\n",            FAL_FRONT_MATTER_UNCLOSED},
        {"# title\n---\na\n---\n",              "",         "# title\n---\na\n---\n", FAL_FRONT_MATTER_ABSENT  },
        {"----\na\n----\n",                     "",         "----\na\n----\n",        FAL_FRONT_MATTER_ABSENT  },
        {"",                                    "",         "",                       FAL_FRONT_MATTER_ABSENT  },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_slice yaml, body;
        assert_int_equal(fal_front_matter_split(fal_slice_of(cases[i].card), &yaml, &body),
                         cases[i].place);
        assert_true(fal_slice_equals(yaml, cases[i].yaml));
        assert_true(fal_slice_equals(body, cases[i].body));
    }
}

/* What was written stays as it was: "no" is a language, 1.10 a version, and quotes are quotes. */
static void front_matter_is_carried_over(void **state) {
    (void)state;
    static const char *const none[] = {NULL}, *const base[] = {"a/b", NULL},
                             *const tags[] = {"gguf", "falcon", NULL}, *const task[] = {"t", NULL};
    const fal_key_edit edits[] = {
        {"base_model",   FAL_KEY_REPLACE, base, false},
        {"license",      FAL_KEY_REPLACE, none, false},
        {"tags",         FAL_KEY_EXTEND,  tags, true },
        {"pipeline_tag", FAL_KEY_DEFAULT, task, false},
        {"widget",       FAL_KEY_REMOVE,  NULL, false},
        {NULL,           FAL_KEY_REMOVE,  NULL, false}
    };
    check_written(
        "license: apache-2.0\nlanguage: [en, no, \"fr\"]\nversion: 1.10\nwidget:\n- text: x\n"
        "base_model: old/one\ntags:\n- falcon\n- 'b'\nnote: |\n  two\n  lines\nname: Zoë\n",
        edits,
        "---\nlicense: apache-2.0\nlanguage: [en, no, \"fr\"]\nversion: 1.10\n"
        "base_model: a/b\ntags:\n- falcon\n- 'b'\n- gguf\nnote: |\n  two\n  lines\n"
        "name: Zoë\npipeline_tag: t\n---\n");
    check_written(
        "tags: one\npipeline_tag: mine\n", edits,
        "---\ntags:\n- one\n- gguf\n- falcon\npipeline_tag: mine\nbase_model: a/b\n---\n");
    check_written(NULL, edits,
                  "---\nbase_model: a/b\ntags:\n- gguf\n- falcon\npipeline_tag: t\n---\n");
    check_written("", edits,
                  "---\nbase_model: a/b\ntags:\n- gguf\n- falcon\npipeline_tag: t\n---\n");
    check_written("a: &x [1]\nb: *x\nbase_model:\n", edits,
                  "---\na: [1]\nb: [1]\nbase_model: a/b\ntags:\n- gguf\n- falcon\npipeline_tag: t\n"
                  "---\n");
}

/* A value that YAML would read as something else is quoted by the writer. */
static void values_are_quoted_where_needed(void **state) {
    (void)state;
    static const char *const hard[] = {"a: b # c\nd", NULL};
    const fal_key_edit edits[] = {
        {"name", FAL_KEY_REPLACE, hard, false},
        {NULL,   FAL_KEY_REMOVE,  NULL, false}
    };
    fal_string_builder out = {0};
    fal_error err = {0};
    fal_slice yaml, body;
    CHECK_OK(fal_front_matter_write(&out, NULL, edits, &err), &err);
    assert_int_equal(fal_front_matter_split((fal_slice){out.text, out.length}, &yaml, &body),
                     FAL_FRONT_MATTER_WHOLE);
    fal_front_matter *f = NULL;
    CHECK_OK(fal_front_matter_open(&f, yaml, "card", &err), &err);
    assert_true(fal_slice_equals(fal_front_matter_text(f, "name", 0), hard[0]));
    fal_front_matter_close(f);
    fal_string_release(&out);
}

static void texts_are_found(void **state) {
    (void)state;
    fal_front_matter *f = open_front("license: mit\ntags: [a, b]\nmap: {x: y}\n");
    assert_true(fal_slice_equals(fal_front_matter_text(f, "license", 0), "mit"));
    assert_int_equal(fal_front_matter_text(f, "license", 1).length, 0);
    assert_true(fal_slice_equals(fal_front_matter_text(f, "tags", 1), "b"));
    assert_int_equal(fal_front_matter_text(f, "tags", 2).length, 0);
    assert_int_equal(fal_front_matter_text(f, "map", 0).length, 0);
    assert_int_equal(fal_front_matter_text(f, "absent", 0).length, 0);
    assert_int_equal(fal_front_matter_text(NULL, "license", 0).length, 0);
    fal_front_matter_close(f);
}

static void hostile_front_matter_is_refused(void **state) {
    (void)state;

    static const struct {
        const char *yaml, *words;
        fal_status status;
    } cases[] = {
        {"a: [1, 2\n",                                       "card:3: ",                                 FAL_E_FORMAT},
        {"- a\n- b\n",                                       "list",                                     FAL_E_FORMAT},
        {"just words\n",                                     "list",                                     FAL_E_FORMAT},
        {"a: 1\nb: 2\na: 3\n",                               "card:4: front matter: 'a' is given twice", FAL_E_FORMAT},
        {"? [a, b]\n: c\n",                                  "no text",                                  FAL_E_FORMAT},
        {"a: 1\n...\n---\nb: 2\n",                           "more than one",                            FAL_E_FORMAT},
        {"a: \x01\n",                                        "control",                                  FAL_E_FORMAT},
        {"a: \xff\n",                                        "UTF-8",                                    FAL_E_FORMAT},
        {"a: *nobody\n",                                     "alias",                                    FAL_E_FORMAT},
        {"a: &x [*x]\n",                                     "levels",                                   FAL_E_LIMIT },
        {"a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
         "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "100000",                                   FAL_E_LIMIT },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_front_matter *f = NULL;
        fal_error err = {0};
        CHECK_STATUS(fal_front_matter_open(&f, fal_slice_of(cases[i].yaml), "card", &err),
                     cases[i].status, &err, cases[i].words);
        assert_null(f);
    }
    char *deep = test_malloc(400000);
    fal_front_matter *f = NULL;
    fal_error err = {0};
    memset(deep, '[', 400000);
    CHECK_STATUS(fal_front_matter_open(&f, (fal_slice){deep, 400000}, "card", &err), FAL_E_LIMIT,
                 &err, "at most");
    assert_int_not_equal(fal_front_matter_open(&f, (fal_slice){deep, 20000}, "card", &err), FAL_OK);
    test_free(deep);
}

/* ---- templates ---- */

static const fal_template_value values[] = {
    {"name",   {"Alfred", 6}  },
    {"tricky", {"{{name}}", 8}},
    {"empty",  {"", 0}        },
    {NULL,     {NULL, 0}      }
};

static void templates_are_filled(void **state) {
    (void)state;

    static const struct {
        const char *text, *filled;
    } cases[] = {
        {"",                                          ""                                  },
        {"# {{name}} {{ name }}",                     "# Alfred Alfred"                   },
        {"{{tricky}}",                                "{{name}}"                          },
        {"a\n{{#name}}\nb\n{{/name}}\nc\n",           "a\nb\nc\n"                         },
        {"a\n{{^name}}\nb\n{{/name}}\nc\n",           "a\nc\n"                            },
        {"a\n{{#empty}}\nb {{name}}\n{{/empty}}\nc",  "a\nc"                              },
        {"a {{^empty}}b{{/empty}} c",                 "a b c"                             },
        {"{{#name}}{{#empty}}x{{/empty}}y{{/name}}z", "yz"                                },
        {"{{#empty}}{{#name}}x{{/name}}{{/empty}}z",  "z"                                 },
        {"{{#empty}}{{^name}}x{{/name}}{{/empty}}z",  "z"                                 },
        {"  {{#name}}  \r\nb\r\n  {{/name}}",         "b\r\n"                             },
        {"{{ {{}} {{-x}} {{Name}} {{name} {{",        "{{ {{}} {{-x}} {{Name}} {{name} {{"},
        {"b^{{x}-2}",                                 "b^{{x}-2}"                         },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_string_builder out = {0};
        fal_error err = {0};
        CHECK_OK(fal_template_fill(&out, fal_slice_of(cases[i].text), "t", values, &err), &err);
        assert_string_equal(out.text ? out.text : "", cases[i].filled);
        fal_string_release(&out);
    }
}

static void faults_of_templates_are_named(void **state) {
    (void)state;

    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a\nb {{nam}}\n",                 "t:2: no placeholder is called 'nam'; there are name, tricky, empty"},
        {"\n\n{{#absent}}{{/absent}}",     "t:3: no placeholder is called 'absent'"                            },
        {"{{#empty}}{{absent}}{{/empty}}", "t:1: no placeholder"                                               },
        {"a\n{{#name}}\nb\n",              "t:2: section 'name' is not closed"                                 },
        {"a\n{{/name}}\n",                 "t:2: section 'name' ends here"                                     },
        {"{{#name}}{{#empty}}{{/name}}",   "t:1: section 'name' ends here"                                     },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_string_builder out = {0};
        fal_error err = {0};
        CHECK_STATUS(fal_template_fill(&out, fal_slice_of(cases[i].text), "t", values, &err),
                     FAL_E_FORMAT, &err, cases[i].words);
        fal_string_release(&out);
    }
    fal_string_builder deep = {0}, out = {0};
    fal_error err = {0};
    for (int i = 0; i < 17; i++)
        fal_string_append_text(&deep, "{{#name}}");
    CHECK_STATUS(fal_template_fill(&out, (fal_slice){deep.text, deep.length}, "t", values, &err),
                 FAL_E_FORMAT, &err, "more than 16");
    fal_string_release(&deep);
    fal_string_release(&out);
}

/* ---- links ---- */

static void links_are_found(void **state) {
    (void)state;
    static const char text[] =
        "[a](one.md) ![b](two.png \"title\") `[c](not.md)` [d](<thr ee.md>)\n"
        "```\n[e](not.md)\n```\n"
        "[![f](four.png)](five.md) \\[g](not) [h](si(x).md)\n"
        "<img class=\"x\" src=\"seven.png\"> <a href='eight.md'> data-src=\"not\"\n"
        "[i]: nine.md\n~~~ c\n```\n[j](not.md)\n~~~\n[k](#ten) ``[l](not) ` `` [m](eleven";

    static const struct {
        const char *target;
        bool is_image;
        int line;
    } expected[] = {
        {"one.md",    false, 1 },
        {"two.png",   true,  1 },
        {"thr ee.md", false, 1 },
        {"four.png",  true,  5 },
        {"five.md",   false, 5 },
        {"si(x).md",  false, 5 },
        {"seven.png", true,  6 },
        {"eight.md",  false, 6 },
        {"nine.md",   false, 7 },
        {"#ten",      false, 12},
        {"eleven",    false, 12},
    };

    fal_link_walk walk = {.text = fal_slice_of(text)};
    fal_link link;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(fal_link_next(&walk, &link));
        if (!fal_slice_equals(link.target, expected[i].target))
            fail_msg("link %zu is '%.*s'", i, (int)link.target.length, link.target.data);
        assert_int_equal(link.is_image, expected[i].is_image);
        assert_int_equal(link.line, expected[i].line);
    }
    assert_false(fal_link_next(&walk, &link));
}

/* Brackets that close what was never opened, on one line of a quarter of a megabyte. */
static void long_lines_end(void **state) {
    (void)state;

    enum {
        LENGTH = 1 << 18
    };

    char *text = test_malloc(LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = i % 2 ? '(' : ']';
    fal_link_walk walk = {
        .text = {text, LENGTH}
    };
    fal_link link;
    assert_false(fal_link_next(&walk, &link));
    test_free(text);
}

static void link_paths_are_read(void **state) {
    (void)state;

    static const struct {
        const char *target, *path; /* NULL: elsewhere */
    } cases[] = {
        {"a/b.md#part",  "a/b.md"},
        {"a%20b.md?x=1", "a b.md"},
        {"a%2",          "a%2"   },
        {"%zz",          "%zz"   },
        {"./a",          "a"     },
        {"./a//b/./c/",  "a/b/c" },
        {"./",           "."     },
        {"%2Fx//y",      "/x//y" },
        {"#part",        NULL    },
        {"https://x/y",  NULL    },
        {"mailto:a@b",   NULL    },
        {"//host/x",     NULL    },
        {"/x",           NULL    },
        {"",             NULL    },
        {"1:2",          "1:2"   },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = NULL;
        fal_error err = {0};
        CHECK_OK(fal_link_path(&path, fal_slice_of(cases[i].target), &err), &err);
        if (cases[i].path) {
            assert_non_null(path);
            assert_string_equal(path, cases[i].path);
        } else {
            assert_null(path);
        }
        fal_free(path);
    }
    assert_true(fal_path_stays_inside("a/b..c"));
    assert_true(fal_path_stays_inside("./a"));
    assert_false(fal_path_stays_inside("a/../b"));
    assert_false(fal_path_stays_inside(".."));
    assert_false(fal_path_stays_inside("/a"));
    assert_false(fal_path_stays_inside(""));
}

static void text_is_made_harmless(void **state) {
    (void)state;
    fal_string_builder out = {0};
    static const char hostile[] = "a\r\nb\rc\0\x1b[31m\td\x7f\xc2\x9b\xff\xe2\x82 \xc3\xa9\n";
    fal_append_clean(&out, (fal_slice){hostile, sizeof hostile - 1});
    assert_string_equal(out.text, "a\nb\nc[31m\td\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xc3\xa9\n");
    fal_string_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(front_matter_is_found),
                                       cmocka_unit_test(front_matter_is_carried_over),
                                       cmocka_unit_test(values_are_quoted_where_needed),
                                       cmocka_unit_test(texts_are_found),
                                       cmocka_unit_test(hostile_front_matter_is_refused),
                                       cmocka_unit_test(templates_are_filled),
                                       cmocka_unit_test(faults_of_templates_are_named),
                                       cmocka_unit_test(links_are_found),
                                       cmocka_unit_test(long_lines_end),
                                       cmocka_unit_test(link_paths_are_read),
                                       cmocka_unit_test(text_is_made_harmless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
