/* Strings of a schema: lengths, patterns, formats. A format is a few rules of GBNF. */
#include "text/json_schema_private.h"
#include "text/quote.h"

#include <string.h>

typedef struct format_row {
    const char *name;
    const char *gbnf; /* what stands between the quotation marks */
} format_row;

#define DIGIT "[0-9]"
#define HEX   "[0-9a-fA-F]"
/* A leap year is one that 4 divides, and 400 if it ends a century. */
#define LEAP_YEAR                                             \
    "([0-9] [0-9] (\"0\" [48] | [2468] [048] | [13579] [26])" \
    " | (\"0\" [48] | [2468] [048] | [13579] [26]) \"00\")"
#define YEAR "([1-9] [0-9]{3} | \"0\" [1-9] [0-9]{2} | \"00\" [1-9] [0-9] | \"000\" [1-9])"
#define DATE                                                                                      \
    "(" YEAR " \"-\" ((\"0\" [13578] | \"1\" [02]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" [01])" \
    " | (\"0\" [469] | \"11\") \"-\" (\"0\" [1-9] | [12] [0-9] | \"30\")"                         \
    " | \"02-\" (\"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8])) | " LEAP_YEAR " \"-02-29\")"
#define HOUR_AND_MINUTE "([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9]"
#define TIME \
    "(" HOUR_AND_MINUTE " \":\" [0-5] [0-9] (\".\" [0-9]{1,9})? (\"Z\" | [+-] " HOUR_AND_MINUTE "))"
#define LABEL    "([a-zA-Z0-9] ([a-zA-Z0-9-]{0,61} [a-zA-Z0-9])?)"
#define HOSTNAME "(" LABEL " (\".\" " LABEL "){0,3})"
#define OCTET    "([0-9] | [1-9] [0-9] | \"1\" [0-9] [0-9] | \"2\" [0-4] [0-9] | \"25\" [0-5])"
#define GROUP    "[0-9a-fA-F]{1,4}"
/* Eight groups, or fewer on both sides of a gap: n before it leave up to 7 - n behind it. */
#define GAP(before, behind) " | " before " \"::\" (" GROUP " (\":\" " GROUP "){0," behind "})?"
#define IPV6                                                                                \
    "(" GROUP " (\":\" " GROUP "){7}" GAP("", "6") GAP(GROUP, "5")                          \
        GAP(GROUP " (\":\" " GROUP "){1}", "4") GAP(GROUP " (\":\" " GROUP "){2}", "3")     \
            GAP(GROUP " (\":\" " GROUP "){3}", "2") GAP(GROUP " (\":\" " GROUP "){4}", "1") \
                GAP(GROUP " (\":\" " GROUP "){5}", "0") " | " GROUP " (\":\" " GROUP        \
                                                        "){6} \"::\")"
#define COUNT "[0-9]{1,9}"

static const format_row formats[] = {
    {"date",      DATE                                                                       },
    {"time",      TIME                                                                       },
    {"date-time", DATE " \"T\" " TIME                                                        },
    {"duration",  "\"P\" (" COUNT " \"W\" | (" COUNT " \"Y\" (" COUNT " \"M\" (" COUNT
                 " \"D\")?)? | " COUNT " \"M\" (" COUNT " \"D\")? | " COUNT " \"D\") (\"T\" " COUNT
                 " [HMS])? | \"T\" (" COUNT " \"H\" (" COUNT " \"M\" (" COUNT " \"S\")?)? | " COUNT
                 " \"M\" (" COUNT " \"S\")? | " COUNT " \"S\"))"             },
    {"uuid",      HEX "{8} \"-\" (" HEX "{4} \"-\"){3} " HEX "{12}"                          },
    {"email",     "[a-zA-Z0-9_%+-]{1,40} (\".\" [a-zA-Z0-9_%+-]{1,20}){0,1} \"@\" " LABEL
              " (\".\" " LABEL "){0,2} \".\" [a-zA-Z]{2,24}"                    },
    {"hostname",  HOSTNAME                                                                   },
    {"ipv4",      OCTET " (\".\" " OCTET "){3}"                                              },
    {"ipv6",      IPV6                                                                       },
    {"uri",
     "[a-z] [a-z0-9+.-]{1,20} \"://\" " HOSTNAME
     " (\":\" [1-9] [0-9]{0,3})? (\"/\" ([a-zA-Z0-9._~!$&'()*+,;=:@-]"
     " | \"%\" " HEX " " HEX
     ")*)* (\"?\" [a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)? (\"#\" [a-zA-Z0-9._~!$&'()*+,;=:@/?-]*)?"},
};

static fal_status write_format(fal_schema_converter *c, const char *name, fal_string_builder *out,
                               fal_error *err) {
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) != 0) continue;
        int32_t rule = c->n_rules++;
        fal_string_append_format(c->out, "s%d ::= %s\n", rule, formats[i].gbnf);
        fal_string_append_format(out, "\"\\\"\" s%d \"\\\"\" ", rule);
        return FAL_OK;
    }
    return fal_schema_refuse(c, err, "format '%s' cannot be enforced",
                             fal_quote(fal_slice_of(name)).text);
}

fal_status fal_schema_string(fal_schema_converter *c, const json_t *s, fal_string_builder *out,
                             fal_error *err) {
    int32_t least, most;
    const json_t *pattern = json_object_get(s, "pattern"), *format = json_object_get(s, "format");
    FAL_TRY(fal_schema_count(c, s, "minLength", 0, &least, err));
    FAL_TRY(fal_schema_count(c, s, "maxLength", -1, &most, err));
    if ((pattern && !json_is_string(pattern)) || (format && !json_is_string(format)))
        return fal_schema_malformed(c, err, "'%s' is a text", pattern ? "pattern" : "format");
    bool is_bounded = least > 0 || most >= 0;
    if ((pattern || format) && (is_bounded || (pattern && format)))
        return fal_schema_refuse(c, err, "'%s' cannot be enforced beside %s",
                                 pattern ? "pattern" : "format",
                                 is_bounded ? "'minLength' and 'maxLength'" : "'format'");
    if (format) return write_format(c, json_string_value(format), out, err);
    if (pattern) {
        fal_string_append_text(out, "\"\\\"\" ");
        FAL_TRY(fal_schema_pattern(c, json_string_value(pattern), out, err));
        fal_string_append_text(out, "\"\\\"\" ");
        return FAL_OK;
    }
    if (!is_bounded) {
        fal_string_append_text(out, "string ");
        return FAL_OK;
    }
    if (most >= 0 && least > most)
        return fal_schema_refuse(c, err, "at least %d and at most %d characters", least, most);
    fal_string_append_text(out, "\"\\\"\" char");
    fal_gbnf_bounds(out, least, most);
    fal_string_append_text(out, " \"\\\"\" ");
    return FAL_OK;
}
