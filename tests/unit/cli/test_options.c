/* Command lines through an option table of every kind. */
#include "check.h"
#include "cli/command.h"

#include <math.h>

typedef struct inner_values {
    double number;
    uint64_t seed;
} inner_values;

typedef struct test_values {
    bool flag;
    const char *text, *choice;
    int count;
    fal_texts list;
    fal_tokens ids;
    inner_values inner;
} test_values;

static const char *colour_choice(int index) {
    static const char *const colours[] = {"red", "green", "blue", NULL};
    return colours[index];
}

#define AT(member) offsetof(test_values, member)

static const fal_option own_rows[] = {
    FAL_ROW_FLAG("flag", 'f', AT(flag), "a flag"),
    FAL_ROW(TEXT, "text", 't', AT(text), "TEXT", "a text"),
    FAL_ROW_CHOICE("colour", 0, AT(choice), "NAME", colour_choice, "a choice"),
    FAL_ROW_COUNT("count", 'n', AT(count), "N", -3, 100, "a count"),
    FAL_ROW(LIST, "word", 'w', AT(list), "WORD", "words"),
    FAL_ROW(IDS, "ids", 0, AT(ids), "IDS", "ids"),
    {0}};

static const fal_option inner_rows[] = {
    FAL_ROW_NUMBER("number", 0, offsetof(inner_values, number), "X", 0, HUGE_VAL, "a number"),
    FAL_ROW(SEED, "seed", 0, offsetof(inner_values, seed), "N", "a seed"),
    {0}};

static const fal_option_group groups[] = {
    {"Own",   own_rows,   0        },
    {"Inner", inner_rows, AT(inner)},
    {NULL,    NULL,       0        }
};

static const fal_argument arguments[] = {
    {"FIRST",  FAL_OPTION_TEXT,   NULL,          true,  "first" },
    {"COLOUR", FAL_OPTION_CHOICE, colour_choice, false, "second"},
    {NULL,     FAL_OPTION_TEXT,   NULL,          false, NULL    }
};

static void set_defaults(void *values) {
    ((test_values *)values)->count = 42;
}

static const fal_command command = {.arguments = arguments,
                                    .groups = groups,
                                    .values_bytes = sizeof(test_values),
                                    .set_defaults = set_defaults};
static const fal_command_row row = {"test", "group", "summary", &command};

enum {
    MAX_WORDS = 32
};

/* Parses a line of words separated by single spaces; the words live in buffer. */
static fal_status parse(fal_parsed *out, char *buffer, const char *line, fal_error *err) {
    char *argv[MAX_WORDS];
    int argc = 0;
    memcpy(buffer, line, strlen(line) + 1);
    for (char *word = buffer; word && *word; argc++) {
        assert_true(argc < MAX_WORDS);
        argv[argc] = word;
        word = strchr(word, ' ');
        if (word) *word++ = '\0';
    }
    return fal_parsed_open(out, &row, argc, argv, err);
}

static void every_kind_is_stored(void **state) {
    (void)state;
    fal_parsed parsed;
    fal_error err = {0};
    char buffer[300];
    assert_int_equal(
        parse(&parsed, buffer,
              "-f --text=a=b a1 --colour green -n-3 -w x --word y --ids 1,20,300 --number 2.5e-1 "
              "--seed 9223372036854775807 red",
              &err),
        FAL_OK);
    const test_values *v = parsed.values;
    assert_true(v->flag);
    assert_string_equal(v->text, "a=b");
    assert_string_equal(v->choice, "green");
    assert_int_equal(v->count, -3);
    assert_int_equal(v->list.count, 2);
    assert_string_equal(v->list.items[1], "y");
    assert_null(v->list.items[2]);
    assert_int_equal(v->ids.count, 3);
    assert_int_equal(v->ids.ids[2], 300);
    assert_true(v->inner.number == 0.25);
    assert_true(v->inner.seed == INT64_MAX);
    assert_int_equal(parsed.n_arguments, 2);
    assert_string_equal(parsed.arguments[0], "a1");
    assert_true(fal_parsed_has(&parsed, "seed"));
    fal_parsed_release(&parsed);
}

static void defaults_stay_when_nothing_is_given(void **state) {
    (void)state;
    fal_parsed parsed;
    char buffer[300];
    assert_int_equal(parse(&parsed, buffer, "only", NULL), FAL_OK);
    const test_values *v = parsed.values;
    assert_int_equal(v->count, 42);
    assert_false(v->flag);
    assert_null(v->text);
    assert_false(fal_parsed_has(&parsed, "count"));
    fal_parsed_release(&parsed);
}

static void two_dashes_end_options(void **state) {
    (void)state;
    fal_parsed parsed;
    char buffer[300];
    assert_int_equal(parse(&parsed, buffer, "-- --flag", NULL), FAL_OK);
    assert_string_equal(parsed.arguments[0], "--flag");
    fal_parsed_release(&parsed);
    assert_int_equal(parse(&parsed, buffer, "-", NULL), FAL_OK);
    assert_string_equal(parsed.arguments[0], "-");
    fal_parsed_release(&parsed);
}

static void help_needs_no_arguments(void **state) {
    (void)state;
    fal_parsed parsed;
    char buffer[300];
    assert_int_equal(parse(&parsed, buffer, "--help", NULL), FAL_OK);
    assert_true(parsed.wants_help);
    fal_parsed_release(&parsed);
    assert_int_equal(parse(&parsed, buffer, "-f -h", NULL), FAL_OK);
    assert_true(parsed.wants_help);
    fal_parsed_release(&parsed);
}

static void failures_name_option_value_and_bound(void **state) {
    (void)state;

    static const struct {
        const char *line, *message;
    } cases[] = {
        {"a --cuont 3",        "test: unknown option '--cuont'; nearest: --count"                  },
        {"a --x",              "test: unknown option '--x'; see falconer test --help"              },
        {"a -x",               "test: unknown option '-x'; see falconer test --help"               },
        {"a --count 101",      "test: --count '101': not a whole number from -3 to 100"            },
        {"a --count 1e1",      "test: --count '1e1': not a whole number from -3 to 100"            },
        {"a --count 1.0",      "test: --count '1.0': not a whole number from -3 to 100"            },
        {"a --count +1",       "test: --count '+1': not a whole number from -3 to 100"             },
        {"a --count 1x",       "test: --count '1x': not a whole number from -3 to 100"             },
        {"a --number inf",     "test: --number 'inf': not a number, at least 0"                    },
        {"a --number -1",      "test: --number '-1': not a number, at least 0"                     },
        {"a --number 1e999",   "test: --number '1e999': not a number, at least 0"                  },
        {"a --number 0x1",     "test: --number '0x1': not a number, at least 0"                    },
        {"a --seed -1",        "test: --seed '-1': not a whole number from 0 to 2^63 - 1"          },
        {"a --ids 1,,2",       "test: --ids '1,,2': not token ids between commas, as 1,2,3"        },
        {"a --ids 4294967297", "test: --ids '4294967297': not token ids between commas, as 1,2,3"  },
        {"a --colour gren",    "test: --colour 'gren': not one of red, green, blue; nearest: green"},
        {"a --colour violet",  "test: --colour 'violet': not one of red, green, blue"              },
        {"a --flag=1",         "test: --flag takes no value, got '1'"                              },
        {"a -f1",              "test: --flag takes no value, got '1'"                              },
        {"a --text",           "test: --text needs a value: TEXT"                                  },
        {"-f",                 "test: FIRST is missing; see falconer test --help"                  },
        {"a red c",            "test: argument 'c' is one too many (at most 2)"                    },
        {"a b",                "test: COLOUR 'b': not one of red, green, blue"                     },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fal_parsed parsed;
        fal_error err = {0};
        char buffer[300];
        assert_int_equal(parse(&parsed, buffer, cases[i].line, &err), FAL_E_ARGUMENT);
        assert_string_equal(err.message, cases[i].message);
        fal_parsed_release(&parsed);
    }
}

/* What every table of the program must keep, so that help fits and the parser finds everything. */
static void every_table_is_sound(void **state) {
    (void)state;
    const fal_command_row *each;
    for (int i = 0; (each = fal_command_at(i)); i++) {
        const fal_option *o, *other;
        int n = 0;
        assert_ptr_equal(fal_command_find(each->name), each);
        assert_non_null(each->command->description);
        assert_non_null(each->command->run);
        assert_non_null(each->command->examples);
        for (; (o = fal_option_at(each->command->groups, n, NULL)); n++) {
            assert_true(strlen(o->meaning) <= 48);
            assert_int_equal(o->value == NULL, o->kind == FAL_OPTION_FLAG);
            assert_int_equal(o->choice != NULL, o->kind == FAL_OPTION_CHOICE);
            assert_true(strcmp(o->name, "help") != 0 && o->letter != 'h');
            for (int k = 0; k < n; k++) {
                other = fal_option_at(each->command->groups, k, NULL);
                assert_string_not_equal(o->name, other->name);
                if (o->letter) assert_int_not_equal(o->letter, other->letter);
            }
        }
        assert_true(n < FAL_MAX_OPTIONS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_stored),
        cmocka_unit_test(defaults_stay_when_nothing_is_given),
        cmocka_unit_test(two_dashes_end_options),
        cmocka_unit_test(help_needs_no_arguments),
        cmocka_unit_test(failures_name_option_value_and_bound),
        cmocka_unit_test(every_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
