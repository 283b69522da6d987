/* Schemas: what is refused, by name and place, and documents that are allowed or not. Random ones are tests/schema's work. */
#include "base/string_builder.h"
#include "text/grammar.h"
#include "unit/text/text_fixtures.h"

typedef struct refusal {
    const char *schema;
    fal_status status;
    const char *fragment;
} refusal;

static const refusal refusals[] = {
    {"{",                                                                                                    FAL_E_FORMAT,      "schema, line 1"                              },
    {"3",                                                                                                    FAL_E_FORMAT,      "schema at '#': a schema is an object"        },
    {"{\"type\":\"text\"}",                                                                                  FAL_E_FORMAT,      "no type 'text'"                              },
    {"{\"type\":[]}",                                                                                        FAL_E_FORMAT,      "no type is allowed"                          },
    {"{\"type\":\"string\",\"minlength\":3}",                                                                FAL_E_UNSUPPORTED,
     "schema at '#': 'minlength' cannot be enforced"                                                                                                                          },
    {"{\"properties\":{\"a\":{\"not\":{}}}}",                                                                FAL_E_UNSUPPORTED,
     "schema at '#/properties/a': 'not' cannot be"                                                                                                                            },
    {"{\"items\":{\"if\":{}}}",                                                                              FAL_E_UNSUPPORTED, "schema at '#/items': 'if' cannot be enforced"},
    {"{\"prefixItems\":[{},{\"contains\":1}]}",                                                              FAL_E_UNSUPPORTED,
     "schema at '#/prefixItems/1': 'contains'"                                                                                                                                },
    {"{\"anyOf\":[{},{\"patternProperties\":{}}]}",                                                          FAL_E_UNSUPPORTED,
     "schema at '#/anyOf/1': 'patternProperties'"                                                                                                                             },
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"dependentRequired\":{}}}}",                                FAL_E_UNSUPPORTED,
     "schema at '#/$defs/a'"                                                                                                                                                  },
    {"{\"additionalProperties\":{\"propertyNames\":{}}}",                                                    FAL_E_UNSUPPORTED,
     "schema at '#/additionalProperties'"                                                                                                                                     },
    {"false",                                                                                                FAL_E_UNSUPPORTED, "'false' allows nothing"                      },
    {"{\"$ref\":\"#/$defs/a\"}",                                                                             FAL_E_FORMAT,      "'$ref' to '#/$defs/a', which is not there"   },
    {"{\"$ref\":\"https://x.org/a\"}",                                                                       FAL_E_UNSUPPORTED, "only '#' and '#/...'"                        },
    {"{\"$ref\":\"#\"}",                                                                                     FAL_E_FORMAT,      "leads back to itself"                        },
    {"{\"allOf\":[{\"$ref\":\"#\"}]}",                                                                       FAL_E_LIMIT,       "in circles"                                  },
    {"{\"type\":\"array\",\"uniqueItems\":true}",                                                            FAL_E_UNSUPPORTED, "'uniqueItems'"                               },
    {"{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}",                                                   FAL_E_UNSUPPORTED,
     "at least 3 and at most 2"                                                                                                                                               },
    {"{\"type\":\"array\",\"minItems\":-1}",                                                                 FAL_E_FORMAT,      "'minItems' is a number of things"            },
    {"{\"type\":\"array\",\"maxItems\":1000000}",                                                            FAL_E_LIMIT,       "at most 100000"                              },
    {"{\"type\":\"object\",\"minProperties\":2}",                                                            FAL_E_UNSUPPORTED, "'minProperties'"                             },
    {"{\"type\":\"object\",\"required\":[\"a\"]}",                                                           FAL_E_UNSUPPORTED,
     "required key 'a' is not in 'properties'"                                                                                                                                },
    {"{\"type\":\"string\",\"format\":\"regex\"}",                                                           FAL_E_UNSUPPORTED, "format 'regex'"                              },
    {"{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":3}",                                              FAL_E_UNSUPPORTED,
     "'pattern' cannot be enforced beside"                                                                                                                                    },
    {"{\"type\":\"string\",\"pattern\":\"(?=a)\"}",                                                          FAL_E_UNSUPPORTED,
     "pattern '(?=a)', at 2: an assertion"                                                                                                                                    },
    {"{\"type\":\"string\",\"pattern\":\"a\\\\b\"}",                                                         FAL_E_UNSUPPORTED, "this escape"                                 },
    {"{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"}",                                                       FAL_E_UNSUPPORTED, "this escape"                                 },
    {"{\"type\":\"string\",\"pattern\":\"a^b\"}",                                                            FAL_E_UNSUPPORTED, "an anchor within"                            },
    {"{\"type\":\"string\",\"pattern\":\"(a\"}",                                                             FAL_E_FORMAT,      "this group does not end"                     },
    {"{\"type\":\"string\",\"pattern\":\"[a\"}",                                                             FAL_E_FORMAT,      "this class does not end"                     },
    {"{\"type\":\"string\",\"pattern\":\"a)\"}",                                                             FAL_E_FORMAT,      "a bracket that nothing opened"               },
    {"{\"type\":\"string\",\"pattern\":\"*\"}",                                                              FAL_E_FORMAT,      "nothing stands before"                       },
    {"{\"type\":\"integer\",\"multipleOf\":2}",                                                              FAL_E_UNSUPPORTED, "'multipleOf'"                                },
    {"{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}",                                                   FAL_E_UNSUPPORTED,
     "no number is in its bounds"                                                                                                                                             },
    {"{\"type\":\"number\",\"minimum\":0.5}",                                                                FAL_E_UNSUPPORTED,
     "'minimum' of numbers that is not whole"                                                                                                                                 },
    {"{\"enum\":[1],\"type\":\"string\"}",                                                                   FAL_E_UNSUPPORTED, "no value is left"                            },
    {"{\"enum\":[1],\"minimum\":0}",                                                                         FAL_E_UNSUPPORTED, "'enum' cannot be enforced beside"            },
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",                                           FAL_E_UNSUPPORTED,
     "'oneOf' cannot be enforced: 0 and 1"                                                                                                                                    },
    {"{\"oneOf\":[]}",                                                                                       FAL_E_FORMAT,      "'oneOf' is a list of schemas"                },
    {"{\"allOf\":[{\"pattern\":\"a\"},{\"pattern\":\"b\"}]}",                                                FAL_E_UNSUPPORTED,
     "'pattern' of several parts"                                                                                                                                             },
    {"{\"allOf\":[{\"properties\":{\"a\":{}},\"additionalProperties\":false},{\"properties\":{\"b\":{}}}]}",
     FAL_E_UNSUPPORTED,                                                                                                         "'additionalProperties' of several parts"     },
    {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",                                              FAL_E_FORMAT,      "no type is allowed"                          },
};

static void what_cannot_be_enforced_is_refused_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        fal_grammar *g;
        fal_error err = {0};
        const refusal *r = &refusals[i];
        CHECK_STATUS(fal_grammar_open_schema(&g, r->schema, strlen(r->schema), &err), r->status,
                     &err, r->fragment);
        assert_null(g);
    }
}

typedef struct sample {
    const char *schema;
    const char *allowed[5], *refused[6];
} sample;

#define INTEGER(bounds) "{\"type\":\"integer\"," bounds "}"
#define NUMBER(bounds)  "{\"type\":\"number\"," bounds "}"
#define FORMAT(name)    "{\"type\":\"string\",\"format\":\"" name "\"}"

static const sample samples[] = {
    {INTEGER("\"minimum\":1,\"maximum\":150"),
     {"1", "9", "10", "99", "150"},
     {"0", "151", "01", "1.0", "-1", "200"}                                                                                                                                    },
    {INTEGER("\"minimum\":-15,\"exclusiveMaximum\":3"),
     {"-15", "-9", "0", "2"},
     {"-16", "3", "-0", "-20", "10"}                                                                                                                                           },
    {INTEGER("\"minimum\":987,\"maximum\":1023"),
     {"987", "999", "1000", "1023"},
     {"986", "1024", "98", "2000", "1030"}                                                                                                                                     },
    {INTEGER("\"minimum\":0.5"),                                                                      {"1", "10", "123456789012345678"},               {"0", "-1"}             },
    {INTEGER("\"format\":\"int32\""),
     {"2147483647", "-2147483648", "0"},
     {"2147483648", "-2147483649"}                                                                                                                                             },
    {NUMBER("\"minimum\":0,\"maximum\":1"),
     {"0", "0.25", "1", "1.00"},
     {"1.01", "-0.5", "2", "-1", "10"}                                                                                                                                         },
    {NUMBER("\"exclusiveMinimum\":0,\"exclusiveMaximum\":2"),
     {"0.01", "1", "1.99"},
     {"0", "0.0", "2", "2.0", "-1"}                                                                                                                                            },
    {NUMBER("\"maximum\":-3"),                                                                        {"-3", "-3.5", "-10", "-4.0"},                   {"-2.9", "0", "3", "-0"}},
    {FORMAT("date"),
     {"\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"24-1-1\""}                                                                                    },
    {FORMAT("ipv6"),
     {"\"::\"", "\"1::\"", "\"1:2:3:4:5:6:7:8\"", "\"1:2::7:8\"", "\"1:2:3:4:5:6:7::\""},
     {"\"1\"", "\"1:2:3:4:5:6:7:8:9\"", "\"1::2::3\"", "\"1:2:3:4:5:6:7\"", "\"12345::\""}                                                                                     },
    {"{\"type\":\"string\",\"maxLength\":2}",
     {"\"\"", "\"ab\"", "\"\xc3\xa4\xe2\x82\xac\"", "\"\\ud83d\\ude00x\"", "\"\\n\\u0001\""},
     {"\"abc\"", "\"\n\"", "\"\\ud83dx\"", "\"\\u0000\"", "\"\\x\"", "\"a\\ude00\""}                                                                                           },
    {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
     {"{\"b\":null}", "{ \"a\": null, \"b\": null }", "{\n\t\"b\": null\n}"},
     {"{}", "{\"a\":null}", "{\"b\":null,\"a\":null}", "{\"b\":null,\"c\":1}", "{,\"b\":null}",
      "[]"}                                                                                                                                                                    },
    {"{\"properties\":{\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":\"boolean\"}}",
     {"{}", "{\"ab\":null}", "{\"a\":true,\"abc\":true}", "{\"ab\":null,\"b\":false}",
      "{\"\":true}"},
     {"{\"ab\":true}", "{\"a\":null}", "{\"x\":true,\"ab\":true}", "{\"\\u0061b\":true}"}                                                                                      },
    {"{\"type\":\"json_object\"}",                                                                    {"{}", "{\"a\":[1,{}]}"},                        {"[]", "1", "\"a\""}    },
    {"{\"type\":\"object\",\"maxProperties\":1}",                                                     {"{}", "{\"a\":1}"},                             {"{\"a\":1,\"b\":2}"}   },
    {"{\"prefixItems\":[{\"const\":1}],\"items\":{\"const\":2},\"minItems\":2,\"maxItems\":3}",
     {"[1,2]", "[1, 2, 2]"},
     {"[1]", "[]", "[1,2,2,2]", "[2,2]", "[1,1]"}                                                                                                                              },
    {"{\"items\":[{\"const\":1}],\"additionalItems\":false}",                                         {"[]", "[1]"},                                   {"[1,1]", "[2]"}        },
    {"{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\","
     "\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}}}",                                {"{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"},
     {"{}", "{\"a\":2}"}                                                                                                                                                       },
    {"{\"allOf\":[{\"type\":\"number\",\"minimum\":3},{\"type\":\"integer\",\"maximum\":5}]}",
     {"3", "5"},
     {"2", "6", "3.5"}                                                                                                                                                         },
    {"{\"type\":[\"integer\",\"null\"],\"minimum\":5}",                                               {"5", "null"},                                   {"4", "true"}           },
    {"{\"enum\":[\"a\",1,null],\"type\":[\"string\",\"null\"]}",                                      {"\"a\"", "null"},                               {"1"}                   },
    {"{\"type\":\"string\",\"pattern\":\"^\\\\S{2}$\"}",
     {"\"ab\"", "\"\xe2\x82\xac\\\"\""},
     {"\"a b\"", "\"a\\n\"", "\"a\xc2\xa0\""}                                                                                                                                  },
    {"{\"type\":\"string\",\"pattern\":\"b\"}",                                                       {"\"b\"", "\"abc\""},                            {"\"\"", "\"ac\""}      },
};

static bool is_allowed(const fal_grammar *g, const fal_tokenizer *t, const char *text) {
    fal_grammar_state *s;
    fal_error err = {0};
    CHECK_OK(fal_grammar_state_open(&s, g, t, &err), &err);
    bool is_good = true;
    for (; is_good && *text; text++)
        is_good = fal_grammar_accept(s, (uint8_t)*text, NULL) == FAL_OK;
    is_good = is_good && fal_grammar_may_end(s);
    fal_grammar_state_close(s);
    return is_good;
}

static void documents_are_allowed_or_not(void **state) {
    (void)state;
    fal_tokenizer *t = tokenizer_of(vocabulary_of(NULL, NULL));
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *c = &samples[i];
        fal_grammar *g;
        fal_error err = {0};
        CHECK_OK(fal_grammar_open_schema(&g, c->schema, strlen(c->schema), &err), &err);
        for (size_t k = 0; k < 5 && c->allowed[k]; k++) {
            if (!is_allowed(g, t, c->allowed[k]))
                fail_msg("%s refuses %s", c->schema, c->allowed[k]);
        }
        for (size_t k = 0; k < 6 && c->refused[k]; k++) {
            if (is_allowed(g, t, c->refused[k])) fail_msg("%s allows %s", c->schema, c->refused[k]);
        }
        fal_grammar_close(g);
    }
    fal_tokenizer_close(t);
}

static void large_schemas_are_quick_or_refused(void **state) {
    (void)state;
    fal_string_builder b = {0};
    fal_grammar *g;
    fal_error err = {0};
    fal_string_append_text(&b, "{\"properties\":{");
    for (int i = 0; i < 2000; i++)
        fal_string_append_format(&b, "%s\"key%d\":{\"type\":\"integer\",\"maximum\":%d}",
                                 i ? "," : "", i, i);
    fal_string_append_text(&b, "},\"additionalProperties\":true}");
    CHECK_OK(fal_grammar_open_schema(&g, b.text, b.length, &err), &err);
    fal_grammar_close(g);
    fal_string_clear(&b);
    for (int i = 0; i < 150; i++)
        fal_string_append_text(&b, "{\"items\":");
    fal_string_append_text(&b, "{}");
    for (int i = 0; i < 150; i++)
        fal_string_append_text(&b, "}");
    CHECK_STATUS(fal_grammar_open_schema(&g, b.text, b.length, &err), FAL_E_LIMIT, &err,
                 "nested deeper");
    fal_string_clear(&b);
    fal_string_append_text(&b, "{\"enum\":[");
    for (int i = 0; i < 5000; i++)
        fal_string_append_format(&b, "%s\"value %d of many\"", i ? "," : "", i);
    fal_string_append_text(&b, "]}");
    CHECK_OK(fal_grammar_open_schema(&g, b.text, b.length, &err), &err);
    fal_grammar_close(g);
    fal_string_release(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_enforced_is_refused_by_name),
        cmocka_unit_test(documents_are_allowed_or_not),
        cmocka_unit_test(large_schemas_are_quick_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
